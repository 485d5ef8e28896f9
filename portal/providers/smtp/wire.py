"""One connection to a mail server with hard bounds: a deadline, and a size for lines and answers."""

import socket
import ssl
from typing import Final

from portal.providers.staged import Deadline

LONGEST_LINE: Final = 4096
"""Bytes of one line of an answer; RFC 5321 asks for 512, and real servers keep near it."""
LARGEST_ANSWER: Final = 65536
"""Bytes of one answer with all its lines."""
_CHUNK: Final = 65536


class Closed(ConnectionError):
    """The server closed the connection."""


class Rubbish(Exception):
    """The server sent something that is not SMTP; `sample` is its beginning."""

    def __init__(self, sample: bytes) -> None:
        super().__init__("not SMTP")
        self.sample = bytes(sample[:LONGEST_LINE])


class Wire:
    """Lines in, bytes out, over a socket that may become encrypted on the way.

    Every wait is cut to what is left until the deadline, so a server that sends one byte a second gains nothing by it.
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = bytearray()

    def read_line(self) -> bytes:
        """Return the next line without its end.

        Raises:
            Closed: the connection ended before the line did.
            Rubbish: the line is longer than any answer may be.
            OSError, ssl.SSLError: the connection broke; TimeoutError when the deadline passed.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise Rubbish(bytes(self._buffer))
            self._receive()
        if end > LONGEST_LINE:
            raise Rubbish(bytes(self._buffer))
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.rstrip(b"\r")

    def _receive(self) -> None:
        self._connection.settimeout(self._deadline.remaining())
        received = self._connection.recv(LONGEST_LINE)
        if not received:
            raise Closed("closed by the server")
        self._buffer += received

    def send(self, data: bytes) -> None:
        """Send all of the data.

        Raises:
            OSError, ssl.SSLError: the connection broke; TimeoutError when the deadline passed.
        """
        left = memoryview(data)
        while left:
            self._connection.settimeout(self._deadline.remaining())
            left = left[self._connection.send(left[:_CHUNK]) :]

    def encrypt(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Encrypt the connection and verify that the certificate belongs to the host.

        Raises:
            Rubbish: plain text was sent ahead of the encryption, which is how an attacker slips in answers.
            HandshakeFailed: the handshake failed; it holds the connection for a look at the certificate.
            TimeoutError: the deadline passed.
        """
        if self._buffer:
            raise Rubbish(bytes(self._buffer))
        self._connection.settimeout(self._deadline.remaining())
        encrypted = context.wrap_socket(self._connection, server_hostname=host, do_handshake_on_connect=False)
        self._connection = encrypted
        try:
            encrypted.do_handshake()
        except ssl.SSLError as error:
            raise HandshakeFailed(error, encrypted) from None
        return encrypted

    def limit(self, deadline: Deadline) -> None:
        """Set another deadline for what follows."""
        self._deadline = deadline

    def close(self) -> None:
        """Close the connection; never raises and never waits."""
        self._connection.close()


class HandshakeFailed(Exception):
    """TLS could not be set up."""

    def __init__(self, error: ssl.SSLError, connection: ssl.SSLSocket) -> None:
        super().__init__(str(error))
        self.error = error
        self.connection = connection
