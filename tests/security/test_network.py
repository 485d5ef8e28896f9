"""Looking up within a time limit, refusing as a whole, dialling exactly what was vetted."""

import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

import pytest

from portal.security import network
from portal.security.network import (
    Address,
    AddressBlocked,
    AddressPolicy,
    HostNotFound,
    InvalidHost,
    Resolver,
    ResolverFailed,
    ResolverTimeout,
    connect,
    connect_any,
    resolve,
    system_lookup,
)

PUBLIC_ONLY = AddressPolicy()
LOOPBACK_4 = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),))


class Answers:
    """A look-up with fixed answers that remembers what it was asked."""

    def __init__(self, *records: str, fault: BaseException | None = None) -> None:
        self.records, self.fault = records, fault
        self.asked: list[tuple[str, int]] = []

    def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append((name, port))
        if self.fault:
            raise self.fault
        return self.records


def look_up(host: str, answers: Answers, policy: AddressPolicy = PUBLIC_ONLY) -> list[Address]:
    return resolve(host, 587, policy=policy, timeout=5, resolver=Resolver(answers))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def local(server: socket.socket) -> Address:
    return Address("mail.example", ip_address("127.0.0.1"), server.getsockname()[1])


def test_a_name_becomes_all_its_addresses_once_each() -> None:
    answers = Answers("8.8.8.8", "2606:4700::1111", "8.8.8.8", "::ffff:8.8.8.8")
    found = look_up("Mail.Example.com", answers)
    assert found == [
        Address("mail.example.com", ip_address("8.8.8.8"), 587),
        Address("mail.example.com", ip_address("2606:4700::1111"), 587),
    ]
    assert found[0].family == socket.AF_INET
    assert found[0].sockaddr == ("8.8.8.8", 587)
    assert found[1].family == socket.AF_INET6
    assert found[1].sockaddr == ("2606:4700::1111", 587, 0, 0)


def test_names_are_asked_for_absolutely_unless_private_targets_are_allowed() -> None:
    answers = Answers("8.8.8.8")
    look_up("mail.example.com", answers)
    look_up("mail", answers, LOOPBACK_4)
    assert answers.asked == [("mail.example.com.", 587), ("mail", 587)]


@pytest.mark.parametrize("bad", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "64:ff9b::808:808"])
def test_one_bad_record_refuses_the_whole_look_up(bad: str) -> None:
    with pytest.raises(AddressBlocked) as refused:
        look_up("rebind.example", Answers("8.8.8.8", bad, "1.1.1.1"))
    assert refused.value.host == "rebind.example"
    assert bad not in str(refused.value)
    assert "8.8.8.8" not in str(refused.value)


def test_a_bad_record_hidden_behind_many_good_ones_is_still_seen() -> None:
    many = [f"8.8.{number}.8" for number in range(100)]
    assert len(look_up("many.example", Answers(*many))) == 16
    with pytest.raises(AddressBlocked):
        look_up("many.example", Answers(*many, "10.0.0.1"))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0x7f.1", "2130706433", "①②⑦.0.0.1", "[::ffff:7f00:1]", "127.0.0.1.", "[::1]", "[64:ff9b::7f00:1]"],
)
def test_literals_are_vetted_without_a_look_up(host: str) -> None:
    answers = Answers("8.8.8.8")
    with pytest.raises(AddressBlocked) as refused:
        look_up(host, answers)
    assert refused.value.host == host
    assert answers.asked == []


def test_a_public_literal_is_taken_as_it_is() -> None:
    assert look_up("[2606:4700::1111]", Answers()) == [Address("2606:4700::1111", ip_address("2606:4700::1111"), 587)]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "app.localhost"])
def test_localhost_is_this_machine_and_asks_nobody(host: str) -> None:
    answers = Answers("8.8.8.8")
    with pytest.raises(AddressBlocked):
        look_up(host, answers)
    found = look_up(host, answers, LOOPBACK_4)
    assert [str(each.ip) for each in found] == ["127.0.0.1"]
    both = AddressPolicy(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    assert [str(each.ip) for each in look_up(host, answers, both)] == ["127.0.0.1", "::1"]
    assert answers.asked == []


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(InvalidHost, match=f"example.com:{port}"):
        resolve("example.com", port, policy=PUBLIC_ONLY)


def test_every_port_that_exists_is_taken() -> None:
    for port in (1, 65535):
        assert resolve("8.8.8.8", port, policy=PUBLIC_ONLY)[0].port == port


def test_a_bad_host_is_refused_before_any_look_up() -> None:
    answers = Answers("8.8.8.8")
    with pytest.raises(InvalidHost):
        look_up("http://example.com", answers)
    assert answers.asked == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), HostNotFound),
        (socket.gaierror(socket.EAI_NODATA, "x"), HostNotFound),
        (socket.gaierror(socket.EAI_AGAIN, "x"), ResolverFailed),
        (socket.gaierror(socket.EAI_FAIL, "x"), ResolverFailed),
        (OSError("x"), ResolverFailed),
        (UnicodeError("x"), ResolverFailed),
        (TimeoutError("x"), ResolverTimeout),
    ],
    ids=["noname", "nodata", "again", "fail", "os", "unicode", "timeout"],
)
def test_faults_of_the_look_up_are_told_apart(fault: BaseException, error: type[network.NetworkError]) -> None:
    with pytest.raises(network.NetworkError) as raised:
        look_up("Some.Example", Answers(fault=fault))
    assert type(raised.value) is error
    assert raised.value.host == "Some.Example"
    assert "“Some.Example”" in str(raised.value)


def test_no_records_is_not_found_and_rubbish_is_a_fault_of_the_resolver() -> None:
    with pytest.raises(HostNotFound):
        look_up("empty.example", Answers())
    with pytest.raises(ResolverFailed):
        look_up("rubbish.example", Answers("not an address"))


def test_a_fault_in_the_look_ups_code_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: queue.Queue[type[BaseException]] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda fault: seen.put(fault.exc_type))
    resolver = Resolver(Answers(fault=KeyError("bug")), workers=1)
    for _ in range(3):
        with pytest.raises(ResolverFailed):
            resolver.lookup("bug.example", 1, timeout=5)
        assert seen.get(timeout=5) is KeyError


def test_without_a_thread_the_look_up_fails_and_its_place_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(Answers("8.8.8.8"), workers=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(ResolverFailed):
            resolver.lookup("a.example", 1, timeout=0)
    assert resolver.lookup("a.example", 1, timeout=5) == ("8.8.8.8",)


def _no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_silent_resolver_holds_nobody_and_threads_do_not_pile_up() -> None:
    release, started = threading.Event(), threading.Semaphore(0)

    def silent(name: str, port: int) -> list[str]:
        started.release()
        release.wait()
        return ["8.8.8.8"]

    resolver = Resolver(silent, workers=2)
    for name in ("a", "a", "a", "b", "c", "d"):
        with pytest.raises(ResolverTimeout):
            resolver.lookup(f"{name}.example", 1, timeout=0)
    for _ in range(2):
        assert started.acquire(timeout=5)
    assert not started.acquire(blocking=False)
    waiting = [thread for thread in threading.enumerate() if thread.name == "portal-resolver"]
    assert all(thread.daemon for thread in waiting)
    release.set()
    assert resolver.lookup("c.example", 1, timeout=5) == ["8.8.8.8"]


def test_a_finished_look_up_is_asked_anew() -> None:
    answers = Answers("8.8.8.8")
    resolver = Resolver(answers, workers=1)
    for _ in range(3):
        resolver.lookup("a.example", 1, timeout=5)
    assert len(answers.asked) == 3


def test_the_systems_look_up_answers_numeric_addresses() -> None:
    assert "127.0.0.1" in system_lookup("127.0.0.1", 25)


def test_the_process_has_a_resolver_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_default_resolver", Resolver(Answers("1.1.1.1")))
    assert [str(each.ip) for each in resolve("one.example", 53, policy=PUBLIC_ONLY)] == ["1.1.1.1"]


def test_connect_dials_the_address_and_not_the_name(listener: socket.socket) -> None:
    with connect(local(listener), 5) as connection:
        assert connection.getpeername() == listener.getsockname()
        assert connection.gettimeout() == 5


def test_a_connection_that_fails_is_closed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            connect(local(taken), 5)


def test_connect_any_goes_on_to_the_next_address(listener: socket.socket) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connection, address = connect_any([local(closed), local(listener)], timeout=5)
        with connection:
            assert address == local(listener)
            assert connection.gettimeout() == 5
        with pytest.raises(ConnectionRefusedError):
            connect_any([local(closed), local(closed)], timeout=5)


def test_connect_any_shares_its_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []

    def silent(address: Address, timeout: float) -> socket.socket:
        shares.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(network, "connect", silent)
    monkeypatch.setattr("portal.security.network.time.monotonic", lambda: 100.0 + sum(shares))
    target = Address("h", ip_address("192.0.2.1"), 25)
    with pytest.raises(TimeoutError):
        connect_any([target] * 4, timeout=8)
    assert shares == [2, 2, 2, 2]


def test_no_address_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="no address"):
        connect_any([], timeout=1)
