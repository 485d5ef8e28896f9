"""The address guard: looks a host up within a time limit, refuses forbidden addresses, dials exactly what was vetted.

A check before the connection and a second look-up by the connection itself would fall to a name that changes its answer
in between; so the address found here is the address that is dialled, and the name is only used for TLS and display.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from portal.security.addresses import AddressBlocked, AddressPolicy, IPAddress, NetworkError, unmapped
from portal.security.hostnames import HostNotFound, InvalidHost, canonical_host

__all__ = [
    "Address",
    "AddressBlocked",
    "AddressPolicy",
    "HostNotFound",
    "InvalidHost",
    "NetworkError",
    "Resolver",
    "ResolverFailed",
    "ResolverTimeout",
    "canonical_host",
    "connect",
    "connect_any",
    "resolve",
    "system_lookup",
]

Lookup = Callable[[str, int], Sequence[str]]
"""Takes an ASCII name and a port, returns addresses as text; raises socket.gaierror or OSError."""

_LOOPBACK: Final = ("127.0.0.1", "::1")
_MOST_ADDRESSES: Final = 16
_NO_SUCH_NAME: Final = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


class ResolverFailed(NetworkError):
    """The look-up itself failed; it says nothing about the host, and may work a minute later."""

    sentence = "“{host}” could not be looked up: the name service has a fault. Try again in a minute."


class ResolverTimeout(ResolverFailed):
    """The name service did not answer in time."""

    sentence = "“{host}” could not be looked up: the name service did not answer in time. Try again in a minute."


@dataclass(frozen=True, slots=True)
class Address:
    """A vetted address: where to dial, and the canonical host name for TLS, HELO and display."""

    host: str
    ip: IPAddress
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET if self.ip.version == 4 else socket.AF_INET6

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """What socket.connect takes; numeric, so that nothing is looked up again."""
        return (str(self.ip), self.port) if self.ip.version == 4 else (str(self.ip), self.port, 0, 0)


def system_lookup(name: str, port: int) -> list[str]:
    """The addresses the operating system knows for a name. Blocks as long as the system's resolver does."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class Resolver:
    """Runs blocking look-ups in threads of its own, so that a silent name service holds nobody longer than agreed.

    At most ``workers`` look-ups run at once and callers of the same name share one: names that hang can't pile up
    threads. The threads are daemons, so they don't hold up the end of the process either.
    """

    def __init__(self, lookup: Lookup = system_lookup, *, workers: int = 32) -> None:
        self._lookup = lookup
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[Sequence[str]]] = {}

    def lookup(self, name: str, port: int, *, timeout: float) -> Sequence[str]:
        """The addresses of a name as text, within timeout seconds.

        Raises HostNotFound, ResolverFailed, ResolverTimeout.
        """
        deadline = time.monotonic() + timeout
        future = self._join(name, port, deadline)
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except socket.gaierror as fault:
            raise (HostNotFound if fault.errno in _NO_SUCH_NAME else ResolverFailed)(name) from None
        except TimeoutError:
            raise ResolverTimeout(name) from None
        except (OSError, UnicodeError):
            raise ResolverFailed(name) from None

    def _join(self, name: str, port: int, deadline: float) -> Future[Sequence[str]]:
        key = (name, port)
        with self._lock:
            if (running := self._running.get(key)) is not None:
                return running
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise ResolverTimeout(name)
        with self._lock:
            future = self._running[key] = Future()
        try:
            threading.Thread(target=self._run, args=(key, future), name="portal-resolver", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._finished(key)
            raise ResolverFailed(name) from None
        return future

    def _run(self, key: tuple[str, int], future: Future[Sequence[str]]) -> None:
        try:
            future.set_result(self._lookup(*key))
        except (OSError, UnicodeError) as fault:
            future.set_exception(fault)
        finally:
            if not future.done():  # a fault in the look-up's code: nobody shall wait for an answer that can't come
                future.set_exception(ResolverFailed(key[0]))
            self._finished(key)

    def _finished(self, key: tuple[str, int]) -> None:
        with self._lock:
            self._running.pop(key, None)
        self._slots.release()


_default_resolver: Final = Resolver()


def resolve(
    host: str, port: int, *, policy: AddressPolicy, timeout: float = 5.0, resolver: Resolver | None = None
) -> list[Address]:
    """The addresses of a host, every one of them permitted; never empty.

    Args:
        host: a name or IP literal, as the user typed it.
        port: 1 to 65535.
        policy: one refused address refuses the whole look-up, since a mixed answer is how rebinding attacks look.
        timeout: seconds for the look-up.
        resolver: another one than the process's own, for tests.

    Raises:
        InvalidHost, HostNotFound, ResolverFailed, ResolverTimeout, AddressBlocked: as their names say.
    """
    if not 0 < port < 65536:
        raise InvalidHost(f"{host}:{port}")
    name = canonical_host(host)
    if not isinstance(name, str):
        policy.check(name, port, host=host)
        return [Address(str(name), name, port)]
    if name == "localhost" or name.endswith(".localhost"):
        return _loopback(name, port, policy, host)
    # The dot keeps the system's search domains out; it would also keep /etc/hosts out, where private targets are named.
    asked = name if policy.private_targets else name + "."
    try:
        records = (resolver or _default_resolver).lookup(asked, port, timeout=timeout)
    except NetworkError as fault:
        raise type(fault)(host) from None
    return _vetted(records, name, port, policy, host)


def connect(address: Address, timeout: float) -> socket.socket:
    """A TCP connection to exactly this address, with the timeout (seconds) left set. Raises OSError or TimeoutError."""
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address.sockaddr)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_any(addresses: Sequence[Address], *, timeout: float) -> tuple[socket.socket, Address]:
    """A connection to the first address that answers, within timeout seconds for all of them together.

    Each gets an equal share of the time that is left, so that one silent address does not use it up. The socket is left
    with ``timeout`` set. Raises the OSError or TimeoutError of the last address, ValueError without any.
    """
    deadline = time.monotonic() + timeout
    for left in range(len(addresses), 0, -1):
        address = addresses[-left]
        share = max(0.001, (deadline - time.monotonic()) / left)
        try:
            connection = connect(address, share)
        except OSError:
            if left == 1:
                raise
        else:
            connection.settimeout(timeout)
            return connection, address
    raise ValueError("there is no address to connect to")


def _loopback(name: str, port: int, policy: AddressPolicy, host: str) -> list[Address]:
    """This machine (RFC 6761, 6.3) without asking DNS; both families are one host, so one permitted is enough."""
    found = [Address(name, unmapped(ip), port) for ip in _LOOPBACK if policy.permits(ip, port)]
    if not found:
        raise AddressBlocked(host)
    return found


def _vetted(records: Sequence[str], name: str, port: int, policy: AddressPolicy, host: str) -> list[Address]:
    try:
        addresses = [unmapped(each) for each in dict.fromkeys(records)]
    except ValueError:
        raise ResolverFailed(host) from None
    if not addresses:
        raise HostNotFound(host)
    for address in addresses:
        policy.check(address, port, host=host)
    return [Address(name, address, port) for address in dict.fromkeys(addresses)][:_MOST_ADDRESSES]
