"""What tests of providers share: a certificate authority, and a context whose names all lead to loopback."""

import ssl
from collections.abc import Callable
from ipaddress import ip_network

import pytest
import trustme

from portal.providers.base import Context
from portal.providers.network import GuardedNetwork
from portal.security.network import AddressPolicy, Resolver

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
