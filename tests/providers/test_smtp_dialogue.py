"""SMTP tests and probes that pass: what is said to the server, what is shown, and that nothing is sent."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from portal.providers.base import Context, StepState
from portal.providers.network import GuardedNetwork
from portal.providers.smtp import SMTP
from portal.security.network import AddressPolicy, Resolver
from tests.providers.servers import Peer, Server
from tests.providers.smtp_kit import LOGIN, credentials


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
        peer.greet(LOGIN)
        peer.take("235 fine")
        while peer.hear():
            peer.say("250 ok")

    with Server(script) as server:
        assert getattr(SMTP, method)(credentials(server.port), context).ok
    verbs = [line.split()[0].upper() for line in server.heard]
    assert verbs == ["EHLO", "AUTH", *(["NOOP"] if method == "probe" else ["MAIL", "RSET"]), "QUIT"]


def test_several_addresses_are_counted_and_a_dead_one_is_passed_over() -> None:
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
