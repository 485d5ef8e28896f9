"""The sandbox's web server: on one port, a dialogue with each client, and pauses that end when they should."""

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


class WebServer:
    """HTTP/1.1 in threads, a bounded number of them; over TLS, or in the clear where there is none."""

    def __init__(self, play: Play, *, most: int, tls: SSLContext | None = None) -> None:
        """Prepare it.

        Args:
            play: answers the requests.
            most: connections at the same time; more of them wait.
            tls: encrypts them, where it is given.
        """
        self.play = play
        self._most = most
        self._tls = tls
        self._name = "sandbox-https" if tls else "sandbox-web"
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._thread: Thread | None = None

    def start(self, port: int) -> int:
        """Listen on a port, 0 for any free one; returns it.

        Raises:
            OSError: the port is taken.
        """
        self._listener = socket.create_server((HOST, port), backlog=128)
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
        self._thread = Thread(target=self._accept, args=(self._listener, self._pool), name=self._name, daemon=True)
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
                connection = self._wrapped(raw)
            except OSError:
                raw.close()
                continue
            with self._lock:
                self._connections.add(connection)
            pool.submit(self._serve, connection)

    @property
    def is_full(self) -> bool:
        """Whether a connection more would have to wait."""
        with self._lock:
            return len(self._connections) >= self._most

    def _wrapped(self, raw: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) if self._tls else raw

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_IDLE)
            if isinstance(connection, SSLSocket):
                connection.do_handshake()
            _Dialogue(connection, self)
        except (OSError, ValueError) as error:
            # A client that goes away in the middle is everyday life for a server.
            log.debug("%s: %s", self._name, error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def _hang_up(connection: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown(): that takes the encryption away from under the thread that uses it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError as error:
        log.debug("hanging up: %s", error)


class _Dialogue(BaseHTTPRequestHandler):
    """Requests and answers on one connection, until one side ends it."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, server: WebServer) -> None:
        self._server = server
        super().__init__(connection, (HOST, 0), cast("Any", None))

    def version_string(self) -> str:
        """Name the server in its answers."""
        return "sandbox"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the address out: that of a webhook is a secret."""
        log.debug("%s: %s", self.command, code)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it
        """Keep quiet: the sandbox shows what it received."""
        log.debug(format, *args)

    def _exchange(self) -> None:
        body = self._body()
        if body is None:
            return
        answer = self._server.play(self._environ(body), body, self.connection)
        if answer is None:
            self.close_connection = True
            return
        if self._server.is_full:
            answer.headers["Connection"] = "close"  # others wait for the place
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
        encrypted = isinstance(self.connection, SSLSocket)
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
            "SERVER_PORT": "443" if encrypted else str(self.connection.getsockname()[1]),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if encrypted else "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
