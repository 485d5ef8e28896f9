"""The SMTP fault matrix: what every kind of broken server looks like to a person, against real sockets."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from socket import EAI_AGAIN, EAI_FAIL, EAI_NONAME, create_server, gaierror, socket
from threading import Event
from typing import NoReturn

import pytest

from portal.providers.base import Context, Outcome, Value
from portal.providers.network import GuardedNetwork
from portal.providers.smtp import SMTP
from portal.security.network import Address, AddressPolicy, Resolver
from tests.providers.servers import Peer, Script, Server
from tests.providers.smtp_kit import (
    LOGIN,
    PASSWORD,
    MakeContext,
    credentials,
    drip,
    failed,
    greet,
    hang,
    hear,
    leave,
    play,
    refuse_login,
    say,
    send,
    take,
)

INVALID, UNREACHABLE, TIMEOUT = Outcome.INVALID_REQUEST, Outcome.UNREACHABLE, Outcome.TIMEOUT
BROKEN, MISSING, LIMITED = Outcome.PROVIDER_ERROR, Outcome.PERMISSION_MISSING, Outcome.RATE_LIMITED
SHORT = 0.5
GRACE = 5.0
"""Seconds that a busy machine may add; a call without bounds would take for ever."""


@dataclass(frozen=True)
class Case:
    """One broken server and what must be said about it."""

    name: str
    script: Script
    step: str
    outcome: Outcome
    reason: str
    says: str = ""
    security: str = "none"
    changes: dict[str, Value] = field(default_factory=dict)
    deadline: float = 5.0


def endless_answer(peer: Peer) -> None:
    peer.say("220 mail.example.com")
    peer.hear()
    while True:
        peer.send(b"250-AND ANOTHER EXTENSION\r\n" * 100)


NO_LOGIN: dict[str, Value] = {"username": "", "password": ""}
STARTS = play(greet("STARTTLS"), take("220 go ahead"))
AT_LOGIN = play(greet(LOGIN), hear)
AT_SENDER = play(greet(LOGIN), take("235 2.7.0 fine"), hear)

NOT_MAIL = [
    Case("http", send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "TCP", INVALID, "not_smtp", "a web server"),
    Case("ssh", send(b"SSH-2.0-OpenSSH_9.7\r\n"), "TCP", INVALID, "not_smtp", "an SSH server"),
    Case("imap", send(b"* OK IMAP4rev1 ready\r\n"), "TCP", INVALID, "not_smtp", "for reading mail"),
    Case("pop3", send(b"+OK POP3 ready\r\n"), "TCP", INVALID, "not_smtp", "POP3"),
    Case("binary", send(bytes(range(256)) + b"\r\n"), "TCP", INVALID, "not_smtp"),
    Case("one endless line", send(b"A" * 10_000_000), "TCP", INVALID, "not_smtp"),
    Case("220 and an endless line", send(b"220 " + b"A" * 10_000_000), "TCP", INVALID, "not_smtp"),
    Case("endless greeting", send(b"220-more\r\n" * 1_000_000), "TCP", INVALID, "not_smtp"),
    Case("endless extensions", endless_answer, "TCP", BROKEN, "rubbish", "after its greeting"),
    Case("rubbish at login", refuse_login("what?"), "Login", BROKEN, "rubbish", "during the login"),
]
DROPS = [
    Case("at once", leave, "TCP", UNREACHABLE, "closed", "before its greeting"),
    Case("in the greeting", send(b"220 mail.exa"), "TCP", UNREACHABLE, "closed", "before its greeting"),
    Case("after the greeting", say("220 hi"), "TCP", UNREACHABLE, "closed", "after its greeting"),
    Case("in TLS", STARTS, "TLS", UNREACHABLE, "closed", "encryption", "starttls"),
    Case("at login", AT_LOGIN, "Login", UNREACHABLE, "closed", "during the login"),
    Case("at sender", AT_SENDER, "Sender", UNREACHABLE, "closed", "the sender"),
]
SILENT = [
    Case("greeting", hang, "TCP", TIMEOUT, "wants_tls_first", "no complete greeting within "),
    Case("dripping greeting", drip(b"220-x\r\n"), "TCP", TIMEOUT, "wants_tls_first", "choose TLS"),
    Case("after the greeting", play(say("220 hi"), hang), "TCP", TIMEOUT, "no_answer", "after its greeting"),
    Case("login", play(AT_LOGIN, hang), "Login", TIMEOUT, "no_answer", "during the login within "),
    Case("dripping login", play(AT_LOGIN, drip(b"235")), "Login", TIMEOUT, "no_answer", "during the login"),
    Case("sender", play(AT_SENDER, hang), "Sender", TIMEOUT, "no_answer", "the sender"),
    Case("STARTTLS", play(STARTS, hang), "TLS", TIMEOUT, "no_answer", "encryption", "starttls"),
    Case("TLS", hang, "TLS", TIMEOUT, "no_answer", "encryption", "tls"),
]
SECURITY = [
    Case("TLS on a plain port", greet(), "TLS", INVALID, "wants_starttls", "Choose STARTTLS", "tls"),
    Case("no STARTTLS", greet(LOGIN), "TLS", INVALID, "starttls_not_offered", "does not offer STARTTLS", "starttls"),
    Case(
        "STARTTLS refused",
        play(greet("STARTTLS"), take("454 TLS not available")),
        "TLS",
        BROKEN,
        "starttls_refused",
        security="starttls",
    ),
    Case("plain after STARTTLS", play(STARTS, hear, say("250 hi")), "TLS", BROKEN, "rubbish", security="starttls"),
    Case(
        "answers slipped in before TLS",
        play(greet("STARTTLS"), take("220 go\r\n250 slipped in"), hang),
        "TLS",
        BROKEN,
        "rubbish",
        security="starttls",
    ),
]
REFUSES = [
    Case("busy", say("421 4.3.2 Shutting down"), "TCP", BROKEN, "busy"),
    Case("blocked", say("554 5.7.1 No service for you"), "TCP", BROKEN, "not_taking_clients"),
    Case("too many", say("421 4.7.0 Too many connections"), "TCP", LIMITED, "rate_limited"),
    Case("no login offered", play(greet(), hang), "Login", INVALID, "login_not_offered", "offers no login"),
    Case("no common login", play(greet("AUTH GSSAPI X"), hang), "Login", INVALID, "login_unknown_way", "GSSAPI X"),
    Case("sender 550", play(AT_SENDER, say("550 5.7.60 no")), "Sender", MISSING, "sender_rejected", "noreply@"),
    Case("sender 451", play(AT_SENDER, say("451 4.3.0 later")), "Sender", BROKEN, "busy"),
    Case(
        "login needed",
        play(greet(), take("530 5.7.0 Authentication required")),
        "Sender",
        INVALID,
        "login_required",
        "Enter a user name",
        changes=NO_LOGIN,
    ),
]
CASES = {
    f"{kind}: {case.name}": replace(case, deadline=SHORT) if kind == "silent" else case
    for kind, cases in (
        ("not mail", NOT_MAIL),
        ("drops", DROPS),
        ("silent", SILENT),
        ("security", SECURITY),
        ("refuses", REFUSES),
    )
    for case in cases
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fault_in_words(case: Case, make_context: MakeContext) -> None:
    with Server(case.script) as server:
        begun = time.monotonic()
        report = SMTP.test(credentials(server.port, case.security, **case.changes), make_context(case.deadline))
        took = time.monotonic() - begun
    step = failed(report)
    assert report.error is not None
    assert (step.name, report.outcome, report.error.reason) == (case.step, case.outcome, case.reason)
    assert took < case.deadline + GRACE
    words = f"{step.detail} {report.error.message} {step.hint}"
    assert "mail.example.com" in words
    assert case.says in words
    assert report.error.message.endswith(".")
    assert step.hint == report.error.hint
    assert len(step.detail) <= 300
    assert PASSWORD not in repr(report)


def test_total_time_holds_over_many_short_waits(make_context: MakeContext) -> None:
    """Each answer alone comes in time; together they would take for ever."""

    def script(peer: Peer) -> None:
        peer.greet(LOGIN)
        while peer.hear():
            peer.drip(b"250-still there\r\n")

    with Server(script) as server:
        begun = time.monotonic()
        report = SMTP.probe(credentials(server.port), make_context(0.4))
    assert time.monotonic() - begun < GRACE
    assert report.outcome is Outcome.TIMEOUT


def test_refused_connection(make_context: MakeContext) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = SMTP.test(credentials(port), make_context())
    assert failed(report).name == "TCP"
    assert (report.outcome, report.error and report.error.reason) == (Outcome.UNREACHABLE, "connect_refused")
    assert f"refused the connection on port {port}" in failed(report).detail


class NeverAnswers(GuardedNetwork):
    """Nobody takes the connection."""

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        assert timeout <= SHORT
        raise TimeoutError


def test_connection_that_is_never_answered() -> None:
    network = NeverAnswers(AddressPolicy(), Resolver(lambda name, port: ["93.184.216.34"]))
    report = SMTP.test(credentials(587), Context(network=network, deadline=SHORT))
    step = failed(report)
    assert (step.name, report.outcome) == ("TCP", TIMEOUT)
    assert report.error
    assert (report.error.reason, report.error.title) == ("connect_timeout", "connection timed out")
    assert step.detail.startswith("mail.example.com did not answer on port 587 within ")


@pytest.mark.parametrize(
    ("errno", "outcome", "reason"),
    [
        (EAI_NONAME, Outcome.UNREACHABLE, "dns_not_found"),
        (EAI_AGAIN, Outcome.UNREACHABLE, "dns_failed"),
        (EAI_FAIL, Outcome.UNREACHABLE, "dns_failed"),
    ],
)
def test_name_that_cannot_be_looked_up(errno: int, outcome: Outcome, reason: str) -> None:
    def lookup(name: str, port: int) -> NoReturn:
        raise gaierror(errno, "said by the resolver")

    report = SMTP.test(credentials(587), Context(network=GuardedNetwork(resolver=Resolver(lookup))))
    assert failed(report).name == "DNS"
    assert (report.outcome, report.error and report.error.reason) == (outcome, reason)
    assert "mail.example.com" in failed(report).detail


def test_silent_name_service_takes_no_longer_than_agreed() -> None:
    released = Event()
    resolver = Resolver(lambda name, port: ["192.0.2.1"] if released.wait(10) else [])
    try:
        report = SMTP.test(credentials(587), Context(network=GuardedNetwork(resolver=resolver), deadline=0.2))
    finally:
        released.set()
    assert (report.outcome, report.error and report.error.reason) == (Outcome.TIMEOUT, "dns_timeout")
    assert report.response_time_ms < 1000 * GRACE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.8", "mail.internal", "169.254.169.254", "[::1]"])
def test_private_address_names_the_setting(host: str) -> None:
    network = GuardedNetwork(AddressPolicy(), Resolver(lambda name, port: ["10.0.0.8"]))
    report = SMTP.test(credentials(587, host=host), Context(network=network))
    assert failed(report).name == "DNS"
    assert report.outcome is Outcome.INVALID_REQUEST
    assert report.error
    assert "PORTAL_ALLOWED_NETWORKS" in report.error.message
    assert report.error.field == "host"


def test_text_that_is_no_host() -> None:
    network = GuardedNetwork(AddressPolicy())
    for host in ("", "a b", "x" * 300):
        report = SMTP.test(credentials(587, host=host), Context(network=network))
        assert report.error
        assert report.error.reason == "host_invalid"
