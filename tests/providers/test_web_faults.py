"""The fault matrix of every provider that is reached over HTTP, against real TLS sockets.

A provider of the catalogue that names hosts takes part by that alone.
"""

import logging
import ssl
from base64 import b64decode
from datetime import UTC, datetime

import pytest
import trustme

from portal.providers import catalogue
from portal.providers.base import Provider
from tests.providers.conformance import CANARY, example_credentials, send_all
from tests.providers.web_faults import BROKEN, FAULTS, UNREACHABLE, Fault, in_words
from tests.providers.web_kit import Asked, Maker, Web, always, answer

WEB = [provider for provider in catalogue.all() if provider.hosts]
every_provider = pytest.mark.parametrize("provider", WEB, ids=lambda provider: provider.slug)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@every_provider
def test_fault_of_the_provider(provider: Provider, fault: Fault, web: Maker, ca_pem: str) -> None:
    with web(always(fault.reply)) as server:
        context = server.context(ca_pem, fault.deadline)
        report = provider.probe(example_credentials(provider), context)
        asked = len(server.asked)
        sent = send_all(provider, context)
    assert asked == 1, "a failed request was repeated"
    assert len(server.asked) == 1 + len(sent), "a message was repeated"
    in_words(report, fault.outcome, fault.retry_after)
    assert report.steps[2].state == "passed", report.steps
    for each in sent:
        in_words(each, fault.sending, fault.retry_after)


@every_provider
def test_the_staged_test_says_the_same_as_the_probe(provider: Provider, web: Maker, ca_pem: str) -> None:
    with web(always(answer(401, {}))) as server:
        context, credentials = server.context(ca_pem), example_credentials(provider)
        probe, test = provider.probe(credentials, context), provider.test(credentials, context)
    assert probe.error == test.error
    names = [step.name for step in test.steps]
    assert names[:3] == ["DNS", "TCP", "TLS"]
    assert names[3] in ("Login", "Webhook"), "what the answer says about the credentials comes next"
    assert names[: len(probe.steps)] == [step.name for step in probe.steps]
    assert [step.state for step in test.steps[4:]] == ["not_run"] * len(test.steps[4:])


@every_provider
def test_refused_connection(provider: Provider, web: Maker, ca_pem: str) -> None:
    with web(always(b"")) as server:
        context, credentials = server.context(ca_pem), example_credentials(provider)
    report = provider.test(credentials, context)
    in_words(report, UNREACHABLE)
    assert [step.name for step in report.steps if step.state == "failed"] == ["TCP"]
    assert report.error
    assert "credentials" in report.error.hint, "it must say that the credentials were not tried"
    for sent in send_all(provider, context):
        in_words(sent, UNREACHABLE)


@pytest.mark.parametrize("certificate", ["untrusted", "wrong host", "expired"])
@every_provider
def test_certificates(provider: Provider, certificate: str, authority: trustme.CA, ca_pem: str) -> None:
    with Web(_tls(certificate, authority), always(answer(200, {}))) as server:
        context = server.context(ca_pem)
        report = provider.test(example_credentials(provider), context)
        sent = send_all(provider, context)
    assert server.asked == [], "the request was sent over a connection that cannot be trusted"
    in_words(report, BROKEN)
    for each in sent:
        in_words(each, BROKEN)
    assert [step.name for step in report.steps if step.state == "failed"] == ["TLS"]
    words = {
        "untrusted": "not issued by an authority",
        "wrong host": "The certificate is for other.example.com, not for",
        "expired": "expired on 1 Jan 2020",
    }
    assert report.error
    assert words[certificate] in report.error.message


def _tls(certificate: str, authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    hosts = [host for provider in WEB for host in provider.hosts]
    if certificate == "untrusted":
        trustme.CA().issue_cert(*hosts).configure_cert(context)
    elif certificate == "wrong host":
        authority.issue_cert("other.example.com").configure_cert(context)
    else:
        expired = datetime(2020, 1, 1, tzinfo=UTC)
        authority.issue_cert(*hosts, not_after=expired).configure_cert(context)
    return context


@every_provider
def test_secrets_stay_out_of_everything(
    provider: Provider, web: Maker, ca_pem: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that throws back whatever it was sent, in every place an error has."""
    seen: list[str] = []

    def echo(asked: Asked) -> bytes:
        authorization = asked.headers.get("authorization", "")
        kind, _, value = authorization.partition(" ")
        value = value or asked.target  # a webhook's address is its secret
        seen.append(value)
        plain = b64decode(value).decode() if kind == "Basic" else value
        text = f"{authorization} {plain} {asked.target} {CANARY} {CANARY[:9]} {CANARY[9:]}"
        wrong = {"errors": [{"message": text, "field": text, "help": text}], "message": text, "code": 1, "detail": text}
        return answer(400, wrong) if len(seen) % 2 else answer(400, f"<html><title>{text}</title></html>".encode())

    caplog.set_level(logging.DEBUG)
    with web(echo) as server:
        context, credentials = server.context(ca_pem), example_credentials(provider)
        for run in (provider.probe, provider.test, provider.probe):
            result = run(credentials, context)
            seen_in = f"{result!r} {result.as_dict()} {result.error}"
            assert CANARY not in seen_in
            assert not any(value in seen_in for value in seen)
        for sent in [*send_all(provider, context), *send_all(provider, context)]:
            assert CANARY not in repr(sent)
            assert not any(value in repr(sent) for value in seen)
    assert any(seen), "it never logged in"
    assert CANARY not in caplog.text
    assert not any(value in caplog.text for value in seen if value)
