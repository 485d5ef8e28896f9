"""Sends many requests at once from one thread: libcurl's multi interface, each request to one vetted address.

Nothing here looks a name up, follows a redirect, asks a proxy or reads more than it must. Times are seconds.
"""

import select
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import pycurl

from portal.security.network import Address
from portal.webhooks.exchange import Outgoing, Reply, headers_of_answer

CONNECT_SECONDS: Final = 10
LARGEST_BODY: Final = 64 * 1024
"""Bytes of an answer's body that are read and kept; the rest is never read."""
LARGEST_HEAD: Final = 32 * 1024

_CAME: Final = select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP

T = TypeVar("T")


# Numbers of libcurl's CURLcode (libcurl-errors(3)) that pycurl gives no name of their own.
WEIRD_REPLY: Final = 8
TOO_LARGE_HEAD: Final = 100
_ERRORS: Final = {
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_GOT_NOTHING: "closed",
    pycurl.E_SEND_ERROR: "closed",
    pycurl.E_RECV_ERROR: "closed",
    pycurl.E_PARTIAL_FILE: "closed",
    WEIRD_REPLY: "not_http",
    pycurl.E_UNSUPPORTED_PROTOCOL: "not_http",
    TOO_LARGE_HEAD: "not_http",
}
_PARTS: Final = (
    ("connect", pycurl.CONNECT_TIME_T),
    ("tls", pycurl.APPCONNECT_TIME_T),
    ("first_byte", pycurl.STARTTRANSFER_TIME_T),
    ("total", pycurl.TOTAL_TIME_T),
)


class _Transfer(Generic[T]):
    """One request under way on one handle, which is used again afterwards."""

    def __init__(self, ca_file: str) -> None:
        self.curl = pycurl.Curl()
        self.token: T
        self.head: list[bytes] = []
        self.body = bytearray()
        self.head_size = 0
        self.allowed = ""
        self.goes_to: tuple[str, Address, float] | None = None
        self.begun = 0.0
        self.opened: list[socket.socket] = []
        for option, value in (
            (pycurl.OPENSOCKETFUNCTION, self._open),
            (pycurl.POST, 1),
            (pycurl.HEADERFUNCTION, self._header),
            (pycurl.WRITEFUNCTION, self._write),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CAINFO, ca_file),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        ):
            self.curl.setopt(option, value)

    def prepare(self, request: Outgoing, token: T) -> None:
        """Set up what differs between requests; connections stay in the multi handle's pool."""
        self.token, self.begun = token, time.monotonic()
        self.head, self.body, self.head_size = [], bytearray(), 0
        goes_to = request.url, request.address, request.timeout
        if goes_to != self.goes_to:
            self._aim(*goes_to)
        set_option = self.curl.setopt
        set_option(pycurl.HTTPHEADER, [*[f"{name}: {value}" for name, value in request.headers.items()], "Expect:"])
        set_option(pycurl.POSTFIELDSIZE_LARGE, len(request.body))
        set_option(pycurl.POSTFIELDS, request.body)

    def _aim(self, url: str, address: Address, timeout: float) -> None:
        """Set up where requests go from now on; a handle keeps that from one to the next."""
        self.goes_to = None
        self.allowed = str(address.ip)
        ip = f"[{self.allowed}]" if address.ip.version == 6 else self.allowed
        set_option = self.curl.setopt
        set_option(pycurl.URL, url)
        set_option(pycurl.CONNECT_TO, [f"::{ip}:{address.port}"])
        set_option(pycurl.CONNECTTIMEOUT_MS, min(CONNECT_SECONDS, int(timeout)) * 1000)
        set_option(pycurl.TIMEOUT_MS, int(timeout * 1000))
        self.goes_to = url, address, timeout

    def _open(self, _purpose: int, address: Any) -> socket.socket | int:
        """Open the socket for exactly the address that was vetted; a belt beside the braces of CONNECT_TO."""
        family, kind, protocol, where = address
        if str(where[0]) != self.allowed:
            return int(pycurl.SOCKET_BAD)
        # pycurl duplicates the descriptor once this returns; ours is closed when the request is over.
        self.opened.append(socket.socket(family, kind, protocol))
        return self.opened[-1]

    def _header(self, line: bytes) -> int | None:
        self.head_size += len(line)
        self.head.append(line)
        return None if self.head_size <= LARGEST_HEAD else 0

    def _write(self, data: bytes) -> int | None:
        self.body += data
        return None if len(self.body) <= LARGEST_BODY else 0

    def release(self) -> None:
        """Close what was opened for the handle's own copies."""
        for each in self.opened:
            each.close()
        self.opened = []

    def reply(self, code: int, message: str) -> Reply:
        """Return what came of it."""
        truncated = len(self.body) > LARGEST_BODY
        complete = code == 0 or (code == pycurl.E_WRITE_ERROR and truncated)
        status = int(self.curl.getinfo(pycurl.RESPONSE_CODE)) or None
        timing: dict[str, Any] = {name: self.curl.getinfo(which) // 1000 for name, which in _PARTS}
        timing["peer"] = self.curl.getinfo(pycurl.PRIMARY_IP)
        return Reply(
            status=status if complete or self.head else None,
            headers=headers_of_answer(self.head),
            body=bytes(self.body[:LARGEST_BODY]),
            error="" if complete else _ERRORS.get(code, "not_http" if code == pycurl.E_WRITE_ERROR else "closed"),
            detail="" if complete else message,
            truncated=truncated,
            duration_ms=round((time.monotonic() - self.begun) * 1000),
            timing=timing,
        )


class Wire(Generic[T]):
    """Many requests under way at once. All methods but wake() belong to the one thread that owns it.

    T is what the caller wants back with each reply.
    """

    def __init__(self, *, most: int, ca_file: str = "") -> None:
        """Prepare it.

        Args:
            most: requests at the same time.
            ca_file: certificates to trust in place of the system's.
        """
        self._most = most
        trusted = ssl.get_default_verify_paths()
        self._ca_file = ca_file or trusted.cafile or trusted.openssl_cafile
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, most)
        self._poll = select.epoll()
        self._watched: set[int] = set()
        self._timer: float | None = None
        self._busy: dict[pycurl.Curl, _Transfer[T]] = {}
        self._idle: list[_Transfer[T]] = []
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._poll.register(self._ear, select.EPOLLIN)

    @property
    def free(self) -> int:
        """Requests that can be started now."""
        return self._most - len(self._busy)

    @property
    def busy(self) -> int:
        """Requests under way."""
        return len(self._busy)

    def start(self, request: Outgoing, token: T) -> None:
        """Begin to send a request; its reply comes out of turn() with the token. What libcurl refuses, it raises."""
        if not self._idle:
            self._idle.append(_Transfer[T](self._ca_file))
        transfer = self._idle[-1]
        transfer.prepare(request, token)
        self._idle.pop()
        self._busy[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def turn(self, at_most: float) -> list[tuple[T, Reply]]:
        """Wait for something to happen, up to so many seconds, and return the requests that ended."""
        now = time.monotonic()
        wait = at_most if self._timer is None else max(0.0, min(at_most, self._timer - now))
        for fd, mask in self._poll.poll(wait):
            if fd == self._ear.fileno():
                with suppress(BlockingIOError):
                    self._ear.recv(4096)
                continue
            self._multi.socket_action(
                fd, (pycurl.CSELECT_IN if mask & _CAME else 0) | (pycurl.CSELECT_OUT if mask & select.EPOLLOUT else 0)
            )
        if self._timer is not None and time.monotonic() >= self._timer:
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended()

    def wake(self) -> None:
        """Let turn() return now. Any thread may call it."""
        with suppress(BlockingIOError, OSError):
            self._mouth.send(b"!")

    def close(self) -> None:
        """Break off what is under way and close every connection."""
        for transfer in self._busy.values():
            self._multi.remove_handle(transfer.curl)
            transfer.release()
            transfer.curl.close()
        for transfer in self._idle:
            transfer.curl.close()
        self._busy, self._idle = {}, []
        self._multi.close()
        self._poll.close()
        self._ear.close()
        self._mouth.close()

    def _ended(self) -> list[tuple[T, Reply]]:
        found = []
        while True:
            waiting, fine, failed = self._multi.info_read()
            found += [self._finish(curl, 0, "") for curl in fine]
            found += [self._finish(curl, code, message) for curl, code, message in failed]
            if not waiting:
                return found

    def _finish(self, curl: pycurl.Curl, code: int, message: str) -> tuple[T, Reply]:
        transfer = self._busy.pop(curl)
        self._multi.remove_handle(curl)
        reply = transfer.reply(code, message)
        transfer.release()
        self._idle.append(transfer)
        return transfer.token, reply

    def _watch(self, what: int, fd: int, _multi: object, known: object) -> None:
        """Watch the sockets that libcurl waits for; a closed one has left the list by itself."""
        if what == pycurl.POLL_REMOVE:
            self._watched.discard(fd)
            with suppress(OSError):
                self._poll.unregister(fd)
            return
        mask = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if fd in self._watched:
            self._poll.modify(fd, mask)
        else:
            self._watched.add(fd)
            self._poll.register(fd, mask)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
