"""SMTP logins: mechanisms, refusals that fit the mail service, and passwords that never show."""

from base64 import b64encode
from collections.abc import Callable
from typing import NamedTuple

import pytest

from portal.providers.base import Context, Outcome
from portal.providers.smtp import SMTP
from tests.providers.servers import Peer, Server
from tests.providers.smtp_kit import PASSWORD, credentials, failed, refuse_login


class Refusal(NamedTuple):
    """What a mail service says, and what a person must read."""

    host: str
    answer: str
    reason: str
    outcome: Outcome
    hint: str


REJECTED, MISSING, INVALID = Outcome.AUTH_REJECTED, Outcome.PERMISSION_MISSING, Outcome.INVALID_REQUEST
MICROSOFT = "535 5.7.139 Authentication unsuccessful,"
REFUSALS = [
    Refusal("smtp.sendgrid.net", "535 Authentication failed: Bad key", "login_rejected", REJECTED, "the word apikey"),
    Refusal(
        "smtp.sendgrid.net",
        "451 Authentication failed: Maximum credits exceeded",
        "quota_exceeded",
        Outcome.QUOTA_EXCEEDED,
        "plan",
    ),
    Refusal(
        "smtp.gmail.com",
        "535-5.7.8 Username and Password not accepted. For more information, go to|535 5.7.8  BadCredentials - gsmtp",
        "login_rejected",
        REJECTED,
        "app password",
    ),
    Refusal(
        "smtp.gmail.com",
        "534-5.7.9 Application-specific password required. Learn more at|534 5.7.9  InvalidSecondFactor",
        "app_password_needed",
        REJECTED,
        "apppasswords",
    ),
    Refusal(
        "smtp.gmail.com",
        "534-5.7.14 Please log in via your web browser and then try again.|534 5.7.14 gsmtp",
        "web_login_needed",
        REJECTED,
        "browser",
    ),
    Refusal(
        "smtp.gmail.com",
        "454 4.7.0 Too many login attempts, please try again later.",
        "rate_limited",
        Outcome.RATE_LIMITED,
        "Wait",
    ),
    Refusal(
        "smtp.office365.com",
        f"{MICROSOFT} SmtpClientAuthentication is disabled for the Tenant.",
        "smtp_switched_off",
        MISSING,
        "aka.ms/smtp_auth_disabled",
    ),
    Refusal(
        "smtp.office365.com",
        f"{MICROSOFT} basic authentication is disabled.",
        "passwords_switched_off",
        MISSING,
        "OAuth",
    ),
    Refusal(
        "smtp.office365.com",
        f"{MICROSOFT} the request did not meet the criteria to be authenticated successfully.",
        "policy_blocked",
        MISSING,
        "sign-in logs",
    ),
    Refusal(
        "smtp.office365.com",
        f"{MICROSOFT} the user credentials were incorrect.",
        "login_rejected",
        REJECTED,
        "mailbox",
    ),
    Refusal("smtp.mailgun.org", "535 5.7.0 Mailgun is not loving this", "login_rejected", REJECTED, "API key does not"),
    Refusal(
        "email-smtp.eu-west-1.amazonaws.com",
        "535 Authentication Credentials Invalid",
        "login_rejected",
        REJECTED,
        "SES console",
    ),
    Refusal("mail.example.com", "535 5.7.8 Error: authentication failed", "login_rejected", REJECTED, "Enter both"),
    Refusal("mail.example.com", "454 4.7.0 Temporary failure", "busy", Outcome.PROVIDER_ERROR, "says nothing about"),
    Refusal("mail.example.com", "530 5.7.0 Must issue STARTTLS first", "encryption_required", INVALID, "STARTTLS"),
    Refusal("mail.example.com", "538 5.7.11 Encryption required", "encryption_required", INVALID, "STARTTLS"),
    Refusal("mail.example.com", "502 5.5.1 Not implemented", "login_not_offered", INVALID, "STARTTLS"),
    Refusal("mail.example.com", "334 ", "unexpected_reply", Outcome.PROVIDER_ERROR, "Test again"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.host} {refusal.answer[:75]}")
def test_refused_login_fits_the_service(refusal: Refusal, context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH LOGIN" if refusal.answer.startswith("334") else "AUTH PLAIN")
        peer.hear()
        while peer.heard[-1]:
            peer.say(*refusal.answer.split("|"))
            peer.hear()

    with Server(script) as server:
        report = SMTP.test(credentials(server.port, host=refusal.host), context)
    step = failed(report)
    assert report.error
    assert (step.name, report.error.reason, report.outcome) == ("Login", refusal.reason, refusal.outcome)
    assert step.verbatim
    assert step.detail.startswith(refusal.answer[:3])
    assert step.code.startswith(refusal.answer[:3])
    assert refusal.hint in step.hint


def test_sendgrid_key_that_is_refused_reads_as_designed(context: Context) -> None:
    said = "535 Authentication failed: The provided authorization grant is invalid, expired, or revoked"
    with Server(refuse_login(said)) as server:
        report = SMTP.test(credentials(server.port, host="smtp.sendgrid.net", username="apikey"), context)
    step = failed(report)
    assert step.detail == said
    assert step.hint == (
        "SendGrid does not accept this key. Create one with the Mail Send permission in SendGrid, under Settings,"
        " API keys, and enter it as the password."
    )
    assert report.error
    assert (report.error.code, report.error.title, report.error.field) == ("535", "login failed", "password")


def test_enhanced_code_and_waiting_time_are_kept(context: Context) -> None:
    with Server(refuse_login("421 4.7.0 Too many connections, try again in 5 minutes")) as server:
        report = SMTP.probe(credentials(server.port), context)
    assert report.error
    assert (report.error.code, report.error.retry_after) == ("421 4.7.0", 300)
    assert report.error.as_dict()["retry_after"] == 300


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN PLAIN", "LOGIN", "CRAM-MD5", "CRAM-MD5 LOGIN"])
def test_refused_password_is_tried_once(mechanisms: str, context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanisms}")
        command = peer.hear()
        if not command.startswith("AUTH PLAIN"):
            peer.say("334 " + b64encode(b"<1896.697170952@mail.example.com>").decode())
            peer.hear()
            if command == "AUTH LOGIN":
                peer.say("334 UGFzc3dvcmQ6")
                peer.hear()
        peer.say("535 5.7.8 no")
        peer.hang()

    with Server(script) as server:
        report = SMTP.probe(credentials(server.port), context)
    assert report.outcome is Outcome.AUTH_REJECTED
    assert sum(line.startswith("AUTH ") for line in server.heard) == 1
    said = [part["text"] for part in context.transcript.shown() if part["way"] == "sent"]
    assert said[0].startswith("EHLO ")
    assert said[1] == ("AUTH PLAIN [redacted]" if "PLAIN" in mechanisms else server.heard[1])
    assert set(said[2:]) <= {"[redacted]"}, "neither user name nor password, in no form"
    assert context.transcript.shown()[-1] == {"way": "got", "text": "535 5.7.8 no"}


def test_unknown_mechanism_lets_the_next_one_try(context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN LOGIN")
        peer.take(
            "504 5.5.4 Unrecognized authentication type", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 fine", "250 ok"
        )

    with Server(script) as server:
        assert SMTP.probe(credentials(server.port), context).ok
    assert server.heard[2:5] == ["AUTH LOGIN", b64encode(b"user").decode(), b64encode(PASSWORD.encode()).decode()]


@pytest.mark.parametrize("password", ["pässwörd-ключ", "with space", "\U0001f511\U0001f511", "x" * 1024])
def test_password_in_any_alphabet_arrives(password: str, context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN")
        peer.take("235 fine", "250 ok")

    with Server(script) as server:
        assert SMTP.probe(credentials(server.port, password=password), context).ok
    assert server.heard[1] == "AUTH PLAIN " + b64encode(f"\0user\0{password}".encode()).decode()


def test_half_a_surrogate_pair_neither_crashes_nor_shows(context: Context) -> None:
    with Server(refuse_login("535 no")) as server:
        report = SMTP.probe(credentials(server.port, password="secret\ud800word"), context)
    assert report.outcome is Outcome.AUTH_REJECTED
    assert "secret" not in repr(report)


ECHOES: list[Callable[[str], str]] = [
    lambda secret: secret,
    lambda secret: f"you sent <{secret}> to us",
    lambda secret: b64encode(secret.encode()).decode(),
    lambda secret: b64encode(f"\0user\0{secret}".encode()).decode(),
    lambda secret: f"user:{secret}",
    lambda secret: f"password={secret}",
    lambda secret: secret[:8] + "\x00\x1b[31m" + secret[8:],
    lambda secret: secret[:9] + "\r\n535 " + secret[9:],
]


@pytest.mark.parametrize("echo", ECHOES, ids=range(len(ECHOES)))
@pytest.mark.parametrize("secret", [PASSWORD, "SG.abcdefghijklmnop.qrstuvwxyz0123456789"])
def test_server_that_repeats_the_password_does_not_reveal_it(
    echo: Callable[[str], str], secret: str, context: Context
) -> None:
    said = echo(secret)

    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN")
        peer.hear()
        first, *more = said.split("\r\n")
        peer.say(f"535{'-' if more else ' '}5.7.8 {first}", *more)
        peer.hang()

    with Server(script) as server:
        report = SMTP.test(credentials(server.port, password=secret), context)
    shown = f"{report!r} {report.as_dict()} {context.transcript!r} {context.transcript.shown()}"
    for form in (secret, b64encode(secret.encode()).decode(), b64encode(f"\0user\0{secret}".encode()).decode()):
        assert form not in shown
        assert form.replace(" ", "") not in shown.replace(" ", "")
    assert report.outcome is Outcome.AUTH_REJECTED
    assert "\x1b" not in shown
    assert report.error
    assert len(report.error.said) <= 300


def test_long_answer_is_cut(context: Context) -> None:
    with Server(refuse_login(*["535-" + "word " * 100] * 20, "535 end")) as server:
        report = SMTP.test(credentials(server.port), context)
    assert report.error
    assert len(report.error.said) <= 300
    assert report.error.said.endswith("…")
