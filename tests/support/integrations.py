"""Integrations for tests: rows made directly, what the drawer posts, and a mail provider that answers as told."""

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.audit.models import AuditEntry
from portal.database import db, new_id, reading, unit_of_work
from portal.health.models import HealthLog
from portal.integrations import credentials
from portal.integrations.models import CheckKind, Condition, Integration, Status
from portal.providers.base import Context, Credentials, Failure, Outcome, OutgoingEmail, Report, SendOutcome, Step
from portal.providers.base import StepState as State
from portal.providers.smtp.provider import Smtp
from tests.support.people import Person

CANARY = "cAnArY-4f1d/pässword 9c77b2"
"""A password that must never be seen anywhere."""

CONFIG = {
    "preset": "custom",
    "host": "mail.example.com",
    "security": "starttls",
    "port": 587,
    "username": "portal",
    "from_email": "noreply@example.com",
}


def posted(**changes: str) -> dict[str, str]:
    """Return what the drawer of a new SMTP integration posts; a keyword changes or adds a field."""
    typed = {name: str(value) for name, value in CONFIG.items()}
    return {"name": "Email relay", **typed, "password": CANARY, "from_name": "", "intent": "save", **changes}


def make_integration(
    app: Flask, owner: Person | uuid.UUID, name: str = "Email relay", *, password: str = CANARY, **columns: Any
) -> uuid.UUID:
    """Store an active integration that is not due for a check; `columns` change its row."""
    with app.app_context(), unit_of_work():
        return add_integration(owner, name, password=password, **columns).id


def add_integration(
    owner: Person | uuid.UUID, name: str = "Email relay", *, password: str = "", **columns: Any
) -> Integration:
    """Do what make_integration does inside the caller's unit of work; without a password nothing is sealed."""
    now = clock.now()
    values: dict[str, Any] = {
        "id": new_id(),
        "organization_id": owner.organization_id if isinstance(owner, Person) else owner,
        "provider": "smtp",
        "type": "email",
        "capabilities": ["email"],
        "name_key": name.casefold(),
        "config": dict(CONFIG),
        "status": Status.ACTIVE,
        "condition": None,
        "created_at": now,
        "updated_at": now,
    }
    integration = Integration(name=name, **(values | columns))
    db.session.add(integration)
    db.session.flush()
    if password:
        credentials.store(integration, {"password": password})
    return integration


def due(kind: CheckKind = CheckKind.SCHEDULED) -> dict[str, Any]:
    """Return the columns of an integration whose check is due now."""
    return {"next_check_at": clock.now(), "next_check_kind": kind}


def unverified() -> dict[str, Any]:
    """Return the columns of an integration that was saved without a passed test."""
    return {"status": Status.INACTIVE, "condition": Condition.UNVERIFIED}


def failing(title: str = "login failed", **columns: Any) -> dict[str, Any]:
    """Return the columns of an integration in error."""
    error = {"error_class": "auth_rejected", "error_title": title, "error_message": "The server refused the login."}
    more = {"error_hint": "Check the password.", "error_code": "535", "error_count": 2, "failing_since": clock.now()}
    return {"status": Status.ERROR, "condition": Condition.REAUTH, **error, **more, **columns}


def load(app: Flask, integration_id: uuid.UUID) -> Integration:
    """Return an integration as it is stored now, deleted or not."""
    with app.app_context(), reading() as session:
        return session.get_one(Integration, integration_id)


def all_integrations(app: Flask) -> list[Integration]:
    """Return every integration of every organization, deleted ones too, in the order in which they were made."""
    with app.app_context(), reading() as session:
        return list(session.scalars(select(Integration).order_by(Integration.id)))


def stored_secrets(app: Flask, integration_id: uuid.UUID) -> dict[str, Any]:
    """Return all values of an integration, opened. The record of that use is rolled back."""
    with app.app_context(), reading() as session:
        return credentials.open_all(session.get_one(Integration, integration_id), reason="Looked at by a test")


def logs(app: Flask) -> list[HealthLog]:
    """Return every health log, oldest first."""
    with app.app_context(), reading() as session:
        return list(session.scalars(select(HealthLog).order_by(HealthLog.checked_at, HealthLog.id)))


def trail(app: Flask, action: str = "") -> list[AuditEntry]:
    """Return the audit entries of an action, or all, oldest first."""
    query = select(AuditEntry).order_by(AuditEntry.at, AuditEntry.seq)
    with app.app_context(), reading() as session:
        return list(session.scalars(query.where(AuditEntry.action == action) if action else query))


def passed(milliseconds: int = 84) -> Report:
    """Return the report of a check that passed."""
    steps = (Step(name="DNS", state=State.PASSED, duration_ms=3), Step(name="Login", state=State.PASSED, duration_ms=9))
    return Report(steps=steps, outcome=Outcome.OK, response_time_ms=milliseconds)


def refused(
    outcome: Outcome = Outcome.AUTH_REJECTED, title: str = "login failed", *, field: str = "password", **more: Any
) -> Report:
    """Return the report of a check that failed."""
    error = Failure(
        outcome=outcome,
        reason="login_rejected",
        title=title,
        message="The server refused the login.",
        hint="Check user name and password.",
        code="535 5.7.8",
        field=field,
        **more,
    )
    step = Step(name="Login", state=State.FAILED, detail="535 5.7.8 no", verbatim=True, code="535", duration_ms=12)
    return Report(steps=(step,), outcome=outcome, error=error, response_time_ms=120)


class Mail:
    """The SMTP provider without a network: it answers with `report` and keeps what it was asked."""

    def __init__(self) -> None:
        self.report = passed()
        self.sending = SendOutcome(outcome=Outcome.OK, provider_id="250 queued as 42")
        self.probed: list[Mapping[str, Any]] = []
        self.tested: list[Mapping[str, Any]] = []
        self.sent: list[tuple[Mapping[str, Any], OutgoingEmail]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """Runs during each call."""
        self.lock = threading.Lock()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "Mail":
        """Take the provider's place."""
        monkeypatch.setattr(Smtp, "probe", lambda _self, values, context: self._answer(self.probed, values, context))
        monkeypatch.setattr(Smtp, "test", lambda _self, values, context: self._answer(self.tested, values, context))
        monkeypatch.setattr(Smtp, "send_email", self._send)
        return self

    def _answer(self, kept: list[Mapping[str, Any]], values: Credentials, context: Context) -> Report:
        with self.lock:
            kept.append(dict(values))
        context.transcript.sent(f"AUTH PLAIN {values.get('password')}")
        self.meanwhile()
        return self.report

    def _send(self, values: Credentials, _context: Context, message: OutgoingEmail) -> SendOutcome:
        self.sent.append((dict(values), message))
        self.meanwhile()
        return self.sending


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Mail:
    """A mail provider that answers as told."""
    return Mail().install(monkeypatch)
