"""Processes of the portal that kill themselves at a commit, forked from one that has loaded it. A program for tests."""

import itertools
import json
import os
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event, exists, select
from sqlalchemy.orm import Session

from portal import create_app, database, listening
from portal.database import db, reading
from portal.listening import Listener
from portal.security.addresses import AddressPolicy
from portal.settings import Settings, load
from portal.together import together
from portal.webhooks import events, queue
from portal.webhooks.dispatcher import Dispatcher
from portal.webhooks.events import NewEvent
from portal.webhooks.models import Delivery


def serve() -> None:
    """Fork a life for each line of JSON that asks for one; wait for one that is named."""
    settings = load()
    app = create_app(settings)
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            _say(f"ended {os.waitstatus_to_exitcode(status)}")
            continue
        # Until the child can end well it is deaf for the wish: somebody may ask it as soon as it is there.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if pid := os.fork():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            _say(f"started {pid}")
        else:
            try:
                _live(app, settings, order)
            finally:
                os._exit(1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _live(app: Flask, settings: Settings, order: dict[str, Any]) -> None:
    """Accept events, or send deliveries, or both; then end well, unless a commit comes at which it dies."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    database.PROCESS = listening.PROCESS = uuid.uuid4().hex  # type: ignore[attr-defined]
    queue.LEASE = timedelta(seconds=order.get("lease", 45))
    if order.get("dies"):
        _die(order["dies"], order["at"])
    dispatcher = Dispatcher(app, concurrency=16, policy=AddressPolicy(allowed=settings.allowed_networks))
    listener = Listener(app)
    if order.get("sends"):
        dispatcher.start()
        listener.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: _accept(app, order, each), order.get("events", [])))
    while order.get("sends") and not told.is_set() and not (order.get("ends") and _is_over(app)):
        time.sleep(0.005)
    listener.stop()
    dispatcher.stop()
    os._exit(0)


def _die(moment: str, number: int) -> None:
    """Kill this process before, or right after, the commit of that number."""
    numbers = itertools.count(1)

    def passed(_session: Session) -> None:
        if next(numbers) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, f"{moment}_commit", passed)


def _accept(app: Flask, order: dict[str, Any], event_id: str) -> None:
    """Accept an event as the API does, and say so in a file once that is promised."""
    new = NewEvent(event_type="job.created", data={"of": event_id}, event_id=event_id)
    organization_id = uuid.UUID(order["organization"])
    with app.app_context():
        together(lambda: events.accept(organization_id=organization_id, events=[new]))
    with Path(order["promised"]).open("ab", buffering=0) as file:
        file.write(f"{event_id}\n".encode())


def _is_over(app: Flask) -> bool:
    with app.app_context(), reading():
        return not db.session.scalar(select(exists().where(Delivery.due_at.is_not(None))))
