"""A running sandbox, and a client of the web APIs that it plays."""

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from portal.providers.base import Value
from portal.sandbox import PASSWORD, Sandbox

Credentials = dict[str, Value]


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    """One sandbox for all tests, on free ports."""
    with Sandbox().start(port=0, smtp_port=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, with nothing remembered and no fault on."""
    running.reset()
    yield running
    running.reset()


@pytest.fixture
def credentials() -> Callable[..., Credentials]:
    """A maker of credentials that the sandbox accepts."""

    def make(**changes: Value) -> Credentials:
        return {
            "preset": "sendgrid",
            "host": "smtp.sendgrid.net",
            "port": 587,
            "security": "starttls",
            "username": "apikey",
            "password": PASSWORD,
            "from_email": "noreply@northline.example",
            "from_name": "Northline",
            **changes,
        }

    return make


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Connection(HTTPSConnection):
    """A connection to the sandbox, whatever the host is called."""

    def __init__(self, sandbox: Sandbox, host: str) -> None:
        context = ssl.create_default_context(cadata=sandbox.ca_pem)
        super().__init__(host, 443, timeout=10, context=context)
        self._context, self._port = context, sandbox.https_port

    def connect(self) -> None:
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=self.timeout)
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)


@pytest.fixture
def dial(sandbox: Sandbox) -> Iterator[Callable[[str], HTTPSConnection]]:
    """A maker of connections; they are closed at the end."""
    made: list[HTTPSConnection] = []

    def dial(host: str) -> HTTPSConnection:
        made.append(Connection(sandbox, host))
        return made[-1]

    yield dial
    for connection in made:
        connection.close()


@pytest.fixture
def call(dial: Callable[[str], HTTPSConnection]) -> Callable[..., Answer]:
    """A caller of the played APIs: method, URL, and a body as `json_body` or `form`; `bearer` or `basic` logs in."""

    def call(
        method: str,
        url: str,
        *,
        json_body: object = None,
        form: dict[str, object] | None = None,
        bearer: str = "",
        basic: tuple[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        sent = {"Accept": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = None
        if json_body is not None:
            body, sent["Content-Type"] = json.dumps(json_body), "application/json"
        if form is not None:
            body, sent["Content-Type"] = urlencode(form, doseq=True), "application/x-www-form-urlencoded"
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        if basic:
            sent["Authorization"] = "Basic " + b64encode(":".join(basic).encode()).decode()
        parts = urlsplit(url)
        connection = dial(parts.hostname or "")
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())

    return call
