"""Hears what other processes committed: PostgreSQL's LISTEN wakes those here who wait for new work."""

import logging
import threading
from typing import Any, Final

from flask import Flask

from portal.database import CHANNEL, PROCESS, db, topics, wake

log = logging.getLogger("portal.database")
GLANCE: Final = 0.5
"""Seconds between two looks at whether to stop."""
AGAIN: Final = 5.0
"""Seconds before a lost connection is made anew."""


class Listener:
    """A thread with a connection of its own; on SQLite, which one process has to itself, there is none."""

    def __init__(self, app: Flask) -> None:
        """Prepare it; nothing is connected before `start`."""
        self._app = app
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen, where there is something to hear."""
        with self._app.app_context():
            if db.engine.dialect.name == "postgresql":
                self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(AGAIN)

    def _run(self) -> None:
        import psycopg  # nine megabytes that a process on SQLite has no use for

        with self._app.app_context():
            while not self._stopping.is_set():
                try:
                    self._listen()
                except psycopg.Error as error:
                    log.warning("other processes cannot be heard, work of theirs starts a second late: %s", error)
                    self._stopping.wait(AGAIN)

    def _listen(self) -> None:
        import psycopg

        connection: psycopg.Connection[Any] = psycopg.connect(**_arguments(), autocommit=True)
        with connection:
            connection.execute(f"LISTEN {CHANNEL}")
            for topic in topics():
                wake(topic)  # for what was committed while nobody listened
            while not self._stopping.is_set():
                for notice in connection.notifies(timeout=GLANCE):
                    process, _, topic = notice.payload.partition(" ")
                    if process != PROCESS:
                        wake(topic)
                    if self._stopping.is_set():
                        return


def _arguments() -> dict[str, Any]:
    return dict(db.engine.dialect.create_connect_args(db.engine.url)[1])
