"""One connection to one host, from its name to the answers that come over it."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from socket import socket
from types import TracebackType
from typing import Final, Self

from portal.http.parts import Answer, CallFailed, Network, Part, Request, TimeLeft, Unreadable, Unsendable
from portal.http.wire import Client, Wire, body_of, headers_of, plain
from portal.security.network import Address, NetworkError

CONNECT_LIMIT: Final = 10.0
"""Seconds that looking up and connecting may take at most, so that some of the call's time is left to say why."""
LARGEST_HEAD: Final = 64 * 1024
"""Bytes of an answer's status line and headers."""
LARGEST_BODY: Final = 1024 * 1024
"""Bytes of an answer's body, where the caller names no other bound."""
_SAFE: Final = frozenset({"GET", "HEAD"})


class Connection:
    """A connection to one host: made step by step or by the first call, and used again while the server keeps it open.

    Use it as a context manager. Every method raises CallFailed and nothing else. After a failed handshake the
    connection stays open until then, because its certificate may still be looked at.
    """

    def __init__(
        self,
        host: str,
        port: int = 443,
        *,
        network: Network,
        tls: ssl.SSLContext,
        time: TimeLeft,
        largest: int = LARGEST_BODY,
    ) -> None:
        self._host, self._port = host, port
        self._network, self._tls, self._time, self._largest = network, tls, time, largest
        self._addresses: Sequence[Address] = ()
        self._socket: socket | None = None
        self._client: Client | None = None
        self._name = host
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def resolve(self) -> Sequence[Address]:
        """Look the host up."""
        with self._during(Part.RESOLVE):
            limit = self._time.remaining(CONNECT_LIMIT)
            self._addresses = self._network.resolve(self._host, self._port, limit)
        return self._addresses

    def connect(self) -> Address:
        """Dial one of the addresses that were found."""
        self.close()
        with self._during(Part.CONNECT):
            limit = self._time.remaining(CONNECT_LIMIT)
            self._socket, address = self._network.connect(self._addresses, limit)
        self._name = address.host
        return address

    def encrypt(self) -> ssl.SSLSocket:
        """Begin TLS and verify that the certificate belongs to the host."""
        plain = self._socket
        if plain is None:
            raise RuntimeError("not connected yet")
        with self._during(Part.ENCRYPT):
            plain.settimeout(self._time.remaining())
            encrypted = self._tls.wrap_socket(plain, server_hostname=self._name, do_handshake_on_connect=False)
            self._socket = encrypted
            try:
                encrypted.do_handshake()
            except ssl.SSLError as error:
                raise CallFailed(Part.ENCRYPT, error, connection=encrypted) from None
        self._client = Client(self._name, self._port, Wire(encrypted, self._time))
        self._used = False
        return encrypted

    def call(self, request: Request) -> Answer:
        """Send a request and read the answer, whatever its status; redirects are answers like others.

        A server may have closed a connection that was kept open; only what is safe to repeat is tried on another one.
        """
        again = self._client is not None and self._used and request.method in _SAFE
        if self._client is None:
            self._open()
        try:
            return self._exchange(request)
        except CallFailed as failed:
            if not (again and isinstance(failed.error, ConnectionError)):
                raise
        self._open()
        return self._exchange(request)

    def close(self) -> None:
        """Close the connection; never raises and never waits."""
        if self._socket:
            self._socket.close()
        self._socket = self._client = None

    def _open(self) -> None:
        if not self._addresses:
            self.resolve()
        self.connect()
        self.encrypt()

    def _exchange(self, request: Request) -> Answer:
        client = self._client
        if client is None:
            raise RuntimeError("not connected yet")
        self._used = True
        with self._during(Part.SEND):
            client.ask(request)
        with self._during(Part.ANSWER):
            client.wire.allow(LARGEST_HEAD)
            response = client.getresponse()
        answer = self._read(client, response)
        if response.will_close or not answer.complete:
            self.close()
        return answer

    def _read(self, client: "Client", response: HTTPResponse) -> Answer:
        """Read the body; that of an error may be broken, because its status says enough."""
        body, complete = b"", True
        try:
            client.wire.allow(2 * self._largest + LARGEST_HEAD)
            body = body_of(response, self._largest)
        except (OSError, HTTPException, Unreadable) as error:
            if response.status < 400:
                self.close()
                raise CallFailed(Part.ANSWER, plain(error), status=response.status) from None
            complete = False
        return Answer(
            status=response.status, phrase=response.reason, headers=headers_of(response), body=body, complete=complete
        )

    @contextmanager
    def _during(self, part: Part) -> Iterator[None]:
        try:
            yield
        except (OSError, NetworkError, HTTPException, Unreadable, Unsendable) as error:
            self.close()
            raise CallFailed(part, plain(error)) from None
