"""What happens to a request to one of the played APIs: found by its host, remembered, hit by a fault or answered."""

import json
import re
import socket
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Final

from flask import Flask
from werkzeug.wrappers import Request, Response

from portal.sandbox.apis.base import Api, json_response, spoiled
from portal.sandbox.certificates import Authority
from portal.sandbox.state import Fault, FaultMode, State
from portal.sandbox.webserver import Environ, Pauses, WebServer

MOST_CONNECTIONS: Final = 32
_SLOW: Final = 3.0
_LONGEST_BODY: Final = 32768
_HIDDEN: Final = "(not kept)"
_SECRETS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "password", "client_secret", "refresh_token"}
    | {"access_token", "auth_token", "api_key", "code", "code_verifier", "assertion", "client_assertion", "token"}
    | {"sig"}
)
"""Names of headers and fields whose values are never remembered."""


class ApiService:
    """The played APIs behind the HTTPS server."""

    def __init__(self, state: State, authority: Authority, apis: Iterable[Api]) -> None:
        self._state = state
        self._pauses = Pauses()
        self._server = WebServer(self._play, most=MOST_CONNECTIONS, tls=authority.server_context())
        self._played: dict[str, tuple[Api, Flask]] = {}
        for api in apis:
            app = api.make(state)
            self._played.update(dict.fromkeys(api.hosts, (api, app)))

    def start(self, port: int) -> int:
        """Listen on a port, 0 for any free one; returns it.

        Raises:
            OSError: the port is taken.
        """
        return self._server.start(port)

    def stop(self) -> None:
        """End every connection and wait until the threads are gone."""
        self._server.stop()

    def release(self) -> None:
        """Let requests go on that a fault makes wait."""
        self._pauses.release()

    def _play(self, environ: Environ, body: bytes, connection: socket.socket) -> Response | None:
        host = str(environ.get("HTTP_HOST", "")).lower().removesuffix(":443").rstrip(".")
        played = self._played_at(host)
        if played is None:
            return _unknown(host, self._played)
        api, app = played
        fault = self._state.take_fault(api.slug)
        about = {**_described(environ, body, api.hidden_path), "fault": str(fault.mode), "status": None}
        entry = self._state.received(api.slug, about)
        answer = self._answer(api, app, environ, connection, fault)
        if answer is not None:
            entry["status"] = answer.status_code
        return answer

    def _played_at(self, host: str) -> tuple[Api, Flask] | None:
        labels = host.split(".")
        names = (host, *("*." + ".".join(labels[at:]) for at in range(1, len(labels))))
        return next((self._played[name] for name in names if name in self._played), None)

    def _answer(
        self, api: Api, app: Flask, environ: Environ, connection: socket.socket, fault: Fault
    ) -> Response | None:
        delay = None if fault.delay_ms is None else fault.delay_ms / 1000
        if fault.mode in api.refusals:
            return api.refusals[fault.mode]()
        if fault.mode is FaultMode.TIMEOUT:
            self._pauses.wait(connection, delay)
            return None
        if fault.mode is FaultMode.SLOW:
            self._pauses.wait(connection, _SLOW if delay is None else delay)
        answer = Response.from_app(app, environ, buffered=True)
        return spoiled(answer) if fault.mode is FaultMode.MALFORMED else answer


def _unknown(host: str, played: Iterable[str]) -> Response:
    detail = f"The sandbox plays {', '.join(sorted(played))}, not “{host[:100]}”."
    return json_response({"title": "Misdirected request", "status": 421, "detail": detail}, 421)


def _described(environ: Environ, body: bytes, hidden_path: str) -> dict[str, object]:
    """Return what is remembered of a request: bounded, and without any secret."""
    request = Request({**environ, "wsgi.input": BytesIO(body)}, populate_request=False)
    return {
        "kind": "request",
        "method": request.method,
        "host": request.host,
        "path": (re.sub(hidden_path, _HIDDEN, request.path) if hidden_path else request.path)[:1000],
        "query": clean(request.args.to_dict(flat=False)),
        "headers": clean(dict(list(request.headers.items())[:100])),
        "body": _readable(request, body),
    }


def _readable(request: Request, body: bytes) -> object:
    if len(body) > _LONGEST_BODY:
        return f"({len(body)} bytes)"
    if request.mimetype == "application/x-www-form-urlencoded":
        return clean(request.form.to_dict(flat=False))
    try:
        return clean(json.loads(body)) if body else None
    except ValueError:
        return f"({len(body)} bytes, no JSON)"


def clean(value: object) -> object:
    """Return the value without what stands under the name of a secret."""
    if isinstance(value, Mapping):
        return {name: _HIDDEN if str(name).lower() in _SECRETS else clean(inner) for name, inner in value.items()}
    return [clean(each) for each in value] if isinstance(value, list) else value
