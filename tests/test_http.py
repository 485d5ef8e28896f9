"""The one outbound HTTP client, against real sockets: what goes over the wire, what bounds it, how far it came."""

import ssl
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from socket import create_server, socket
from typing import NoReturn

import pytest
import trustme

from portal.http import LARGEST_HEAD, Answer, CallFailed, Connection, Part, Request, Unreadable, Unsendable
from portal.providers.staged import Deadline
from portal.security.network import Address, HostNotFound, connect_any
from tests.providers.servers import Peer, Script, Server

HOST = "api.example.com"
GET = Request(method="GET", target="/a?b=c", headers={"Authorization": "Bearer secret-1"})
POST = Request(method="POST", target="/a", body=b"hello")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\nx-one: 2\r\n\r\nhi"
GRACE = 5.0
"""Seconds that a busy machine may add; a call without bounds would take for ever."""

Calling = Callable[..., Answer]


class Loopback:
    """A network on which every name is one port of this machine; it remembers what it was asked."""

    def __init__(self, port: int) -> None:
        self.address = Address(host=HOST, ip=ip_address("127.0.0.1"), port=port)
        self.resolved: list[tuple[str, int]] = []
        self.dialled: list[Sequence[Address]] = []

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        self.resolved.append((host, port))
        return (self.address,)

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        self.dialled.append(addresses)
        return connect_any(addresses, timeout=timeout)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
def connection(client_tls: ssl.SSLContext) -> Callable[..., Connection]:
    def make(port: int, *, seconds: float = 5.0, largest: int = 1000, network: Loopback | None = None) -> Connection:
        way = network or Loopback(port)
        return Connection(HOST, network=way, tls=client_tls, time=Deadline(seconds), largest=largest)

    return make


@pytest.fixture
def failure(server_tls: ssl.SSLContext, connection: Callable[..., Connection]) -> Callable[..., CallFailed]:
    """Return a caller that lets a script answer, behind TLS, and returns how the call failed."""

    def fail(script: Script, request: Request = GET, **options: float) -> CallFailed:
        with Server(behind(server_tls, script)) as server, connection(server.port, **options) as link:
            with pytest.raises(CallFailed) as failed:
                link.call(request)
            return failed.value

    return fail


def behind(tls: ssl.SSLContext, script: Script) -> Script:
    def play(peer: Peer) -> None:
        peer.encrypt(tls)
        script(peer)

    return play


def head(peer: Peer) -> None:
    """Read a request's head."""
    while peer.hear().strip():
        pass


def replying(*replies: bytes) -> Script:
    """Answer so many requests without a body, then close."""

    def script(peer: Peer) -> None:
        for reply in replies:
            head(peer)
            peer.send(reply)

    return script


def test_what_goes_over_the_wire(
    server_tls: ssl.SSLContext, connection: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Server(behind(server_tls, replying(OK))) as server:
        network = Loopback(server.port)
        with connection(server.port, network=network) as link:
            answer = link.call(GET)
    assert server.peers[0].heard == [
        "GET /a?b=c HTTP/1.1",
        f"Host: {HOST}",
        "Accept-Encoding: identity",
        "Authorization: Bearer secret-1",
        "",
    ]
    assert network.resolved == [(HOST, 443)]
    assert network.dialled == [(network.address,)]
    assert (answer.status, answer.phrase, answer.body) == (200, "OK", b"hi")
    assert answer.headers == {"content-length": "2", "x-one": "1, 2"}


def test_an_open_connection_is_used_again(server_tls: ssl.SSLContext, connection: Callable[..., Connection]) -> None:
    with Server(behind(server_tls, replying(OK, OK))) as server, connection(server.port) as link:
        assert [link.call(GET).body, link.call(GET).body] == [b"hi", b"hi"]
        assert len(server.peers) == 1


def test_a_connection_that_the_server_announces_to_close_is_not_used_again(
    server_tls: ssl.SSLContext, connection: Callable[..., Connection]
) -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"
    with Server(behind(server_tls, replying(last))) as server, connection(server.port) as link:
        assert [link.call(GET).body, link.call(GET).body] == [b"all of it", b"all of it"]
        assert len(server.peers) == 2


def test_only_what_is_safe_is_repeated_when_a_kept_connection_is_gone(
    server_tls: ssl.SSLContext, connection: Callable[..., Connection]
) -> None:
    with Server(behind(server_tls, replying(OK))) as server, connection(server.port) as link:
        assert link.call(GET).status == 200
        assert link.call(GET).status == 200
        assert len(server.peers) == 2
        with pytest.raises(CallFailed):
            link.call(POST)
        assert len(server.peers) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 401, 429, 500])
def test_every_status_is_an_answer_and_no_redirect_is_followed(
    status: int, server_tls: ssl.SSLContext, connection: Callable[..., Connection]
) -> None:
    reply = f"HTTP/1.1 {status} X\r\nLocation: https://elsewhere.example\r\nContent-Length: 0\r\n\r\n".encode()
    with Server(behind(server_tls, replying(reply))) as server, connection(server.port) as link:
        assert link.call(GET).status == status
        assert len(server.peers) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, "too_large"),
        (CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", "too_large"),
        (CHUNKED + b"1\r\nx\r\n" * 20_000, "too_large"),
        (CHUNKED + b"0\r\n" + b"Trailer: x\r\n" * 20_000, "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, "too_large"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Fill: 0123456789\r\n" * 10_000, "not_http"),
        (b"HTTP/1.1 200 OK\r\nX-Fill: " + b"x" * 2 * LARGEST_HEAD, "too_large"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "cut"),
        (CHUNKED + b"9\r\nhalf", "cut"),
        (CHUNKED + b"zz\r\nhalf", "cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", "encoded"),
        (b"220 mail.example.com ESMTP\r\n", "not_http"),
        (b"HTTP/1.1 abc\r\n\r\n", "not_http"),
        (b"\x00\x01\x02\r\n\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "not_http"),
    ],
)
def test_answers_that_cannot_be_used(reply: bytes, reason: str, failure: Callable[..., CallFailed]) -> None:
    failed = failure(replying(reply))
    assert isinstance(failed.error, Unreadable)
    assert (failed.error.reason, failed.part, failed.may_have_arrived) == (reason, Part.ANSWER, True)


@pytest.mark.parametrize("body", [b"half", b"x" * 5000])
def test_the_status_of_an_error_counts_although_its_body_is_broken(
    body: bytes, server_tls: ssl.SSLContext, connection: Callable[..., Connection]
) -> None:
    reply = b"HTTP/1.1 401 No\r\nContent-Length: 9000\r\n\r\n" + body
    with Server(behind(server_tls, replying(reply))) as server, connection(server.port) as link:
        answer = link.call(GET)
    assert (answer.status, answer.complete) == (401, False)


def silent(peer: Peer) -> None:
    head(peer)
    peer.hang()


def dripping(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        head(peer)
        peer.drip(data)

    return script


@pytest.mark.parametrize(
    "script",
    [silent, dripping(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5), dripping(b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["silent", "headers", "continue"],
)
def test_the_time_of_the_whole_call_holds_however_slowly_bytes_come(
    script: Script, failure: Callable[..., CallFailed]
) -> None:
    begun = time.monotonic()
    failed = failure(script, seconds=0.3)
    assert time.monotonic() - begun < GRACE
    assert isinstance(failed.error, TimeoutError)
    assert failed.part is Part.ANSWER


def test_a_server_that_reads_nothing_holds_nobody(failure: Callable[..., CallFailed]) -> None:
    def deaf(peer: Peer) -> None:
        peer.stopping.wait(GRACE)

    failed = failure(deaf, Request(method="POST", target="/", body=b"x" * 50_000_000), seconds=0.5)
    assert (failed.part, failed.may_have_arrived) == (Part.SEND, False)
    assert isinstance(failed.error, TimeoutError)


def test_a_connection_that_breaks_after_the_request_may_have_had_its_effect(
    failure: Callable[..., CallFailed],
) -> None:
    failed = failure(head, POST)
    assert (failed.part, failed.may_have_arrived, failed.status) == (Part.ANSWER, True, None)
    assert isinstance(failed.error, ConnectionError)


def test_a_certificate_for_another_host_is_refused_and_can_be_looked_at(
    authority: trustme.CA, connection: Callable[..., Connection]
) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example.com").configure_cert(other)
    with Server(behind(other, replying(OK))) as server, connection(server.port) as link:
        with pytest.raises(CallFailed) as failed:
            link.call(GET)
        assert failed.value.connection is not None
        assert failed.value.connection.fileno() >= 0
    assert failed.value.connection.fileno() < 0
    assert isinstance(failed.value.error, ssl.SSLCertVerificationError)
    assert (failed.value.part, failed.value.may_have_arrived) == (Part.ENCRYPT, False)
    assert server.heard == []


def test_nothing_is_sent_to_a_server_without_tls(connection: Callable[..., Connection]) -> None:
    with (
        Server(lambda peer: peer.send(OK)) as server,
        connection(server.port) as link,
        pytest.raises(CallFailed) as failed,
    ):
        link.call(GET)
    assert failed.value.part is Part.ENCRYPT


def test_a_refused_connection_and_an_unknown_name(connection: Callable[..., Connection]) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with connection(port) as link, pytest.raises(CallFailed) as failed:
        link.call(GET)
    assert (failed.value.part, type(failed.value.error)) == (Part.CONNECT, ConnectionRefusedError)

    class Nowhere(Loopback):
        def resolve(self, host: str, port: int, timeout: float) -> NoReturn:
            raise HostNotFound(host)

    with connection(port, network=Nowhere(port)) as link, pytest.raises(CallFailed) as failed:
        link.call(GET)
    assert (failed.value.part, type(failed.value.error)) == (Part.RESOLVE, HostNotFound)


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", target="/a\r\nX-Forged: 1"),
        Request(method="GET", target="/", headers={"X": "a\r\nX-Forged: 1"}),
        Request(method="GET", target="/", headers={"X": "☃"}),
        Request(method="GET", target="/☃"),
    ],
)
def test_what_http_cannot_carry_is_never_sent(
    request_: Request, server_tls: ssl.SSLContext, connection: Callable[..., Connection]
) -> None:
    with (
        Server(behind(server_tls, replying(OK))) as server,
        connection(server.port) as link,
        pytest.raises(CallFailed) as failed,
    ):
        link.call(request_)
    assert isinstance(failed.value.error, Unsendable)
    assert not failed.value.may_have_arrived
    assert [line for line in server.heard if line] == []


def test_nothing_tells_a_secret() -> None:
    request = Request(method="GET", target="/a?key=secret-2", headers={"Authorization": "secret-1"}, body=b"secret-3")
    shown = repr(request) + repr(Answer(status=200, body=b"secret-4")) + str(CallFailed(Part.SEND, OSError("secret-5")))
    assert "secret" not in shown
    assert "/a" in shown
