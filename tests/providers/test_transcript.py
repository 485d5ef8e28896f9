"""What a call sent and got, as it is kept: without secrets, bounded, of every driver."""

import json

import pytest

from portal.providers.base import Context, Value
from portal.providers.sandboxed import sandbox_context
from portal.providers.sendgrid import SENDGRID
from portal.providers.smtp import SMTP
from portal.providers.transcript import LARGEST, Transcript
from portal.providers.twilio import TWILIO
from portal.sandbox import PASSWORD, Sandbox
from tests.providers.test_against_sandbox import BY_SENDGRID, BY_TWILIO, SECRETS, running, sandbox

__all__ = ["running", "sandbox"]
SECRET = "cAnArY-4f1d9c77b2e0"
BY_SMTP: dict[str, Value] = {
    "host": "mail.example.com", "port": 587, "security": "starttls", "username": "portal", "password": PASSWORD,
    "from_email": "noreply@example.com",
}  # fmt: skip


def kept(*parts: str) -> list[str]:
    transcript = Transcript()
    transcript.know([SECRET, ""])
    for each in parts:
        transcript.got(each)
    return [part["text"] for part in transcript.shown()]


def test_secrets_go_wherever_they_stand() -> None:
    assert kept(f"Authorization: Bearer {SECRET}", f"hello {SECRET}") == [
        "Authorization: [redacted]", "hello [redacted]",
    ]  # fmt: skip
    assert SECRET[:6] not in kept(f"{SECRET[:9]}\r\n {SECRET[9:]}")[0], "not in pieces either"
    assert kept("one\r\ntwo\x1b[31m", "") == ["one\ntwo[31m"]


@pytest.mark.parametrize("before", range(32768 - len(SECRET), 32769))
def test_a_secret_at_the_edge_of_what_is_read_leaves_nothing(before: int) -> None:
    repeated = (SECRET * 2000)[: before - 200] + "x" * 200  # shrinks so much that its end is within what is shown
    assert SECRET[:4] not in "".join(kept(repeated + SECRET + "y" * 100))


def test_it_is_bounded() -> None:
    found = kept(*["ä" * 40_000] * 9)
    assert sum(len(each.encode()) for each in found) <= LARGEST
    assert found[0].endswith("ä…")
    assert len(kept(*["x"] * 500)) < 100
    assert SECRET not in repr(Transcript())


@pytest.fixture
def context(sandbox: Sandbox) -> Context:
    return sandbox_context(sandbox.url, deadline=5.0)


def test_every_driver_tells_what_it_sent_and_got(context: Context) -> None:
    for provider, credentials in ((SENDGRID, BY_SENDGRID), (TWILIO, BY_TWILIO), (SMTP, BY_SMTP)):
        assert provider.probe(credentials, context).ok, provider.slug
    said = context.transcript.shown()
    ways = {way: "\n".join(part["text"] for part in said if part["way"] == way) for way in ("sent", "got", "note")}
    assert "GET https://api.sendgrid.com/v3/scopes" in ways["sent"]
    assert "Authorization: [redacted]" in ways["sent"]
    assert "GET https://api.twilio.com/2010-04-01/Accounts/[redacted].json" in ways["sent"]
    assert "EHLO" in ways["sent"]
    assert "NOOP" in ways["sent"]
    assert "QUIT" in ways["sent"]
    assert "mail.send" in ways["got"]
    assert "250" in ways["got"]
    assert ways["note"].startswith("Encrypted from here: ")
    for secret in (*SECRETS, PASSWORD):
        assert secret not in json.dumps(said)
