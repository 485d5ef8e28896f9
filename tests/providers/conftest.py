"""What tests of providers share: a certificate authority, and a context whose names all lead to loopback."""

import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

import pytest
import trustme

from portal.providers import catalogue
from portal.providers.base import Context, Value
from portal.providers.network import GuardedNetwork
from portal.security.network import AddressPolicy, Resolver
from tests.providers.web_kit import Answering, Asked, Play, Web

LOOPBACK = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that the context of these tests trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a server named mail.example.com."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.com").configure_cert(context)
    return context


@pytest.fixture
def make_context(authority: trustme.CA) -> Callable[..., Context]:
    """Return a maker of contexts; every name resolves to 127.0.0.1."""

    def make(deadline: float = 5.0, **options: object) -> Context:
        network = GuardedNetwork(LOOPBACK, Resolver(lambda name, port: ["127.0.0.1"]))
        return Context(network=network, deadline=deadline, extra_ca_pem=authority.cert_pem.bytes().decode())

    return make


@pytest.fixture
def context(make_context: Callable[..., Context]) -> Context:
    """A context with five seconds."""
    return make_context()


@pytest.fixture(scope="session")
def provider_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a server that takes the place of every host of the catalogue's providers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    hosts = {host for provider in catalogue.all() for host in provider.hosts}
    authority.issue_cert("api.example.com", *sorted(hosts)).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_pem(authority: trustme.CA) -> str:
    """The authority's certificate."""
    return authority.cert_pem.bytes().decode()


@pytest.fixture
def web(provider_tls: ssl.SSLContext) -> Callable[[Answering], Web]:
    """Return a maker of servers that take a provider's place; use what it returns as a context manager."""
    return lambda answering: Web(provider_tls, answering)


@pytest.fixture
def play(web: Callable[[Answering], Web], ca_pem: str) -> Play:
    """Return a caller of a driver's method against a server that answers by path.

    Its arguments are the method, the credentials, the answers, and what the method takes beside credentials and
    context; it returns the result and what the server was asked.
    """

    def call(
        method: Callable[..., Any], credentials: Mapping[str, Value], answers: Mapping[str, bytes], *arguments: object
    ) -> tuple[Any, list[Asked]]:
        with web(lambda asked: answers[asked.target.partition("?")[0]]) as server:
            result = method(credentials, server.context(ca_pem), *arguments)
        return result, server.asked

    return call
