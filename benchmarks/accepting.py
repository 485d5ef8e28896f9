"""A portal's process that accepts events as told on standard input; with --dispatch it sends too, as `portal serve`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event, select

from benchmarks.handing import EVENT_TYPE, answer_requests
from portal import create_app, logs, serving
from portal.accounts.models import Organization
from portal.database import reading
from portal.jobs import Scheduler
from portal.settings import load
from portal.together import together
from portal.webhooks.events import Accepting, NewEvent


def main() -> None:
    """Accept until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dispatch", action="store_true", help="also run scheduler and dispatcher")
    parser.add_argument("--synchronous", default="", help="of SQLite, in place of the portal's own FULL")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit())
    if asked.synchronous:
        event.listen(Engine, "connect", _synchronous(asked.synchronous))
    settings = load()
    logs.set_up(settings.log_format)
    app = create_app(settings)
    with (serving.lock_embedded(app) if asked.dispatch else None) or nullcontext():
        serving.prepare(app)
        serving.keep_loaded()
        scheduler = Scheduler(app) if asked.dispatch else None
        if scheduler:
            scheduler.start()
        answer_requests(_accepter(app))
        if scheduler:
            scheduler.stop()


def _accepter(app: Flask) -> Any:
    with app.app_context(), reading() as session:
        organization_id = session.scalars(select(Organization.id)).one()

    def accept(group: Sequence[dict[str, Any]]) -> None:
        new = [NewEvent(event_type=EVENT_TYPE, data=data) for data in group]
        with app.app_context():
            together(Accepting(organization_id, new))

    return accept


def _synchronous(mode: str) -> Any:
    """Return what sets SQLite's mode on each new connection, after the portal has set its own."""

    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous={mode}")

    return prepare


if __name__ == "__main__":
    main()
