"""The sandbox's mail server: the SMTP driver against it, without and with faults."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from portal.providers.base import Context, Outcome, OutgoingEmail, StepState, Value
from portal.providers.sandboxed import sandbox_context
from portal.providers.smtp import SMTP
from portal.sandbox import PASSWORD, Sandbox, SandboxError

Make = Callable[..., dict[str, Value]]
MESSAGE = OutgoingEmail(to=("dana@example.org",), subject="Grüße", text="Hallo Dana\n", html="<p>Hallo</p>")


def context_of(sandbox: Sandbox, deadline: float = 5.0) -> Context:
    return sandbox_context(sandbox.url, deadline=deadline)


@pytest.mark.parametrize("host", ["smtp.sendgrid.net", "mail.example.com", "127.0.0.1", "localhost"])
@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_every_host_and_security_leads_to_the_sandbox(
    host: str, security: str, port: int, sandbox: Sandbox, credentials: Make
) -> None:
    report = SMTP.test(credentials(host=host, security=security, port=port), context_of(sandbox))
    assert report.ok, report.error
    assert [step.state for step in report.steps].count(StepState.PASSED) == (4 if security == "none" else 5)
    assert report.steps[1].detail.startswith("127.0.0.1, port ")


def test_message_lands_in_the_outbox(sandbox: Sandbox, credentials: Make) -> None:
    outcome = SMTP.send_email(credentials(), context_of(sandbox), MESSAGE)
    assert outcome.ok
    (mail,) = sandbox.outbox
    assert (mail["channel"], mail["from"], mail["to"]) == ("email", "noreply@northline.example", ["dana@example.org"])
    assert (mail["subject"], mail["text"], mail["html"]) == ("Grüße", "Hallo Dana\r\n", "<p>Hallo</p>\r\n")
    assert mail["from_header"] == "Northline <noreply@northline.example>"
    assert mail["message_id"] == outcome.message_id
    assert str(mail["queue_id"]) in outcome.provider_id


def test_test_and_probe_send_nothing(sandbox: Sandbox, credentials: Make) -> None:
    assert SMTP.test(credentials(), context_of(sandbox)).ok
    assert SMTP.probe(credentials(), context_of(sandbox)).ok
    assert sandbox.outbox == []
    assert [entry["commands"] for entry in sandbox.requests] == [
        ["AUTH PLAIN apikey", "NOOP"],
        ["AUTH PLAIN apikey", "MAIL FROM:<noreply@northline.example>"],
    ]


def test_refused_recipient(sandbox: Sandbox, credentials: Make) -> None:
    outcome = SMTP.send_email(credentials(), context_of(sandbox), replace(MESSAGE, to=("refused@example.org",)))
    assert outcome.outcome is Outcome.RECIPIENT_REJECTED
    assert sandbox.outbox == []


def test_login_is_needed_and_checked(sandbox: Sandbox, credentials: Make) -> None:
    context = context_of(sandbox)
    assert SMTP.probe(credentials(password="wrong"), context).outcome is Outcome.AUTH_REJECTED
    without = SMTP.test(credentials(username="", password=""), context)
    assert without.error
    assert without.error.reason == "login_required"


@pytest.mark.parametrize("password", [PASSWORD, "a-password-that-is-wrong"])
def test_passwords_are_never_remembered(password: str, sandbox: Sandbox, credentials: Make) -> None:
    for security, port in (("none", 25), ("starttls", 587)):
        SMTP.send_email(credentials(password=password, security=security, port=port), context_of(sandbox), MESSAGE)
    assert password not in f"{sandbox.requests} {sandbox.outbox}"


@pytest.mark.parametrize(
    ("mode", "outcome", "step"),
    [
        ("bad_credentials", Outcome.AUTH_REJECTED, "Login"),
        ("revoked", Outcome.AUTH_REJECTED, "Login"),
        ("error_500", Outcome.PROVIDER_ERROR, "Login"),
        ("rate_limit", Outcome.RATE_LIMITED, "TCP"),
        ("malformed", Outcome.INVALID_REQUEST, "TCP"),
    ],
)
def test_fault(mode: str, outcome: Outcome, step: str, sandbox: Sandbox, credentials: Make) -> None:
    context = context_of(sandbox)
    sandbox.fault("smtp", mode=mode, times=2)
    for call in (SMTP.probe, SMTP.test):
        report = call(credentials(), context)
        assert report.outcome is outcome
        assert next(each.name for each in report.steps if each.state is StepState.FAILED) == step
    assert SMTP.probe(credentials(), context).ok, "a fault ends after so many times"
    assert [entry["fault"] for entry in sandbox.requests] == ["none", mode, mode]


def test_rate_limit_says_when_to_come_back(sandbox: Sandbox, credentials: Make) -> None:
    sandbox.fault("smtp", mode="rate_limit")
    report = SMTP.probe(credentials(), context_of(sandbox))
    assert report.error
    assert report.error.retry_after == 60


def test_fault_error_500_also_meets_a_server_without_login(sandbox: Sandbox, credentials: Make) -> None:
    sandbox.fault("smtp", mode="error_500")
    for call in (SMTP.probe, SMTP.test):
        report = call(credentials(username="", password=""), context_of(sandbox))
        assert report.outcome is Outcome.PROVIDER_ERROR


def test_hanging_server_is_bounded_by_the_caller(sandbox: Sandbox, credentials: Make) -> None:
    sandbox.fault("smtp", mode="timeout")
    report = SMTP.probe(credentials(), context_of(sandbox, deadline=0.3))
    assert report.outcome is Outcome.TIMEOUT
    assert report.response_time_ms < 5000


@pytest.mark.parametrize("how", ["reset", "another fault", "delay"])
def test_hanging_connection_is_let_go(how: str, sandbox: Sandbox) -> None:
    sandbox.fault("smtp", mode="timeout", delay_ms=50 if how == "delay" else None)
    with socket.create_connection(("127.0.0.1", sandbox.smtp_port), timeout=10) as connection:
        while not sandbox.requests:
            threading.Event().wait(0.005)
        if how == "reset":
            sandbox.reset()
        elif how == "another fault":
            sandbox.fault("smtp", mode="none")
        assert connection.recv(100) == b""


def test_slow_server_still_answers(sandbox: Sandbox, credentials: Make) -> None:
    sandbox.fault("smtp", mode="slow", delay_ms=80)
    report = SMTP.probe(credentials(), context_of(sandbox))
    assert report.ok
    assert report.response_time_ms >= 80


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    for number in range(1100):
        sandbox.state.sent("email", {"number": number})
        sandbox.state.received("smtp", {"number": number})
    assert len(sandbox.outbox) == len(sandbox.requests) == 1000
    assert sandbox.outbox[0]["number"] == 1099, "newest first"


def test_long_message_is_kept_in_part(sandbox: Sandbox, credentials: Make) -> None:
    text = "word " * 40_000
    assert SMTP.send_email(credentials(), context_of(sandbox), replace(MESSAGE, text=text)).ok
    assert len(str(sandbox.outbox[0]["text"])) == 32768
    assert int(str(sandbox.outbox[0]["size"])) > len(text)


def test_stop_ends_hanging_connections_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start(port=0, smtp_port=0)
    sandbox.fault("smtp", mode="timeout")
    with socket.create_connection(("127.0.0.1", sandbox.smtp_port), timeout=10) as connection:
        while not sandbox.requests:
            threading.Event().wait(0.005)
        sandbox.stop()
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    assert set(threading.enumerate()) <= before
    sandbox.reset()  # harmless afterwards


@pytest.mark.timeout(20)
def test_ended_connections_are_forgotten(sandbox: Sandbox, credentials: Make) -> None:
    for security, port in (("none", 25), ("starttls", 587), ("tls", 465)):
        assert SMTP.probe(credentials(security=security, port=port), context_of(sandbox)).ok
    assert not SMTP.probe(credentials(password="wrong"), context_of(sandbox)).ok
    sandbox.fault("smtp", mode="timeout")
    socket.create_connection(("127.0.0.1", sandbox.smtp_port)).close()
    while sandbox._mail.connections:
        threading.Event().wait(0.005)


def test_taken_port_is_said_in_one_line(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match=rf"cannot listen on 127.0.0.1:{sandbox.smtp_port} .*--smtp-port"):
        Sandbox().start(port=0, smtp_port=sandbox.smtp_port)
    with pytest.raises(SandboxError, match=rf"cannot listen on 127.0.0.1:{sandbox.port} .*--port"):
        Sandbox().start(port=sandbox.port, smtp_port=0)


def test_sandbox_that_does_not_run_is_said(credentials: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "https://127.0.0.1:1", "nonsense", "", "http://[", "http://x:99999"):
        report = SMTP.probe(credentials(), sandbox_context(url))
        assert report.error
        assert (report.error.reason, report.outcome) == ("sandbox_down", Outcome.UNREACHABLE)


def test_authority_of_the_sandbox_is_trusted_nowhere_else(sandbox: Sandbox, credentials: Make) -> None:
    context = replace(context_of(sandbox), extra_ca_pem="")
    report = SMTP.probe(credentials(), context)
    assert report.error
    assert report.error.reason == "certificate_untrusted"
