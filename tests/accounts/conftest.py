"""What the tests of the accounts room share: people, and a browser without script that knows about form tokens."""

import html
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import hashing, service, sessions, two_factor
from portal.accounts.identity import Identity
from portal.accounts.models import Organization, User
from portal.audit.models import AuditEntry
from portal.database import db, reading, unit_of_work
from portal.security import totp
from portal.web.access import Role

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PASSWORD = "mellow otter folds seven kites"
SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For tests of what does not depend on the database."""
ORIGIN = sessions.Origin(ip="203.0.113.7", user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0")


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    user_id: uuid.UUID
    organization_id: uuid.UUID
    email: str
    secret: str
    """Of the authenticator app; empty without two-factor authentication."""
    password: str = PASSWORD

    def code(self) -> str:
        """Return what the authenticator app shows now."""
        return totp.code_at(self.secret, clock.now())


class Browser:
    """A browser that follows no redirect by itself."""

    def __init__(self, app: Flask, ip: str = "203.0.113.7") -> None:
        self.app = app
        self.client = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = ip

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def token(self, page: str = "/login") -> str:
        found = re.search(r'"X-CSRFToken": "([^"]+)"', self.client.get(page, follow_redirects=True).text)
        assert found
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        sent = {"csrf_token": self.token(), **(data or {})}
        return self.client.post(path, data=sent, **options)

    def sign_in(self, person: Person, path: str = "/login") -> TestResponse:
        """Go through all steps of signing in."""
        answer = self.post(path, {"email": person.email, "password": person.password})
        if "/login/two-factor" in answer.headers.get("Location", ""):
            answer = self.post(answer.headers["Location"], {"code": person.code()})
        assert answer.status_code == 303, answer.text
        return answer

    def cookie(self) -> str:
        """Return the token that the signed cookie carries."""
        with self.client.session_transaction() as kept:
            return str(kept.get("_user_id", ""))

    def carry(self, token: str) -> None:
        """Put a token into the signed cookie."""
        with self.client.session_transaction() as kept:
            kept["_user_id"] = token


def words(answer: TestResponse) -> str:
    """Return the text of a page as people read it."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    """The clock, standing still until a test shifts it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def another_browser(app: Flask) -> Callable[..., Browser]:
    return lambda ip="203.0.113.7": Browser(app, ip)


@pytest.fixture
def person(app: Flask) -> Callable[..., Person]:
    """Makes people: `person("dana@northline.example", Role.ADMIN, totp=True, organization="Northline")`."""

    def make(
        email: str = "dana@northline.example",
        role: Role = Role.OWNER,
        *,
        second_factor: bool = True,
        organization: str = "Northline",
    ) -> Person:
        with app.app_context():
            password_hash = hashing.hasher().hash(PASSWORD)
            with unit_of_work() as session:
                place = session.scalar(select(Organization).where(Organization.name == organization))
                place = place or service.create_organization(name=organization)
                user = service.user_by_email(email) or service.create_user(
                    email=email, name="Dana Whitfield", password_hash=password_hash
                )
                service.add_member(user=user, organization=place, role=role)
                secret = two_factor.enrol_at_once(user) if second_factor else ""
                return Person(user.id, place.id, email, secret)

    return make


@pytest.fixture
def dana(person: Callable[..., Person]) -> Person:
    """The owner, with two-factor authentication."""
    return person()


@pytest.fixture
def signed_in(app: Flask) -> Callable[..., Identity]:
    """Opens a complete session for somebody and returns who they are in it."""

    def enter(who: Person) -> Identity:
        with app.app_context(), unit_of_work() as session:
            user = session.get_one(User, who.user_id)
            opened = sessions.open_session(
                user=user, organization_id=who.organization_id, origin=ORIGIN, pending=bool(who.secret)
            )
            if opened.pending:
                opened = sessions.complete(sessions.pending_session(opened.token))
            found = sessions.identity_of(opened.token)
            assert found
            return found

    return enter


@pytest.fixture
def trail(app: Flask) -> Callable[[], list[AuditEntry]]:
    """Reads the audit trail of all organizations."""

    def entries() -> list[AuditEntry]:
        with app.app_context(), reading():
            return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.at, AuditEntry.id)))

    return entries
