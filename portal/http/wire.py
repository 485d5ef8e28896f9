"""http.client over a connection of ours: no wait beyond the time left, no answer beyond the bytes allowed."""

import io
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, InvalidURL
from typing import Any, Final

from portal.http.parts import Request, TimeLeft, Unreadable, Unsendable

_CHUNK: Final = 64 * 1024


class Client(HTTPConnection):
    """http.client's connection, over a wire that is already there; it opens none itself."""

    default_port = 443
    auto_open = 0

    def __init__(self, host: str, port: int, wire: "Wire") -> None:
        super().__init__(f"[{host}]" if ":" in host else host, port)
        self.wire = wire
        self.sock: Any = wire

    def ask(self, request: Request) -> None:
        """Send a request; http.client refuses line breaks in headers and targets.

        Raises:
            Unsendable: it has characters that HTTP cannot carry.
        """
        headers = {"Accept-Encoding": "identity", **request.headers}
        try:
            self.request(request.method, request.target, request.body or None, headers)
        except (ValueError, InvalidURL):
            raise Unsendable("not sendable") from None


class Wire:
    """What http.client takes for a socket: every wait is cut to the time left, every answer to the bytes allowed."""

    def __init__(self, connection: ssl.SSLSocket, time: TimeLeft) -> None:
        self._connection = connection
        self._time = time
        self._allowed = 0

    def allow(self, count: int) -> None:
        """Set how many bytes may be received from now on."""
        self._allowed = count

    def sendall(self, data: bytes) -> None:
        """Send all of the data."""
        left = memoryview(data)
        while left:
            self._connection.settimeout(self._time.remaining())
            left = left[self._connection.send(left[:_CHUNK]) :]

    def receive_into(self, buffer: memoryview) -> int:
        """Receive what there is; 0 at the end."""
        if self._allowed <= 0:
            raise Unreadable("too_large")
        self._connection.settimeout(self._time.remaining())
        received = self._connection.recv_into(buffer[: self._allowed])
        self._allowed -= received
        return received

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader for one answer."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Do nothing: http.client lets go of the socket before the body is read, and its owner closes it."""


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive_into(memoryview(buffer))


def body_of(response: HTTPResponse, largest: int) -> bytes:
    """Return an answer's body of at most so many bytes.

    Raises:
        Unreadable: it is larger, compressed although nobody asked for that, or ends too early.
        OSError, HTTPException: the connection broke, or the time was over.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Unreadable("encoded")
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > largest:
            raise Unreadable("too_large")
    if response.length:  # what was announced and never came
        raise Unreadable("cut")
    return bytes(body)


def headers_of(response: HTTPResponse) -> dict[str, str]:
    """Return an answer's headers, names in lower case, repeated ones joined by commas (RFC 9110, 5.2)."""
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return found


def plain(error: Exception) -> Exception:
    """Return an error of http.client as one of ours; one that is also an OSError says enough itself."""
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return Unreadable("cut" if isinstance(error, IncompleteRead) else "not_http")
    return error
