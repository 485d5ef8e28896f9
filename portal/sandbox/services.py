"""The sandbox's mail server in a thread: a start that reports failure, and a stop that leaves nothing behind."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from ssl import SSLContext
from threading import Thread
from typing import Any, Final

from portal.sandbox.certificates import Authority
from portal.sandbox.mailserver import MailServer
from portal.sandbox.state import State

HOST: Final = "127.0.0.1"
"""The sandbox accepts any credentials and shows all mail, so it listens to this machine alone."""
log = logging.getLogger("portal.sandbox")


class MailService:
    """The mail server on two ports: one that begins in the clear, one that begins with TLS."""

    def __init__(self, state: State, authority: Authority) -> None:
        self._state = state
        self._tls = authority.server_context()
        self.connections: set[MailServer] = set()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._released = asyncio.Event()

    def start(self, port: int) -> tuple[int, int]:
        """Listen on a port, 0 for any free one, and with TLS on any free one. Returns both.

        Raises:
            OSError: the port is taken.
        """
        # aiosmtpd warns at each login of a detail of its own that nobody here uses.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        started: Future[tuple[int, int]] = Future()
        self._thread = Thread(target=self._run, args=(port, started), name="sandbox-smtp", daemon=True)
        self._thread.start()
        return started.result()

    def stop(self) -> None:
        """End every connection, also those that hang, and wait until the thread is gone."""
        self._call(self._stopping.set)
        if self._thread:
            self._thread.join()
            self._thread = None

    def release(self) -> None:
        """Let connections go on that a fault makes wait."""
        self._call(self._pulse)

    def _pulse(self) -> None:
        # Whoever waits is woken by set(); clear() makes the next one wait again.
        self._released.set()
        self._released.clear()

    def _call(self, callback: Callable[[], None]) -> None:
        """Call something in the server's thread, if that still runs."""
        if self._loop:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _run(self, port: int, started: Future[tuple[int, int]]) -> None:
        try:
            asyncio.run(self._serve(port, started))
        except OSError as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, port: int, started: Future[tuple[int, int]]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(_note)
        servers = [await loop.create_server(self._factory(self._tls), HOST, port)]
        servers.append(await loop.create_server(self._factory(None), HOST, 0, ssl=self._tls))
        plain, encrypted = (server.sockets[0].getsockname()[1] for server in servers)
        started.set_result((plain, encrypted))
        await self._stopping.wait()
        for server in servers:
            server.close()
        for connection in list(self.connections):
            connection.abort()

    def _factory(self, tls: SSLContext | None) -> Callable[[], MailServer]:
        loop = asyncio.get_running_loop()
        return lambda: MailServer(self._state, self._released, self.connections, loop=loop, tls_context=tls)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what went wrong in a connection; a client that goes away in the middle is everyday life for a server."""
    log.debug("mail server: %s", context.get("message"))
