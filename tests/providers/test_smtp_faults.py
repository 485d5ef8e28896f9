"""The SMTP fault matrix: what every kind of broken server looks like to a person, against real sockets."""

import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from socket import create_server, gaierror
from socket import EAI_AGAIN, EAI_FAIL, EAI_NONAME
from typing import NoReturn

import pytest
import trustme

from portal.providers.base import Context, Outcome, Report, Step, StepState, Value
from portal.providers.network import GuardedNetwork
from portal.providers.smtp import SMTP
from portal.security.network import AddressPolicy, Resolver
from tests.providers.servers import Peer, Script, Server

PASSWORD = "cAnArY/pass word-7f3b9e"
MakeContext = Callable[..., Context]


def credentials(port: int, security: str = "none", **changes: Value) -> dict[str, Value]:
    return {
        "host": "mail.example.com",
        "port": port,
        "security": security,
        "username": "user",
        "password": PASSWORD,
        "from_email": "noreply@example.com",
        **changes,
    }


def failed(report: Report) -> Step:
    """The failed step; those before it passed or had nothing to do, those after it did not run."""
    at = next(n for n, step in enumerate(report.steps) if step.state is StepState.FAILED)
    assert all(step.state in (StepState.PASSED, StepState.NOT_RUN) for step in report.steps[:at])
    assert all(step.state is StepState.NOT_RUN for step in report.steps[at + 1 :])
    return report.steps[at]


@dataclass(frozen=True)
class Case:
    """One broken server and what must be said about it."""

    name: str
    script: Script
    step: str
    outcome: Outcome
    reason: str
    says: tuple[str, ...] = ()
    security: str = "none"
    changes: dict[str, Value] = field(default_factory=dict)
    deadline: float = 5.0


LOGIN = ("AUTH PLAIN LOGIN",)


def greets_with(data: bytes) -> Script:
    return lambda peer: peer.send(data)


def refuses_login(*answer: str, extensions: tuple[str, ...] = LOGIN) -> Script:
    def script(peer: Peer) -> None:
        peer.greet(*extensions)
        peer.hear()
        peer.say(*answer)
        peer.hang()

    return script


def refuses_sender(*answer: str) -> Script:
    def script(peer: Peer) -> None:
        peer.greet(*LOGIN)
        peer.take("235 2.7.0 fine")
        peer.hear()
        peer.say(*answer)
        peer.hang()

    return script


def at_stage(*answers: str, then: Callable[[Peer], None]) -> Script:
    """Greet, answer so many commands, hear one more and do something else."""

    def script(peer: Peer) -> None:
        peer.greet(*LOGIN)
        peer.take(*answers)
        peer.hear()
        then(peer)

    return script


def no_answer_after_starttls(peer: Peer) -> None:
    peer.greet("STARTTLS")
    peer.take("220 go ahead")
    peer.hang()


def hangs(peer: Peer) -> None:
    peer.hang()


def leaves(peer: Peer) -> None:
    pass


def endless_answer(peer: Peer) -> None:
    peer.say("220 mail.example.com")
    peer.hear()
    while True:
        peer.send(b"250-AND ANOTHER EXTENSION\r\n" * 100)


CASES = [
    # Not a mail server at all.
    Case("http", greets_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "TCP", Outcome.INVALID_REQUEST, "not_smtp", ("a web server",)),
    Case("ssh", greets_with(b"SSH-2.0-OpenSSH_9.7\r\n"), "TCP", Outcome.INVALID_REQUEST, "not_smtp", ("an SSH server",)),
    Case("imap", greets_with(b"* OK IMAP4rev1 ready\r\n"), "TCP", Outcome.INVALID_REQUEST, "not_smtp", ("for reading mail",)),
    Case("pop3", greets_with(b"+OK POP3 ready\r\n"), "TCP", Outcome.INVALID_REQUEST, "not_smtp", ("POP3",)),
    Case("binary", greets_with(bytes(range(256)) + b"\r\n"), "TCP", Outcome.INVALID_REQUEST, "not_smtp"),
    Case("one endless line", greets_with(b"A" * 10_000_000), "TCP", Outcome.INVALID_REQUEST, "not_smtp"),
    Case("220 and an endless line", greets_with(b"220 " + b"A" * 10_000_000), "TCP", Outcome.INVALID_REQUEST, "not_smtp"),
    Case("endless greeting", greets_with(b"220-more\r\n" * 1_000_000), "TCP", Outcome.INVALID_REQUEST, "not_smtp"),
    Case("endless extensions", endless_answer, "TCP", Outcome.PROVIDER_ERROR, "rubbish", ("after its greeting",)),
    Case("rubbish at login", refuses_login("what?"), "Login", Outcome.PROVIDER_ERROR, "rubbish", ("during the login",)),
    # Dropped, at each stage.
    Case("drops at once", leaves, "TCP", Outcome.UNREACHABLE, "closed", ("before its greeting",)),
    Case("half a greeting", greets_with(b"220 mail.exa"), "TCP", Outcome.UNREACHABLE, "closed"),
    Case("drops after greeting", lambda peer: peer.say("220 hi"), "TCP", Outcome.UNREACHABLE, "closed", ("after its greeting",)),
    Case("drops at login", at_stage(then=leaves), "Login", Outcome.UNREACHABLE, "closed", ("during the login",)),
    Case("drops at sender", at_stage("235 ok", then=leaves), "Sender", Outcome.UNREACHABLE, "closed", ("the sender",)),
    # Silent or slow, at each stage: bounded by the deadline, said in words.
    Case("silent", hangs, "TCP", Outcome.TIMEOUT, "wants_tls_first", ("no complete greeting within 0.3 s", "choose TLS"), deadline=0.3),
    Case("drips", lambda peer: peer.drip(b"220-x\r\n"), "TCP", Outcome.TIMEOUT, "wants_tls_first", deadline=0.3),
    Case("silent after greeting", lambda peer: (peer.say("220 hi"), peer.hang())[0], "TCP", Outcome.TIMEOUT, "no_answer", deadline=0.3),
    Case("silent at login", at_stage(then=hangs), "Login", Outcome.TIMEOUT, "no_answer", ("during the login within 0.3 s",), deadline=0.3),
    Case("drips at login", at_stage(then=lambda p: p.drip(b"235")), "Login", Outcome.TIMEOUT, "no_answer", deadline=0.3),
    Case("silent at sender", at_stage("235 ok", then=hangs), "Sender", Outcome.TIMEOUT, "no_answer", deadline=0.3),
    Case("silent in TLS", no_answer_after_starttls, "TLS", Outcome.TIMEOUT, "no_answer", ("encryption",), "starttls", deadline=0.3),
    Case("silent with TLS", hangs, "TLS", Outcome.TIMEOUT, "no_answer", ("encryption",), "tls", deadline=0.3),
    # The wrong security for the port.
    Case("TLS asked of a plain port", lambda p: p.greet(), "TLS", Outcome.INVALID_REQUEST, "wants_starttls", ("Choose STARTTLS",), "tls"),
    Case("no STARTTLS", lambda p: p.greet(*LOGIN), "TLS", Outcome.INVALID_REQUEST, "starttls_not_offered", ("does not offer STARTTLS",), "starttls"),
    Case("STARTTLS refused", lambda p: (p.greet("STARTTLS"), p.take("454 TLS not available"))[0], "TLS", Outcome.PROVIDER_ERROR, "starttls_refused", (), "starttls"),
    Case("plain text instead of TLS", lambda p: (p.greet("STARTTLS"), p.take("220 go"), p.hear(), p.say("250 hi"))[0], "TLS", Outcome.PROVIDER_ERROR, "rubbish", (), "starttls"),
    Case("answers slipped in before TLS", lambda p: (p.greet("STARTTLS"), p.take("220 go\r\n250 slipped in"), p.hang())[0], "TLS", Outcome.PROVIDER_ERROR, "rubbish", (), "starttls"),
    # Greetings that refuse.
    Case("busy", greets_with(b"421 4.3.2 Shutting down\r\n"), "TCP", Outcome.PROVIDER_ERROR, "busy"),
    Case("blocked", greets_with(b"554 5.7.1 No service for you\r\n"), "TCP", Outcome.PROVIDER_ERROR, "not_taking_clients"),
    Case("too many", greets_with(b"421 4.7.0 Too many connections, try again in 5 minutes\r\n"), "TCP", Outcome.RATE_LIMITED, "rate_limited"),
    # The login.
    Case("no login offered", lambda p: (p.greet(), p.hang())[0], "Login", Outcome.INVALID_REQUEST, "login_not_offered", ("offers no login", "STARTTLS")),
    Case("no common login", lambda p: (p.greet("AUTH GSSAPI NTLM"), p.hang())[0], "Login", Outcome.INVALID_REQUEST, "login_unknown_way", ("GSSAPI NTLM",)),
    Case("535", refuses_login("535 5.7.8 Bad credentials"), "Login", Outcome.AUTH_REJECTED, "login_rejected", ("refused the user name or the password",)),
    Case("454", refuses_login("454 4.7.0 Temporary authentication failure"), "Login", Outcome.PROVIDER_ERROR, "busy", ("says nothing about the user name",)),
    Case("530 STARTTLS", refuses_login("530 5.7.0 Must issue a STARTTLS command first"), "Login", Outcome.INVALID_REQUEST, "encryption_required", ("Choose STARTTLS",)),
    # The sender.
    Case("sender 550", refuses_sender("550 5.7.60 not allowed to send as this sender"), "Sender", Outcome.PERMISSION_MISSING, "sender_rejected", ("noreply@example.com",)),
    Case("sender 451", refuses_sender("451 4.3.0 try again later"), "Sender", Outcome.PROVIDER_ERROR, "busy"),
    Case("login needed", lambda p: (p.greet(), p.take("530 5.7.0 Authentication required"))[0], "Sender", Outcome.INVALID_REQUEST, "login_required", ("Enter a user name",), changes={"username": "", "password": ""}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fault_in_words(case: Case, make_context: MakeContext) -> None:
    with Server(case.script) as server:
        begun = time.monotonic()
        report = SMTP.test(credentials(server.port, case.security, **case.changes), make_context(case.deadline))
        took = time.monotonic() - begun
    step = failed(report)
    assert report.error is not None
    assert (step.name, report.outcome, report.error.reason) == (case.step, case.outcome, case.reason)
    assert took < case.deadline + 1.0
    words = f"{step.detail} {report.error.message} {step.hint}"
    for part in ("mail.example.com", *case.says):
        assert part in words
    assert report.error.message.endswith(".")
    assert step.hint == report.error.hint
    assert len(step.detail) <= 300
    assert PASSWORD not in repr(report)


def test_total_time_holds_over_many_short_waits(make_context: MakeContext) -> None:
    """Each answer alone comes in time; together they would take for ever."""

    def script(peer: Peer) -> None:
        peer.greet(*LOGIN)
        while peer.hear():
            peer.drip(b"250-still there\r\n")

    with Server(script) as server:
        begun = time.monotonic()
        report = SMTP.probe(credentials(server.port), make_context(0.4))
    assert time.monotonic() - begun < 1.4
    assert report.outcome is Outcome.TIMEOUT


def test_refused_connection(make_context: MakeContext) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = SMTP.test(credentials(port), make_context())
    assert failed(report).name == "TCP"
    assert (report.outcome, report.error and report.error.reason) == (Outcome.UNREACHABLE, "connect_refused")
    assert f"refused the connection on port {port}" in failed(report).detail


def test_connection_that_is_never_answered(make_context: MakeContext) -> None:
    class Silent(GuardedNetwork):
        def connect(self, addresses: object, timeout: float) -> NoReturn:
            assert timeout <= 0.3
            raise TimeoutError

    report = SMTP.test(credentials(587), replace(make_context(0.3), network=Silent(make_context().network.policy)))
    step = failed(report)
    assert (step.name, report.outcome) == ("DNS", Outcome.UNREACHABLE) or step.name == "TCP"


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
    from threading import Event

    released = Event()
    resolver = Resolver(lambda name, port: ["192.0.2.1"] if released.wait(10) else [])
    try:
        report = SMTP.test(credentials(587), Context(network=GuardedNetwork(resolver=resolver), deadline=0.2))
    finally:
        released.set()
    assert (report.outcome, report.error and report.error.reason) == (Outcome.TIMEOUT, "dns_timeout")
    assert report.response_time_ms < 2000


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


# Certificates.


def tls_server(context: ssl.SSLContext, security: str) -> Script:
    def script(peer: Peer) -> None:
        if security == "starttls":
            peer.greet("STARTTLS")
            peer.take("220 go ahead")
        peer.encrypt(context)
        if security == "starttls":
            peer.answer_hello(*LOGIN)
        else:
            peer.greet(*LOGIN)
        peer.take("235 2.7.0 fine", "250 sender fine", "250 reset", "221 bye")

    return script


def certificate(
    ca: trustme.CA, *names: str, until: datetime | None = None, start: datetime | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, not_after=until, not_before=start).configure_cert(context)
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_trusted_certificate_passes(security: str, server_tls: ssl.SSLContext, context: Context) -> None:
    with Server(tls_server(server_tls, security)) as server:
        report = SMTP.test(credentials(server.port, security), context)
    assert report.ok
    shown = report.steps[2].detail
    assert shown.startswith("STARTTLS, TLS 1." if security == "starttls" else "TLS from the start, TLS 1.")
    assert "certificate valid to " in shown
    assert report.facts["tls"] in ("TLS 1.2", "TLS 1.3")
    assert datetime.fromisoformat(str(report.facts["certificate_expires_at"])) > datetime.now(UTC)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("kind", "reason", "outcome", "says"),
    [
        ("expired", "certificate_expired", Outcome.PROVIDER_ERROR, "expired on 4 Mar 2025"),
        ("future", "certificate_not_yet_valid", Outcome.PROVIDER_ERROR, "not valid yet"),
        ("other", "certificate_wrong_host", Outcome.INVALID_REQUEST, "for a.example.net, *.example.net, 192.0.2.7, not for mail.example.com"),
        ("many", "certificate_wrong_host", Outcome.INVALID_REQUEST, "n3.example.net and 6 more, not"),
        ("unknown", "certificate_untrusted", Outcome.INVALID_REQUEST, "authority that the portal's machine trusts"),
    ],
)  # fmt: skip
def test_certificate_that_cannot_be_trusted(
    security: str, kind: str, reason: str, outcome: Outcome, says: str, authority: trustme.CA, context: Context
) -> None:
    tls = {
        "expired": lambda: certificate(authority, "mail.example.com", until=datetime(2025, 3, 4, 12, tzinfo=UTC)),
        "future": lambda: certificate(authority, "mail.example.com", start=datetime(2990, 1, 1, tzinfo=UTC)),
        "other": lambda: certificate(authority, "a.example.net", "*.example.net", "192.0.2.7"),
        "many": lambda: certificate(authority, *(f"n{n}.example.net" for n in range(10))),
        "unknown": lambda: certificate(trustme.CA(), "mail.example.com"),
    }[kind]()
    with Server(tls_server(tls, security)) as server:
        report = SMTP.test(credentials(server.port, security), context)
    assert failed(report).name == "TLS"
    assert report.error
    assert (report.error.reason, report.outcome) == (reason, outcome)
    assert says in report.error.message
    assert not any("AUTH" in line for line in server.heard), "nothing may be sent over a connection that is not trusted"


def test_extra_authority_counts_only_where_it_was_given(server_tls: ssl.SSLContext, context: Context) -> None:
    with Server(tls_server(server_tls, "tls")) as server:
        report = SMTP.test(credentials(server.port, "tls"), replace(context, extra_ca_pem=""))
    assert report.error
    assert report.error.reason == "certificate_untrusted"


# Logins.


@pytest.mark.parametrize(
    ("host", "answer", "reason", "outcome", "hint"),
    [
        ("smtp.sendgrid.net", "535 Authentication failed: The provided authorization grant is invalid, expired, or revoked", "login_rejected", Outcome.AUTH_REJECTED, "always the word apikey"),
        ("smtp.sendgrid.net", "451 Authentication failed: Maximum credits exceeded", "quota_exceeded", Outcome.QUOTA_EXCEEDED, "plan"),
        ("smtp.gmail.com", "535-5.7.8 Username and Password not accepted. For more information, go to|535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp", "login_rejected", Outcome.AUTH_REJECTED, "app password"),
        ("smtp.gmail.com", "534-5.7.9 Application-specific password required. Learn more at|534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor", "app_password_needed", Outcome.AUTH_REJECTED, "apppasswords"),
        ("smtp.gmail.com", "534-5.7.14 Please log in via your web browser and then try again.|534 5.7.14 gsmtp", "web_login_needed", Outcome.AUTH_REJECTED, "browser"),
        ("smtp.gmail.com", "454 4.7.0 Too many login attempts, please try again later.", "rate_limited", Outcome.RATE_LIMITED, "Wait"),
        ("smtp.office365.com", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled", "smtp_switched_off", Outcome.PERMISSION_MISSING, "aka.ms/smtp_auth_disabled"),
        ("smtp.office365.com", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "passwords_switched_off", Outcome.PERMISSION_MISSING, "OAuth"),
        ("smtp.office365.com", "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.", "policy_blocked", Outcome.PERMISSION_MISSING, "sign-in logs"),
        ("smtp.office365.com", "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", "login_rejected", Outcome.AUTH_REJECTED, "mailbox"),
        ("smtp.mailgun.org", "535 5.7.0 Mailgun is not loving your login or password", "login_rejected", Outcome.AUTH_REJECTED, "API key does not"),
        ("email-smtp.eu-west-1.amazonaws.com", "535 Authentication Credentials Invalid", "login_rejected", Outcome.AUTH_REJECTED, "SES console"),
        ("mail.example.com", "535 5.7.8 Error: authentication failed", "login_rejected", Outcome.AUTH_REJECTED, "Enter both again"),
        ("mail.example.com", "538 5.7.11 Encryption required for requested authentication mechanism", "encryption_required", Outcome.INVALID_REQUEST, "STARTTLS"),
        ("mail.example.com", "502 5.5.1 Command not implemented", "login_not_offered", Outcome.INVALID_REQUEST, "STARTTLS"),
        ("mail.example.com", "334 ", "unexpected_reply", Outcome.PROVIDER_ERROR, "Test again"),
    ],
)  # fmt: skip
def test_refused_login_fits_the_service(
    host: str, answer: str, reason: str, outcome: Outcome, hint: str, context: Context
) -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH LOGIN" if answer.startswith("334") else "AUTH PLAIN")
        peer.hear()
        while peer.heard[-1]:
            peer.say(*answer.split("|"))
            peer.hear()

    with Server(script) as server:
        report = SMTP.test(credentials(server.port, host=host), context)
    step = failed(report)
    assert report.error
    assert (step.name, report.error.reason, report.outcome) == ("Login", reason, outcome)
    assert step.verbatim
    assert step.detail.startswith(answer[:3])
    assert step.code.startswith(answer[:3])
    assert hint in step.hint


def test_sendgrid_key_that_is_refused_reads_as_designed(context: Context) -> None:
    said = "535 Authentication failed: The provided authorization grant is invalid, expired, or revoked"
    with Server(refuses_login(said)) as server:
        report = SMTP.test(credentials(server.port, host="smtp.sendgrid.net", username="apikey"), context)
    step = failed(report)
    assert step.detail == said
    assert step.hint == (
        "SendGrid no longer accepts this key. Create one with the Mail Send permission in SendGrid, under Settings,"
        " API keys, and paste it below."
    )
    assert report.error
    assert (report.error.code, report.error.title, report.error.field) == ("535", "login failed", "password")


def test_enhanced_code_and_waiting_time_are_kept(context: Context) -> None:
    with Server(refuses_login("421 4.7.0 Too many connections, try again in 5 minutes")) as server:
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
    with Server(refuses_login("535 no")) as server:
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
    shown = f"{report!r} {report.as_dict()}"
    for form in (secret, b64encode(secret.encode()).decode(), b64encode(f"\0user\0{secret}".encode()).decode()):
        assert form not in shown
        assert form.replace(" ", "") not in shown.replace(" ", "")
    assert report.outcome is Outcome.AUTH_REJECTED
    assert "\x1b" not in shown
    assert report.error
    assert len(report.error.said) <= 300


def test_long_answer_is_cut(context: Context) -> None:
    with Server(refuses_login(*["535-" + "word " * 100] * 20, "535 end")) as server:
        report = SMTP.test(credentials(server.port), context)
    assert report.error
    assert len(report.error.said) <= 300
    assert report.error.said.endswith("…")


# What passes.


def test_server_without_login_is_reachable_not_valid(context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.take("250 sender fine", "250 reset", "221 bye")

    with Server(script) as server:
        report = SMTP.test(credentials(server.port, username="", password=""), context)
    assert report.ok
    tls, login = report.steps[2:4]
    assert (tls.state, tls.detail) == (StepState.NOT_RUN, "No encryption chosen")
    assert (login.state, login.detail) == (StepState.NOT_RUN, "No user name given; the server is reachable")
    assert login.duration_ms is None


def test_old_server_that_only_knows_helo(context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.say("220 old")
        peer.take("502 what?", "250 hello", "250 ok")

    with Server(script) as server:
        report = SMTP.probe(credentials(server.port, username="", password=""), context)
    assert report.ok
    assert [line.upper() for line in server.heard[:2]] == ["EHLO LOCALHOST", "HELO LOCALHOST"]


@pytest.mark.parametrize(
    ("name", "hello"),
    [
        ("portal.example.com", "portal.example.com"),
        ("192.0.2.5", "[192.0.2.5]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("bad name\r\n", "localhost"),
        ("", "localhost"),
    ],
)
def test_greeting_names_the_portal(name: str, hello: str, context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.take("250 ok")

    with Server(script) as server:
        SMTP.probe(credentials(server.port, username="", password=""), replace(context, client_name=name))
    assert server.heard[0] == f"EHLO {hello}"


@pytest.mark.parametrize("method", ["probe", "test"])
def test_neither_probe_nor_test_sends_anything(method: str, context: Context) -> None:
    def script(peer: Peer) -> None:
        peer.greet(*LOGIN)
        peer.take("235 fine")
        while peer.hear():
            peer.say("250 ok")

    with Server(script) as server:
        assert getattr(SMTP, method)(credentials(server.port), context).ok
    verbs = [line.split()[0].upper() for line in server.heard]
    assert verbs == ["EHLO", "AUTH", *(["NOOP"] if method == "probe" else ["MAIL", "RSET"]), "QUIT"]


def test_connects_to_the_vetted_address_with_the_name_for_tls(authority: trustme.CA, context: Context) -> None:
    names: list[object] = []
    tls = certificate(authority, "mail.example.com")
    tls.sni_callback = lambda connection, name, _context: names.append(name)
    with Server(tls_server(tls, "tls")) as server:
        report = SMTP.test(credentials(server.port, "tls"), context)
    assert report.ok
    assert names == ["mail.example.com"]
    assert report.steps[1].detail == f"127.0.0.1, port {server.port}"


def test_several_addresses_are_counted_and_a_dead_one_is_passed_over(authority: trustme.CA) -> None:
    policy = AddressPolicy(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))

    def script(peer: Peer) -> None:
        peer.greet()
        peer.take("250 ok")

    with Server(script) as server:
        network = GuardedNetwork(policy, Resolver(lambda name, port: ["127.0.0.9", "127.0.0.1"]))
        report = SMTP.probe(credentials(server.port, username="", password=""), Context(network=network, deadline=5))
    assert report.ok
    assert report.steps[0].detail == "mail.example.com, 2 addresses"
    assert report.steps[1].detail.startswith("127.0.0.1, ")
