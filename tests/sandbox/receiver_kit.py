"""Talks to the receiver of webhooks in the sandbox: requests, control, what an endpoint got."""

import json
from http.client import HTTPConnection
from typing import Any

from portal.sandbox import Sandbox


def ask(sandbox: Sandbox, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Return status and text of an answer; `body` is sent as JSON unless it is bytes already."""
    connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    try:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): each for name, each in headers.items()}}
        connection.request(method, path, content, sent)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def tell(sandbox: Sandbox, name: str = "ats", **wanted: object) -> None:
    status, text = ask(sandbox, "PUT", f"/_sandbox/webhooks/{name}", wanted)
    assert status == 200, text


def got(sandbox: Sandbox, name: str = "ats") -> list[dict[str, Any]]:
    """Return what an endpoint got, newest first."""
    items: list[dict[str, Any]] = json.loads(ask(sandbox, "GET", f"/_sandbox/webhooks/{name}")[1])["items"]
    return items
