"""Every web driver against the sandbox: the whole way through its context, network and certificates."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portal.providers.base import Context, Outcome, OutgoingChat, OutgoingEmail, OutgoingSms, Value
from portal.providers.sandboxed import sandbox_context
from portal.providers.sendgrid import SENDGRID
from portal.providers.slack import SLACK
from portal.providers.teams import TEAMS
from portal.providers.twilio import TWILIO
from portal.sandbox import Sandbox
from portal.sandbox.apis import sendgrid, slack, teams, twilio
from portal.sandbox.apis.twilio_messages import SERVICE_SID

MAIL = OutgoingEmail(to=("dana@example.org",), subject="Hello", text="Grüße", html="<p>Grüße</p>")
TEXT = OutgoingSms(to="+61491570156", text="Grüße")
BY_SENDGRID: dict[str, Value] = {
    "api_key": sendgrid.API_KEY,
    "verified_sender": f"noreply@{sendgrid.DOMAIN}",
    "from_name": "Northline",
    "region": "global",
}
BY_TWILIO: dict[str, Value] = {
    "account_sid": twilio.ACCOUNT_SID,
    "auth_token": twilio.AUTH_TOKEN,
    "from_number": twilio.FROM_NUMBER,
}
NOTE = OutgoingChat(
    title="Calendar: <down>",
    text="Grüße & more\nSecond line",
    facts=(("Impact", "Invites not created"),),
    url="https://portal.example/alerts/1",
    tone="warn",
)
BY_SLACK: dict[str, Value] = {"webhook_url": slack.HOOK}
BY_TEAMS: dict[str, Value] = {"webhook_url": teams.HOOK}
SECRETS = (sendgrid.API_KEY, twilio.AUTH_TOKEN, slack.HOOK[-20:], teams.HOOK[-40:])

PATIENCE = 60.0
"""Seconds for a call that is answered; a slow machine takes some."""


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox().start(port=0, smtp_port=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.reset()
    yield running
    running.reset()


@pytest.fixture
def context(sandbox: Sandbox) -> Context:
    return sandbox_context(sandbox.url, deadline=PATIENCE)


def test_sendgrid_from_test_to_email(sandbox: Sandbox, context: Context) -> None:
    test, probe = SENDGRID.test(BY_SENDGRID, context), SENDGRID.probe(BY_SENDGRID, context)
    assert test.ok, test
    assert probe.ok, probe
    assert all(step.state == "passed" for step in test.steps)
    assert sandbox.outbox == [], "tests and probes send nothing"
    sent = SENDGRID.send_email(BY_SENDGRID, context, MAIL)
    assert sent.ok, sent
    (mail,) = sandbox.outbox
    assert mail["provider"] == "sendgrid"
    assert MAIL.to[0] in str(mail)
    assert sent.provider_id in str(mail)


@pytest.mark.parametrize("sender", [sendgrid.SENDER, "somebody@elsewhere.example"])
def test_sendgrid_says_before_sending_what_it_will_say_then(context: Context, sender: str) -> None:
    credentials = BY_SENDGRID | {"verified_sender": sender}
    test, sent = SENDGRID.test(credentials, context), SENDGRID.send_email(credentials, context, MAIL)
    assert test.outcome is sent.outcome
    assert test.outcome is (Outcome.OK if sender == sendgrid.SENDER else Outcome.PERMISSION_MISSING)
    if test.error and sent.error:
        assert test.error.reason == sent.error.reason == "sender_rejected"


def test_sendgrid_key_that_only_reads(context: Context) -> None:
    reading = BY_SENDGRID | {"api_key": sendgrid.READING_KEY}
    report = SENDGRID.test(reading, context)
    assert report.error
    assert report.error.reason == "cannot_send"
    assert SENDGRID.send_email(reading, context, MAIL).outcome is Outcome.PERMISSION_MISSING


@pytest.mark.parametrize("sender", [twilio.FROM_NUMBER, SERVICE_SID])
def test_twilio_from_test_to_text(sandbox: Sandbox, context: Context, sender: str) -> None:
    credentials = BY_TWILIO | {"from_number": sender}
    test, probe = TWILIO.test(credentials, context), TWILIO.probe(credentials, context)
    assert test.ok, test
    assert probe.ok, probe
    assert all(step.state == "passed" for step in test.steps)
    assert sandbox.outbox == [], "tests and probes send nothing"
    sent = TWILIO.send_sms(credentials, context, TEXT)
    assert sent.ok, sent
    (text,) = sandbox.outbox
    assert (text["to"], text["text"], text["sid"]) == (TEXT.to, TEXT.text, sent.provider_id)


@pytest.mark.parametrize(
    ("ending", "outcome", "reason"),
    [
        ("0001", Outcome.RECIPIENT_REJECTED, "recipient_rejected"),
        ("0002", Outcome.PERMISSION_MISSING, "pair_not_reachable"),
        ("0003", Outcome.PERMISSION_MISSING, "country_not_allowed"),
        ("0004", Outcome.RECIPIENT_REJECTED, "opted_out"),
        ("0009", Outcome.RECIPIENT_REJECTED, "recipient_rejected"),
        ("0429", Outcome.RATE_LIMITED, "rate_limited"),
        ("0500", Outcome.UNKNOWN_OUTCOME, "unconfirmed"),
    ],
)
def test_twilio_magic_numbers(sandbox: Sandbox, context: Context, ending: str, outcome: Outcome, reason: str) -> None:
    sent = TWILIO.send_sms(BY_TWILIO, context, OutgoingSms(to=f"+1500555{ending}", text="Hello"))
    assert sent.error
    assert (sent.outcome, sent.error.reason) == (outcome, reason)
    assert sandbox.outbox == []


def test_twilio_accounts_that_do_not_work(context: Context) -> None:
    suspended = TWILIO.test(BY_TWILIO | {"account_sid": twilio.SUSPENDED_SID}, context)
    assert suspended.error
    assert (suspended.outcome, suspended.error.reason) == (Outcome.QUOTA_EXCEEDED, "account_suspended")
    unknown = TWILIO.test(BY_TWILIO | {"account_sid": "AC" + "9" * 32}, context)
    assert unknown.outcome is Outcome.AUTH_REJECTED
    other = TWILIO.test(BY_TWILIO | {"from_number": "+61255500010"}, context)
    assert other.error
    assert other.error.reason == "number_without_sms"


@pytest.mark.parametrize(
    ("provider", "played", "title"),
    [(SLACK, slack, "🟠 Calendar: <down>"), (TEAMS, teams, "Calendar: <down>")],
    ids=["slack", "teams"],
)
def test_chat_from_test_to_message(sandbox: Sandbox, context: Context, provider: Any, played: Any, title: str) -> None:
    credentials = {"webhook_url": played.HOOK}
    for run in (provider.test, provider.probe):
        assert run(credentials, context).ok
    assert sandbox.outbox == [], "tests and probes post nothing"
    sent = provider.send_chat(credentials, context, NOTE)
    assert sent.ok, sent
    (note,) = sandbox.outbox
    assert (note["channel"], note["provider"], note["to"]) == ("chat", provider.slug, played.CHANNEL)
    assert (note["title"], note["text"]) == (title, "Grüße & more\nSecond line")
    assert (note["facts"], note["url"]) == ([["Impact", "Invites not created"]], NOTE.url)
    assert not any(secret in str(sandbox.requests) for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (slack.REVOKED_HOOK, "webhook_gone"),
        (slack.ARCHIVED_HOOK, "channel_gone"),
        (f"{slack.HOOK}x", "login_rejected"),
        ("https://hooks.slack-gov.com/services/T0OTHER/B0ALERTS/x", "webhook_gone"),
    ],
)
def test_slack_says_at_the_check_what_it_will_say_to_a_message(context: Context, url: str, reason: str) -> None:
    report, sent = SLACK.probe({"webhook_url": url}, context), SLACK.send_chat({"webhook_url": url}, context, NOTE)
    assert report.error
    assert sent.error
    assert report.error.reason == sent.error.reason == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (teams.OFF_HOOK, "workflow_off"),
        (f"{teams.HOOK}x", "login_rejected"),
        (teams.HOOK.replace("6c", "aa"), "not_found"),
        (f"https://prod-1.westus.logic.azure.com/workflows/0/{teams.HOOK.split('/', 8)[8]}", "not_found"),
    ],
)
def test_teams_says_it_to_a_message_only(context: Context, url: str, reason: str) -> None:
    assert TEAMS.probe({"webhook_url": url}, context).ok
    sent = TEAMS.send_chat({"webhook_url": url}, context, NOTE)
    assert sent.error
    assert sent.error.reason == reason


FAULTS = [
    ("bad_credentials", Outcome.AUTH_REJECTED, Outcome.AUTH_REJECTED),
    ("revoked", Outcome.AUTH_REJECTED, Outcome.AUTH_REJECTED),
    ("rate_limit", Outcome.RATE_LIMITED, Outcome.RATE_LIMITED),
    ("error_500", Outcome.PROVIDER_ERROR, Outcome.UNKNOWN_OUTCOME),
    ("malformed", Outcome.PROVIDER_ERROR, Outcome.UNKNOWN_OUTCOME),
    ("timeout", Outcome.TIMEOUT, Outcome.UNKNOWN_OUTCOME),
]


@pytest.mark.parametrize(("mode", "probing", "sending"), FAULTS, ids=[mode for mode, _, _ in FAULTS])
def test_faults_of_the_sandbox(
    sandbox: Sandbox, mode: str, probing: Outcome, sending: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    context = sandbox_context(sandbox.url, deadline=0.25 if mode == "timeout" else PATIENCE)
    for slug in ("sendgrid", "twilio", "slack", "teams"):
        sandbox.fault(slug, mode=mode)
    calls: list[tuple[Callable[[], object], Outcome]] = [
        (lambda: SENDGRID.probe(BY_SENDGRID, context), probing),
        (lambda: SENDGRID.send_email(BY_SENDGRID, context, MAIL), sending),
        (lambda: TWILIO.probe(BY_TWILIO, context), probing),
        (lambda: TWILIO.send_sms(BY_TWILIO, context, TEXT), sending),
        (lambda: SLACK.probe(BY_SLACK, context), probing),
        (lambda: SLACK.send_chat(BY_SLACK, context, NOTE), sending),
        (lambda: TEAMS.send_chat(BY_TEAMS, context, NOTE), sending),
    ]
    for call, outcome in calls:
        result = call()
        assert getattr(result, "outcome", None) is outcome, result
        assert not any(secret in repr(result) for secret in SECRETS)
    assert not any(secret in caplog.text for secret in SECRETS)
