"""Sending from one thread, against servers that do what servers do: bounded time, bounded size, one vetted address."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from portal.security.network import Address
from portal.webhooks.exchange import Outgoing, Reply
from portal.webhooks.wire import LARGEST_BODY, Wire

Talk = Callable[[socket.socket], None]


@pytest.fixture
def wire() -> Iterator[Wire[str]]:
    wire: Wire[str] = Wire(most=4)
    yield wire
    wire.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], int]]:
    """Starts servers that talk as told to each connection; they end with the test."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(talk: Talk) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        talk(connection)

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the client left")
        got += more
    return got


def answering(answer: bytes, then: Callable[[socket.socket], None] = lambda _connection: None) -> Talk:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        then(connection)

    return talk


def hang(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    connection.settimeout(10)
    with suppress(OSError):
        while connection.recv(65536):
            pass


def ask(
    wire: Wire[str], port: int, *, host: str = "hooks.example", scheme: str = "http", timeout: float = 0.6
) -> Reply:
    address = Address(host, ip_address("127.0.0.1"), port)
    headers = {"Content-Type": "application/json"}
    request = Outgoing(
        url=f"{scheme}://{host}:{port}/in", address=address, headers=headers, body=b"{}", timeout=timeout
    )
    wire.start(request, "mine")
    return ended(wire)


def ended(wire: Wire[str]) -> Reply:
    """Wait for the reply to what was started."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for token, reply in wire.turn(0.5):
            assert token == "mine"
            assert wire.free == 4
            return reply
    raise AssertionError("no reply")


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_good_answer(wire: Wire[str], serve: Callable[[Talk], int]) -> None:
    reply = ask(wire, serve(answering(OK)))
    assert (reply.status, reply.body, reply.error, reply.truncated) == (200, b"ok", "", False)
    assert reply.timing["peer"] == "127.0.0.1"


def test_a_connection_is_used_again(wire: Wire[str], serve: Callable[[Talk], int]) -> None:
    connections = 0

    def talk(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while read_request(connection):
            connection.sendall(OK)

    port = serve(talk)
    for _ in range(3):
        assert ask(wire, port).status == 200
    assert connections == 1


@pytest.mark.parametrize(
    ("talk", "error", "status"),
    [
        (hang, "timeout", None),
        (answering(b"", hang), "timeout", None),
        (answering(b"HTTP/1.1 200 OK\r\nContent-", hang), "timeout", 200),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal", hang), "timeout", 200),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"), "closed", 200),
        (answering(b""), "closed", None),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n" * 3), "not_http", None),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n"), "not_http", 200),
    ],
    ids=[
        "silent",
        "silent after the request",
        "in the headers",
        "in the body",
        "cut",
        "nothing",
        "rubbish",
        "huge head",
    ],
)
def test_what_is_no_answer_fails_in_time(
    wire: Wire[str], serve: Callable[[Talk], int], talk: Talk, error: str, status: int | None
) -> None:
    reply = ask(wire, serve(talk))
    assert (reply.error, reply.status) == (error, status)


def test_an_endless_body_is_read_up_to_a_bound_and_stays_a_success(
    wire: Wire[str], serve: Callable[[Talk], int]
) -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    reply = ask(wire, serve(talk), timeout=10)
    assert (reply.status, reply.error, reply.truncated, len(reply.body)) == (200, "", True, LARGEST_BODY)


def test_a_redirect_is_not_followed(wire: Wire[str], serve: Callable[[Talk], int]) -> None:
    reply = ask(
        wire, serve(answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"))
    )
    assert (reply.status, reply.headers["location"]) == (302, "http://127.0.0.1:1/")


def test_a_closed_port_is_refused(wire: Wire[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(wire, port).error == "refused"


def test_control_characters_stay_outside(wire: Wire[str], serve: Callable[[Talk], int]) -> None:
    reply = ask(wire, serve(answering(b"HTTP/1.1 200 OK\r\nX-Odd: a\x00b\x1b[31m\r\nContent-Length: 0\r\n\r\n")))
    assert "\x00" not in str(reply.headers)
    assert "\x1b" not in str(reply.headers)


@pytest.mark.parametrize(("name", "good"), [("hooks.example", True), ("other.example", False)])
def test_the_certificate_must_be_for_the_name(
    serve: Callable[[Talk], int], tmp_path: Path, name: str, good: bool
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(tls)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)

    def talk(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as encrypted:
            answering(OK)(encrypted)

    port = serve(talk)
    trusting: Wire[str] = Wire(most=4, ca_file=str(file))
    strict: Wire[str] = Wire(most=4)
    try:
        assert ask(trusting, port, scheme="https", timeout=5).error == ("" if good else "tls")
        assert ask(strict, port, scheme="https", timeout=5).error == "tls"
    finally:
        trusting.close()
        strict.close()


def test_only_the_vetted_address_is_dialled(wire: Wire[str], serve: Callable[[Talk], int]) -> None:
    """The URL names an address; what is dialled is the one that was vetted."""
    reply = ask(wire, serve(answering(OK)), host="203.0.113.9")
    assert (reply.status, reply.timing["peer"]) == (200, "127.0.0.1")


def test_a_handle_that_is_used_again_goes_where_the_next_request_does(
    wire: Wire[str], serve: Callable[[Talk], int]
) -> None:
    ports = [serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)) for number in (0, 1)]
    assert [ask(wire, ports[number]).body for number in (0, 0, 1, 0)] == [b"0", b"0", b"1", b"0"]
    # The address changes and the URL does not: a name that leads elsewhere now.
    moved = Outgoing(
        url=f"http://hooks.example:{ports[0]}/in", address=Address("hooks.example", ip_address("127.0.0.1"), ports[1]),
        headers={}, body=b"",
    )  # fmt: skip
    wire.start(moved, "mine")
    assert ended(wire).body == b"1"


def test_it_can_be_woken(wire: Wire[str]) -> None:
    threading.Timer(0.05, wire.wake).start()
    begun = time.monotonic()
    assert wire.turn(10) == []
    assert time.monotonic() - begun < 5
