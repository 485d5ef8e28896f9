"""The sandbox's HTTPS server: on one port, a dialogue with each client, and pauses that end when they should."""

import logging
import selectors
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from ssl import SSLContext, SSLSocket
from threading import Lock, Thread
from typing import Any, Final, cast
from urllib.parse import unquote

from werkzeug.wrappers import Response

from portal.sandbox.services import HOST

MOST_CONNECTIONS: Final = 32
"""At the same time; more of them wait."""
LARGEST_BODY: Final = 30 * 1024 * 1024
_IDLE: Final = 30.0
log = logging.getLogger("portal.sandbox")

Environ = dict[str, Any]
Play = Callable[[Environ, bytes, socket.socket], Response | None]
"""Answers a request (WSGI environment, body, connection); None hangs up without an answer."""


class Pauses:
    """Waiting inside a dialogue: for a time, until the client leaves, or until everybody is let go on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._wakers: set[socket.socket] = set()

    def wait(self, connection: socket.socket, seconds: float | None) -> None:
        """Wait so many seconds (None: no end), or until the client closes the connection, or until release()."""
        mine, waker = socket.socketpair()
        with mine, waker, selectors.DefaultSelector() as selector:
            selector.register(mine, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            with self._lock:
                self._wakers.add(waker)
            try:
                selector.select(seconds)
            finally:
                with self._lock:
                    self._wakers.discard(waker)

    def release(self) -> None:
        """Let everybody who waits go on."""
        with self._lock:
            for waker in self._wakers:
                waker.send(b"!")


class HttpsServer:
    """HTTP/1.1 over TLS in threads, a bounded number of them."""

    def __init__(self, tls: SSLContext, play: Play) -> None:
        self._tls = tls
        self._play = play
        self._lock = Lock()
        self._connections: set[SSLSocket] = set()
        self._listener: socket.socket | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._thread: Thread | None = None

    def start(self, port: int) -> int:
        """Listen on a port, 0 for any free one; returns it.

        Raises:
            OSError: the port is taken.
        """
        self._listener = socket.create_server((HOST, port), backlog=128)
        self._pool = ThreadPoolExecutor(MOST_CONNECTIONS, thread_name_prefix="sandbox-https")
        self._thread = Thread(target=self._accept, args=(self._listener, self._pool), name="sandbox-https", daemon=True)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def stop(self) -> None:
        """End every connection, also those that hang, and wait until the threads are gone."""
        if self._listener is None or self._thread is None or self._pool is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self._pool.shutdown()
        self._listener = self._thread = self._pool = None

    def _accept(self, listener: socket.socket, pool: ThreadPoolExecutor) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:  # stop() shut the listener down
                return
            try:
                # The handshake is the client's pace, and so the connection's own thread's matter.
                connection = self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            except OSError:
                raw.close()
                continue
            with self._lock:
                self._connections.add(connection)
            pool.submit(self._serve, connection)

    def _serve(self, connection: SSLSocket) -> None:
        try:
            connection.settimeout(_IDLE)
            connection.do_handshake()
            _Dialogue(connection, self._play)
        except (OSError, ValueError) as error:
            # A client that goes away in the middle is everyday life for a server.
            log.debug("https: %s", error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def _hang_up(connection: SSLSocket) -> None:
    try:
        # Not SSLSocket.shutdown(): that takes the encryption away from under the thread that uses it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError as error:
        log.debug("https: %s", error)


class _Dialogue(BaseHTTPRequestHandler):
    """Requests and answers on one connection, until one side ends it."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    disable_nagle_algorithm = True

    def __init__(self, connection: SSLSocket, play: Play) -> None:
        self._play = play
        super().__init__(connection, (HOST, 0), cast("Any", None))

    def version_string(self) -> str:
        """Name the server in its answers."""
        return "sandbox"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it
        """Keep quiet: the sandbox shows what it received."""
        log.debug(format, *args)

    def _exchange(self) -> None:
        body = self._body()
        if body is None:
            return
        answer = self._play(self._environ(body), body, self.connection)
        if answer is None:
            self.close_connection = True
            return
        content = answer.get_data()
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name != "Content-Length":
                self.send_header(name, value)
        if answer.status_code != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _exchange  # noqa: N815 - http.server names them

    def _body(self) -> bytes | None:
        """Read the request's body; return None where the dialogue ends over it."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > LARGEST_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
        self.close_connection = True
        return None

    def _environ(self, body: bytes) -> Environ:
        """Return the request as PEP 3333 describes it."""
        path, _, query = self.path.partition("?")
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        return {
            **headers,
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": HOST,
            "SERVER_NAME": HOST,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
