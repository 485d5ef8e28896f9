"""SMTP over TLS: which certificates are believed, and what is said about those that are not."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trustme

from portal.providers.base import Context, Outcome
from portal.providers.smtp import SMTP
from tests.providers.servers import Peer, Script, Server
from tests.providers.smtp_kit import LOGIN, credentials, failed


def tls_server(context: ssl.SSLContext, security: str) -> Script:
    def script(peer: Peer) -> None:
        if security == "starttls":
            peer.greet("STARTTLS")
            peer.take("220 go ahead")
        peer.encrypt(context)
        if security == "starttls":
            peer.answer_hello(LOGIN)
        else:
            peer.greet(LOGIN)
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


UNTRUSTED = {
    "expired": ("certificate_expired", Outcome.PROVIDER_ERROR, "expired on 4 Mar 2025"),
    "future": ("certificate_not_yet_valid", Outcome.PROVIDER_ERROR, "not valid yet"),
    "other": (
        "certificate_wrong_host",
        Outcome.INVALID_REQUEST,
        "for a.example.net, *.example.net, 192.0.2.7, not for mail.example.com",
    ),
    "many": ("certificate_wrong_host", Outcome.INVALID_REQUEST, "n3.example.net and 6 more, not"),
    "unknown": ("certificate_untrusted", Outcome.INVALID_REQUEST, "authority that the portal's machine trusts"),
}


def untrusted(kind: str, authority: trustme.CA) -> ssl.SSLContext:
    match kind:
        case "expired":
            return certificate(authority, "mail.example.com", until=datetime(2025, 3, 4, 12, tzinfo=UTC))
        case "future":
            return certificate(authority, "mail.example.com", start=datetime(2990, 1, 1, tzinfo=UTC))
        case "other":
            return certificate(authority, "a.example.net", "*.example.net", "192.0.2.7")
        case "many":
            return certificate(authority, *(f"n{n}.example.net" for n in range(10)))
        case _:
            return certificate(trustme.CA(), "mail.example.com")


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("kind", UNTRUSTED)
def test_certificate_that_cannot_be_trusted(security: str, kind: str, authority: trustme.CA, context: Context) -> None:
    reason, outcome, says = UNTRUSTED[kind]
    with Server(tls_server(untrusted(kind, authority), security)) as server:
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


def test_connects_to_the_vetted_address_with_the_name_for_tls(authority: trustme.CA, context: Context) -> None:
    names: list[object] = []
    tls = certificate(authority, "mail.example.com")
    tls.sni_callback = lambda connection, name, _context: names.append(name)
    with Server(tls_server(tls, "tls")) as server:
        report = SMTP.test(credentials(server.port, "tls"), context)
    assert report.ok
    assert names == ["mail.example.com"]
    assert report.steps[1].detail == f"127.0.0.1, port {server.port}"
