"""What the tests of messages share: carriers that answer as told, messages in the queue, the worker's turn."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.database import reading, unit_of_work
from portal.integrations import usage
from portal.messaging import Channel, Message, claims, queue, sending
from portal.messaging.models import MessageTry
from portal.providers.base import Context, Credentials, Failure, Outcome, OutgoingEmail, SendOutcome
from portal.providers.smtp.provider import Smtp
from tests.support.integrations import CONFIG, make_integration
from tests.support.people import Team

NOW = datetime(2025, 11, 21, 9, 10, tzinfo=UTC)
SENT = SendOutcome(outcome=Outcome.OK, provider_id="250 queued as 42")


def ended(outcome: Outcome, reason: str = "x", **more: Any) -> SendOutcome:
    """Return what a carrier answers that does not take a message."""
    error = Failure(
        outcome=outcome,
        reason=reason,
        title=reason,
        message=f"It said {outcome.label}.",
        hint="Wait.",
        code=reason,
        **more,
    )
    return SendOutcome(outcome=outcome, error=error)


class Post:
    """Carriers by name: each takes everything until it is told to answer otherwise."""

    def __init__(self, app: Flask, team: Team) -> None:
        self.app, self.team = app, team
        self.answers: dict[str, SendOutcome] = {}
        self.asked: list[str] = []
        self.letters: list[OutgoingEmail] = []
        self.meanwhile: Callable[[str], object] = lambda name: None
        """Runs during each call."""

    def install(self, patch: pytest.MonkeyPatch) -> "Post":
        """Take the provider's place."""
        patch.setattr(Smtp, "send_email", self._send)
        return self

    def _send(self, values: Credentials, _context: Context, message: OutgoingEmail) -> SendOutcome:
        name = str(values["from_email"]).partition("@")[0]
        self.asked.append(name)
        self.letters.append(message)
        self.meanwhile(name)
        return self.answers.get(name, SENT)

    def carrier(self, name: str, **columns: Any) -> uuid.UUID:
        """Connect a carrier; those of a test are asked in the order of their names."""
        columns = {"config": {**CONFIG, "from_email": f"{name}@example.com"}, **columns}
        return make_integration(self.app, self.team.admin, name, **columns)

    def put(self, **changes: Any) -> uuid.UUID:
        """Queue an email; a keyword changes it."""
        values = {"to": "dana@example.org", "subject": "Down", "text": "SMTP is down.", "purpose": "alert", **changes}
        values.setdefault("channel", Channel.EMAIL)
        with self.app.app_context(), unit_of_work():
            return queue(organization_id=self.team.organization_id, **values).id

    def work(self) -> int:
        """Let the worker have a look, and send what it claims."""
        with self.app.app_context():
            found = claims.claim_due(100)
            for each in found:
                sending.run(each)
        return len(found)

    def message(self, message_id: uuid.UUID) -> Message:
        """Return a message as it is stored now."""
        with self.app.app_context(), reading() as session:
            return session.get_one(Message, message_id)

    def tries(self, message_id: uuid.UUID) -> list[MessageTry]:
        """Return the tries of a message, the first one first."""
        query = select(MessageTry).where(MessageTry.message_id == message_id).order_by(MessageTry.number)
        with self.app.app_context(), reading() as session:
            return list(session.scalars(query))

    def outcomes(self, message_id: uuid.UUID) -> list[tuple[str, str | None]]:
        """Return who was tried and how it ended."""
        return [(each.integration_name, each.outcome) for each in self.tries(message_id)]

    def used(self, integration_id: uuid.UUID) -> int:
        """Return how much a carrier sent today."""
        with self.app.app_context(), reading():
            return usage.of(integration_id, day_starts=usage.day_of("UTC")[0]).day
