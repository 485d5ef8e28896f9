"""A provider of text messages for tests: it answers as told, and keeps what it was asked."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from portal.providers import catalogue
from portal.providers.base import (
    Capability,
    Context,
    Credentials,
    ErrorRow,
    Field,
    FieldKind,
    Outcome,
    OutgoingSms,
    Provider,
    Report,
    SendOutcome,
)
from tests.support.integrations import CANARY, make_integration, passed
from tests.support.people import Person

SLUG = "courier"
FIELDS = (Field(name="password", label="Access", kind=FieldKind.SECRET, required=True),)
ERRORS = (ErrorRow(reason="x", outcome=Outcome.TIMEOUT, title="timed out", message="It did not answer.", hint="Wait."),)


@dataclass
class Texts:
    """What the provider was asked to send, and how it answers."""

    sending: SendOutcome = field(default_factory=lambda: SendOutcome(outcome=Outcome.OK, provider_id="SM42"))
    sent: list[tuple[Mapping[str, Any], OutgoingSms]] = field(default_factory=list)


def courier(texts: Texts) -> Provider:
    """Return the provider that hands its messages to `texts`."""

    class Courier(Provider):
        def probe(self, credentials: Credentials, context: Context) -> Report:
            return passed()

        def send_sms(self, credentials: Credentials, context: Context, message: OutgoingSms) -> SendOutcome:
            texts.sent.append((dict(credentials), message))
            return texts.sending

    return Courier(
        slug=SLUG,
        name="Courier",
        capabilities=(Capability.SMS,),
        summary="Text messages by courier.",
        needs="An access word.",
        fields=FIELDS,
        errors=ERRORS,
    )


def make_courier(app: Flask, owner: Person | uuid.UUID, name: str = "Texts", **columns: Any) -> uuid.UUID:
    """Store an active integration of the provider."""
    kind = {"provider": SLUG, "type": "sms", "capabilities": ["sms"], "config": {}}
    return make_integration(app, owner, name, password=CANARY, **(kind | columns))


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """A provider of text messages in the catalogue."""
    texts = Texts()
    monkeypatch.setattr(catalogue, "PROVIDERS", (*catalogue.PROVIDERS, courier(texts)))
    return texts
