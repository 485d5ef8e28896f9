"""The table that says what a mail server's answer means."""

import pytest

from portal.providers.smtp.errors import TABLE
from portal.providers.smtp.presets import service_of
from portal.providers.smtp.replies import RULES, Stage, full_code, reason_of, retry_after, service_named

MEANINGS = [
    (Stage.GREETING, 421, "4.3.2 Service not available", "busy"),
    (Stage.GREETING, 554, "5.7.1 Your IP is blocked", "not_taking_clients"),
    (Stage.HELLO, 550, "Access denied", "not_taking_clients"),
    (Stage.TLS, 454, "4.7.0 TLS not available", "starttls_refused"),
    (Stage.LOGIN, 454, "Throttling failure: Daily message quota exceeded.", "quota_exceeded"),
    (Stage.LOGIN, 421, "4.7.0 Try again later, closing connection.", "rate_limited"),
    (Stage.LOGIN, 421, "4.3.2 Service shutting down", "busy"),
    (Stage.LOGIN, 432, "4.7.12 A password transition is needed", "busy"),
    (Stage.LOGIN, 534, "5.7.9 Application-specific password required", "app_password_needed"),
    (Stage.LOGIN, 550, "5.7.1 whatever", "login_rejected"),
    (Stage.NOOP, 530, "5.7.0 Authentication required", "login_required"),
    (Stage.SENDER, 530, "5.7.57 Client not authenticated to send mail.", "login_required"),
    (Stage.SENDER, 550, "5.7.57 Client not authenticated to send mail.", "login_required"),
    (Stage.SENDER, 530, "5.7.0 Must issue a STARTTLS command first", "encryption_required"),
    (Stage.SENDER, 550, "The from address does not match a verified Sender Identity.", "sender_rejected"),
    (Stage.SENDER, 553, "5.1.7 The sender's address is malformed", "sender_malformed"),
    (Stage.SENDER, 501, "5.5.4 Syntax error", "sender_malformed"),
    (Stage.SENDER, 552, "5.3.4 Message size exceeds fixed limit", "message_too_large"),
    (Stage.SENDER, 452, "4.3.1 Insufficient system storage", "busy"),
    (Stage.RECIPIENT, 550, "5.1.1 No such user", "recipient_rejected"),
    (Stage.RECIPIENT, 552, "5.2.2 Mailbox full", "recipient_rejected"),
    (Stage.RECIPIENT, 550, "5.2.2 user is over quota", "recipient_rejected"),
    (Stage.RECIPIENT, 554, "5.7.1 <a@b>: Relay access denied", "relay_denied"),
    (Stage.RECIPIENT, 553, "5.7.1 <x@y>: Sender address rejected: not owned by user z", "sender_rejected"),
    (Stage.RECIPIENT, 554, "5.7.1 Client host [1.2.3.4] blocked using zen.spamhaus.org", "not_taking_clients"),
    (Stage.RECIPIENT, 450, "4.2.0 Greylisted, try again later", "busy"),
    (Stage.RECIPIENT, 452, "4.5.3 Too many recipients", "rate_limited"),
    (Stage.DATA, 554, "Message rejected: Email address is not verified.", "sender_rejected"),
    (Stage.DATA, 554, "5.2.252 SendAsDenied; x not allowed to send as y", "sender_rejected"),
    (Stage.DATA, 554, "5.7.1 Looks like spam", "message_refused"),
    (Stage.DATA, 454, "Throttling failure: Maximum sending rate exceeded.", "rate_limited"),
    (Stage.DATA, 250, "fine", "unexpected_reply"),
]


@pytest.mark.parametrize(("stage", "code", "text", "reason"), MEANINGS)
def test_answer_means(stage: Stage, code: int, text: str, reason: str) -> None:
    assert reason_of(stage, code, text) == reason


def test_every_rule_leads_to_a_row() -> None:
    assert {rule.reason for rule in RULES} <= set(TABLE)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [200, 334, 421, 454, 499, 500, 535, 554, 599, 0, 999])
def test_every_answer_has_a_row_and_only_a_login_is_about_credentials(stage: Stage, code: int) -> None:
    reason = reason_of(stage, code, "")
    assert reason in TABLE
    assert stage is Stage.LOGIN or TABLE[reason].outcome != "auth_rejected"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 60 seconds", 60),
        ("Try again in 5 minutes.", 300),
        ("wait 2 hours", 7200),
        ("after 99999 h", 86400),
        ("try again later", None),
        ("in 2026", None),
        ("in 123456789 seconds", None),
    ],
)
def test_time_to_wait(text: str, seconds: int | None) -> None:
    assert retry_after(text) == seconds


def test_code_with_its_enhanced_code() -> None:
    assert full_code(535, "5.7.8 Bad") == "535 5.7.8"
    assert full_code(535, "Bad 5.7.8") == "535"


def test_other_services_are_named_by_their_first_words() -> None:
    assert service_named(b"HTTP/1.0 400") == ", but a web server"
    assert service_named(b"<html>") == ", but a web server"
    assert service_named(b"gibberish") == ""


@pytest.mark.parametrize(
    ("values", "service"),
    [
        ({"host": "smtp.sendgrid.net", "preset": "custom"}, "sendgrid"),
        ({"host": "SMTP.GMAIL.COM"}, "gmail"),
        ({"host": "email-smtp.eu-west-1.amazonaws.com"}, "ses"),
        ({"host": "evilsendgrid.net"}, "custom"),
        ({"host": "mail.example.com", "preset": "mailgun"}, "mailgun"),
        ({}, "custom"),
    ],
)
def test_mail_service_is_known_by_its_host(values: dict[str, str | int | bool], service: str) -> None:
    assert service_of(values) == service
