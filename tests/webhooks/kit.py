"""Webhooks for tests: a receiver that answers as told and keeps what it got, and webhooks that point at it."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal.database import reading, unit_of_work
from portal.security.addresses import AddressPolicy
from portal.settings import Settings
from portal.webhooks import events, service
from portal.webhooks.dispatcher import Dispatcher
from portal.webhooks.events import NewEvent
from portal.webhooks.models import Delivery, DeliveryAttempt, Webhook


@dataclass
class Got:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class QuietServer(ThreadingHTTPServer):
    """Clients that are killed in the middle are what some tests are about."""

    def handle_error(self, _request: object, _address: object) -> None:
        """Say nothing."""


@dataclass
class Receiver:
    """A server on loopback; `answer` gets each request's handler and answers it."""

    got: list[Got] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: reply(handler, 200)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator["Receiver"]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(Got(self.path, dict(self.headers), body))
                receiver.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        server = QuietServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"ok", **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def make_webhook(app: Flask, organization_id: uuid.UUID, url: str, **values: Any) -> tuple[uuid.UUID, str]:
    """Store a webhook; return its id and secret."""
    draft = service.Draft(**{"name": "Payroll", "url": url, "events": ["*"], **values})
    with app.app_context(), unit_of_work():
        webhook, secret = service.create(organization_id=organization_id, user_id=None, draft=draft)
        return webhook.id, secret


def emit(app: Flask, organization_id: uuid.UUID, event_type: str = "job.created", count: int = 1, **more: Any) -> None:
    """Accept events."""
    new = [NewEvent(event_type=event_type, data={"number": number}, **more) for number in range(count)]
    with app.app_context(), unit_of_work():
        events.accept(organization_id=organization_id, events=new)


def deliveries(app: Flask) -> list[Delivery]:
    """Return every delivery, oldest first."""
    with app.app_context(), reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def attempts(app: Flask) -> list[DeliveryAttempt]:
    """Return every attempt, oldest first."""
    with app.app_context(), reading() as session:
        return list(session.scalars(select(DeliveryAttempt).order_by(DeliveryAttempt.at, DeliveryAttempt.delivery_id)))


def webhook(app: Flask, webhook_id: uuid.UUID) -> Webhook:
    """Return a webhook as it stands now."""
    with app.app_context(), reading() as session:
        return session.get_one(Webhook, webhook_id)


@contextmanager
def dispatching(app: Flask, settings: Settings, *, concurrency: int = 16) -> Iterator[Dispatcher]:
    """Run a dispatcher."""
    policy = AddressPolicy(allowed=settings.allowed_networks)
    dispatcher = Dispatcher(app, concurrency=concurrency, policy=policy)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def data_of(got: Got) -> Any:
    """Return the data of an event as it arrived."""
    return json.loads(got.body)["data"]
