"""What happens to a webhook that arrives: kept, checked, then hit by a fault or answered as a strict receiver does."""

import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from werkzeug.datastructures import EnvironHeaders
from werkzeug.wrappers import Response

from portal.sandbox.apis.base import json_response, spoiled
from portal.sandbox.playing import clean
from portal.sandbox.state import WEBHOOKS, Fault, FaultMode, State
from portal.sandbox.webhooks.inbox import Entry, Inbox
from portal.sandbox.webhooks.signatures import Check, Finding, check
from portal.sandbox.webserver import Environ, Pauses

PREFIX: Final = "/webhooks/"
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")
SLOW: Final = 3.0
"""Seconds, where the fault has no delay of its own."""
RETRY_AFTER: Final = 5
"""The same, for the header of that name."""
FLAKY_EVERY: Final = 3
"""Of so many requests one fails."""
_LONGEST_BODY: Final = 64 * 1024
_LONGEST_VALUE: Final = 2000
_CHUNK: Final = b"x" * 65536
_CHUNKS: Final = 1 << 14
_NO_HTTP: Final = b"SSH-2.0-OpenSSH_9.9\r\n"


class Receiver:
    """The endpoints under /webhooks/: any name will do."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pauses = Pauses()
        self.inbox = Inbox(state.number)

    def release(self) -> None:
        """Let requests go on that a fault makes wait."""
        self._pauses.release()

    def play(self, environ: Environ, body: bytes, connection: socket.socket) -> Response | None:
        """Keep a request to an endpoint and answer it; None hangs up."""
        name = str(environ["PATH_INFO"]).removeprefix(PREFIX)
        if not NAME.fullmatch(name):
            return _said(404, "The name of an endpoint has 1 to 60 letters, digits, - and _.")
        secret, status = self.inbox.about(name)
        headers = {key.lower(): value for key, value in EnvironHeaders(environ)}
        found = check(secret, headers, body, now=time.time())
        fault = self._take_fault(name)
        about = {**_described(environ, body), **_judged(found), "fault": str(fault.mode)}
        entry = self.inbox.receive(name, headers.get("webhook-id", "")[:200], about)
        if fault.mode is FaultMode.ENDLESS:
            self.inbox.answered(entry, 200)
        if self._leaves(fault, connection):
            return None
        answer = _refusal(fault, name, entry["count"], environ) or _answer(found, status, environ)
        answer = spoiled(answer) if fault.mode is FaultMode.MALFORMED else answer
        self.inbox.answered(entry, answer.status_code)
        return answer

    def _take_fault(self, name: str) -> Fault:
        """Return the endpoint's own fault, or the one of all endpoints."""
        own = self._state.take_fault(fault_key(name))
        return own if own.mode is not FaultMode.NONE else self._state.take_fault(WEBHOOKS)

    def _leaves(self, fault: Fault, connection: socket.socket) -> bool:
        """Wait if the fault says so; return whether the client gets no answer, or none that is HTTP."""
        delay = None if fault.delay_ms is None else fault.delay_ms / 1000
        if fault.mode is FaultMode.SLOW:
            self._pauses.wait(connection, SLOW if delay is None else delay)
        elif fault.mode is FaultMode.TIMEOUT:
            self._pauses.wait(connection, delay)
        elif fault.mode in _RUDE:
            _RUDE[fault.mode](connection)
        return fault.mode is FaultMode.TIMEOUT or fault.mode in _RUDE


def fault_key(name: str) -> str:
    """Return the name under which the fault of one endpoint is kept."""
    return f"{WEBHOOKS}/{name}"


def _refusal(fault: Fault, name: str, count: int, environ: Environ) -> Response | None:
    if fault.mode is FaultMode.FLAKY:
        return _said(500, "Try again.") if count % FLAKY_EVERY == 0 else None
    if fault.mode is FaultMode.REDIRECT:
        # Inward, as an attacker's receiver would; whoever follows shows up at that endpoint.
        inward = f"http://127.0.0.1:{environ['SERVER_PORT']}{PREFIX}{name[:50]}-followed"
        return _said(307, "Follow me.", {"Location": inward})
    return _REFUSALS[fault.mode](fault) if fault.mode in _REFUSALS else None


def _answer(found: Check, status: int, environ: Environ) -> Response:
    if environ["REQUEST_METHOD"] != "POST":
        return _said(405, "Webhooks are sent by POST.", {"Allow": "POST"})
    if found.refused:
        return _said(401, f"webhook-signature: {found.signature}, X-Portal-Signature: {found.body_hash}.")
    return Response(status=status) if status in (204, 304) else json_response({"received": True}, status)


def _said(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response({"status": status, "detail": detail}, status, headers)


def _later(status: int, fault: Fault) -> Response:
    seconds = RETRY_AFTER if fault.delay_ms is None else -(-fault.delay_ms // 1000)
    return _said(status, "Come back later.", {"Retry-After": str(seconds)})


def _plain(status: int, detail: str, wish: str, _fault: Fault) -> Response:
    return _said(status, detail, {"webhook-delivery": wish} if wish else None)


_REFUSALS: Final[Mapping[FaultMode, Callable[[Fault], Response]]] = {
    FaultMode.ERROR_500: partial(_plain, 500, "Something broke here.", ""),
    FaultMode.RATE_LIMIT: partial(_later, 429),
    FaultMode.UNAVAILABLE: partial(_later, 503),
    FaultMode.BAD_CREDENTIALS: partial(_plain, 401, "This receiver knows another secret.", ""),
    FaultMode.REVOKED: partial(_plain, 403, "This sender is welcome no more.", ""),
    FaultMode.GONE: partial(_plain, 410, "This endpoint was taken down.", ""),
    FaultMode.DISABLE: partial(_plain, 403, "Send no more.", "disable"),
    FaultMode.ABORT_MESSAGE: partial(_plain, 422, "This one will never be taken.", "abort-message"),
}


def _reset(connection: socket.socket) -> None:
    """Make the connection end with a reset in place of an orderly close."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _endless(connection: socket.socket) -> None:
    """Send until the client has had enough."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    for _ in range(_CHUNKS):
        connection.sendall(_CHUNK)


def _not_http(connection: socket.socket) -> None:
    connection.sendall(_NO_HTTP)


_RUDE: Final[Mapping[FaultMode, Callable[[socket.socket], None]]] = {
    FaultMode.RESET: _reset,
    FaultMode.ENDLESS: _endless,
    FaultMode.NOT_HTTP: _not_http,
}


def _described(environ: Environ, body: bytes) -> Entry:
    """Return what is kept of a request: bounded, and without what stands under the name of a secret."""
    headers = {name: value[:_LONGEST_VALUE] for name, value in EnvironHeaders(environ)}
    return {
        "kind": "request",
        "method": environ["REQUEST_METHOD"],
        "host": headers.get("Host", ""),
        "path": str(environ["PATH_INFO"]),
        "headers": clean(headers),
        "body": body[:_LONGEST_BODY].decode("utf-8", "replace"),
        "bytes": len(body),
        "webhook_id": headers.get("Webhook-Id", "")[:200],
        "event": headers.get("X-Portal-Event", "")[:200],
        "attempt": headers.get("X-Portal-Attempt", "")[:20],
    }


def _judged(found: Check) -> Entry:
    good = None if found.signature is Finding.UNCHECKED else not found.refused
    return {"signature": str(found.signature), "body_hash": str(found.body_hash), "good": good}
