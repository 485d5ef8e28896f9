"""People for tests: an organization with owner, admin, agent and newcomer, and browsers that are signed in as them."""

import html
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import update
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import hashing, service, sessions, two_factor
from portal.accounts.models import Organization, User, UserSession
from portal.accounts.sessions import Origin
from portal.database import unit_of_work
from portal.security import totp
from portal.web.access import Role

T = TypeVar("T")
PASSWORD = "mellow otter folds seven kites"
ORIGIN = Origin(ip="203.0.113.7", user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0")
HTMX = {"HX-Request": "true"}
NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Person:
    """A member of an organization."""

    user_id: uuid.UUID
    organization_id: uuid.UUID
    email: str
    name: str
    role: Role
    secret: str
    """Of the authenticator app; empty without two-factor authentication."""

    def code(self) -> str:
        """Return what the authenticator app shows now."""
        return totp.code_at(self.secret, clock.now())


@dataclass(frozen=True)
class Team:
    """An organization with one member of each kind."""

    organization_id: uuid.UUID
    owner: Person
    admin: Person
    agent: Person
    newcomer: Person
    """An admin who has not yet turned two-factor authentication on."""


def make_team(app: Flask, name: str = "Northline", *, time_zone: str = "UTC") -> Team:
    """Make an organization and its members; their email addresses end in its slug and .example."""
    with app.app_context(), unit_of_work():
        place = service.create_organization(name=name)
        owner = make_person(place, "Dana Whitfield", Role.OWNER, time_zone=time_zone)
        admin = make_person(place, "Marcus Oyelaran", Role.ADMIN, time_zone=time_zone)
        agent = make_person(place, "Priya Raman", Role.AGENT, second_factor=False, time_zone=time_zone)
        newcomer = make_person(place, "Noor Haddad", Role.ADMIN, second_factor=False, time_zone=time_zone)
        return Team(place.id, owner, admin, agent, newcomer)


def make_person(
    place: Organization, name: str, role: Role, *, second_factor: bool = True, time_zone: str = "UTC"
) -> Person:
    """Make a member. Call it inside a unit of work."""
    email = f"{name.partition(' ')[0].lower()}@{place.slug}.example"
    user = service.create_user(
        email=email, name=name, password_hash=hashing.hasher().hash(PASSWORD), time_zone=time_zone
    )
    service.add_member(user=user, organization=place, role=role)
    secret = two_factor.enrol_at_once(user) if second_factor else ""
    return Person(user.id, place.id, email, name, role, secret)


def open_session(app: Flask, person: Person) -> str:
    """Open a complete session, password and code given just now, and return its token."""
    with app.app_context(), unit_of_work() as session:
        user = session.get_one(User, person.user_id)
        opened = sessions.open_session(
            user=user, organization_id=person.organization_id, origin=ORIGIN, pending=bool(person.secret)
        )
        if opened.pending:
            opened = sessions.complete(sessions.pending_session(opened.token))
        return opened.token


class Browser:
    """A browser without script that follows no redirect; with `htmx=True` it asks as a page with script would."""

    def __init__(self, app: Flask, person: Person | None = None) -> None:
        """Open it, signed in as a person where one is given."""
        self.app = app
        self.client = app.test_client()
        self.csrf = ""
        self.sign_in(person)

    def sign_in(self, person: Person | None) -> None:
        """Start over as this person, or as nobody."""
        token = open_session(self.app, person) if person else ""
        with self.client.session_transaction() as kept:
            kept.clear()
            kept["csrf_token"] = uuid.uuid4().hex
            if token:
                kept["_user_id"] = token
            # What Flask-WTF would put into a form of this session.
            signer = URLSafeTimedSerializer(str(self.app.secret_key), salt="wtf-csrf-token")
            self.csrf = str(signer.dumps(kept["csrf_token"]))

    def get(
        self, path: str, *, htmx: bool = False, target: str = "", headers: Mapping[str, str] = NONE, **options: Any
    ) -> TestResponse:
        """Ask for a page, or with HTMX for what it would put into the target."""
        return self.client.get(path, headers={**_headers(htmx or bool(target), target), **headers}, **options)

    def post(
        self, path: str, data: Mapping[str, Any] | None = None, *, htmx: bool = False, target: str = "", **more: str
    ) -> TestResponse:
        """Send a form with its token; `more` are headers, with _ for -."""
        headers = _headers(htmx or bool(target), target)
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        return self.client.post(path, data={"csrf_token": self.csrf, **(data or {})}, headers=headers)

    def forget_confirmation(self) -> None:
        """Let the last confirmation by password or code be long ago, in every session."""
        with self.app.app_context(), unit_of_work() as session:
            session.execute(update(UserSession).values(recent_until=None))


def _headers(htmx: bool, target: str) -> dict[str, str]:
    return {**(HTMX if htmx else {}), **({"HX-Target": target} if target else {})}


def words(answer: TestResponse) -> str:
    """Return the text of a page as people read it."""
    return plain(answer.text)


def plain(markup: str) -> str:
    """Return what people read of some HTML."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", markup))).strip()


@pytest.fixture
def team(app: Flask) -> Team:
    """An organization with its members."""
    return make_team(app)


@pytest.fixture
def admin(app: Flask, team: Team) -> Browser:
    """The browser of an admin."""
    return Browser(app, team.admin)


def whole_list(browser: Browser, path: str, shown: Callable[[TestResponse], list[T]]) -> list[T]:
    """Return what all pages of a list show, following "Load older", which adds to a list and later begins another.

    Args:
        browser: who looks.
        path: of the first page.
        shown: returns what one answer shows.
    """
    found: list[T] = []
    while True:
        answer = browser.get(path)
        found += shown(answer)
        following = re.search(r'href="([^"]*)"[^>]*>Load older', answer.text)
        if not following:
            return found
        path = html.unescape(following[1])
        if "shown=" in path:
            found.clear()
