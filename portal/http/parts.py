"""What a call consists of: the way out, the time it has, request, answer, and how far it came when it failed."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from socket import socket
from typing import Protocol

from portal.security.network import Address


class Network(Protocol):
    """What a caller of the client may do with the network. Times are seconds."""

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Return at least one address of the host, each allowed.

        Raises:
            NetworkError: not found, refused by the guard, or the resolver failed (see portal.security.network).
        """
        ...

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        """Connect to the first of these addresses that answers.

        Raises:
            OSError: none answered; TimeoutError when the time was over.
        """
        ...


class TimeLeft(Protocol):
    """The time of a whole call, however many waits it consists of."""

    def remaining(self, at_most: float | None = None) -> float:
        """Return the seconds left, never more than `at_most`.

        Raises:
            TimeoutError: none are left.
        """
        ...


class Part(StrEnum):
    """How far a call came; the value completes "… closed the connection"."""

    RESOLVE = "before it was found"
    CONNECT = "before it was used"
    ENCRYPT = "while encryption was being set up"
    SEND = "while it was given the request"
    ANSWER = "before its answer was complete"


class Unreadable(Exception):
    """An answer that cannot be used; `reason` is not_http, cut, too_large or encoded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unsendable(ValueError):
    """A request with characters that HTTP cannot carry; nothing of it was sent."""


class CallFailed(Exception):
    """A call without a usable answer.

    Attributes:
        part: how far it came.
        error: what happened there: NetworkError, OSError, ssl.SSLError, Unreadable or Unsendable.
        status: the answer's status, where that much of it was read.
        connection: the encrypted connection whose handshake failed, for a look at the certificate.
    """

    def __init__(
        self, part: Part, error: Exception, *, status: int | None = None, connection: ssl.SSLSocket | None = None
    ) -> None:
        super().__init__(f"{type(error).__name__} {part}")
        self.part = part
        self.error = error
        self.status = status
        self.connection = connection

    @property
    def may_have_arrived(self) -> bool:
        """Whether the whole request was sent. A server cannot act on one of which the end never left."""
        return self.part is Part.ANSWER


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request; `target` is path and query. Its repr shows neither headers nor body nor query."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        """Name method and path alone."""
        return f"Request({self.method} {self.target.partition('?')[0]})"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer. Names of headers are in lower case; `complete` is False for an error whose body could not be read."""

    status: int
    phrase: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    complete: bool = True
