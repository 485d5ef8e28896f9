"""Mail servers that misbehave on purpose: a script plays one connection after the other on a loopback socket."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, stopping: Event) -> None:
        self.connection = connection
        self.stopping = stopping
        self.heard: list[str] = []

    def say(self, *lines: str) -> None:
        """Send lines."""
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode("utf-8"))

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def hear(self) -> str:
        """Return the next line of the client; "" when it has gone."""
        line = bytearray()
        while not line.endswith(b"\n"):
            received = self.connection.recv(1)
            if not received:
                return ""
            line += received
        self.heard.append(line.decode("utf-8", "replace").rstrip("\r\n"))
        return self.heard[-1]

    def hang(self) -> None:
        """Say nothing until the client goes away."""
        while self.connection.recv(65536):
            pass

    def drip(self, data: bytes) -> None:
        """Send one byte after the other, slowly, until the client goes away."""
        while True:
            for byte in data:
                self.connection.sendall(bytes([byte]))
                self.stopping.wait(0.01)

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Become a TLS server."""
        self.connection = context.wrap_socket(self.connection, server_side=True)

    def greet(self, *extensions: str) -> None:
        """Greet, and answer EHLO with these extensions."""
        self.say("220 mail.example.com ready")
        self.answer_hello(*extensions)

    def answer_hello(self, *extensions: str) -> None:
        """Answer EHLO."""
        self.hear()
        lines = ("mail.example.com", *extensions)
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def take(self, *answers: str) -> None:
        """Answer so many commands with these lines."""
        for answer in answers:
            self.hear()
            self.say(answer)


Script = Callable[[Peer], None]


class Server:
    """Plays a script for every connection, one after the other. Use it as a context manager."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._stopping = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._run)
        self.port: int = self._listener.getsockname()[1]
        self.peers: list[Peer] = []
        self.error: Exception | None = None

    @property
    def heard(self) -> list[str]:
        """Every line that clients sent in the clear or inside TLS."""
        return [line for peer in self.peers for line in peer.heard]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._listener.close()
        if self.error and not error:
            raise self.error

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            peer = Peer(connection, self._stopping)
            self.peers.append(peer)
            try:
                self._script(peer)
            except (OSError, ssl.SSLError):
                pass  # the client went away, which many of these tests are about
            except Exception as error:  # noqa: BLE001 - shown by the test that waits for this thread
                self.error = error
            finally:
                peer.connection.close()
