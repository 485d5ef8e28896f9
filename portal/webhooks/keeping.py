"""A thread that keeps the dispatcher's books beside the one that sends, and waits for the database in its place."""

import logging
import threading
import time
from contextlib import suppress

from flask import Flask

from portal.database import db
from portal.webhooks.books import PAUSE_AFTER_FAULT, Books

log = logging.getLogger("portal.webhooks")


class Bell:
    """Wakes one thread; rung before that waits, it does not wait. Lighter than an event, and clears itself."""

    def __init__(self) -> None:
        """Begin silent."""
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake who waits. Any thread may call it."""
        with suppress(RuntimeError):  # rung before, and not heard yet
            self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, up to so many seconds."""
        self._lock.acquire(timeout=max(0.0, seconds))


class Keeper:
    """Keeps books in a thread of its own."""

    def __init__(self, app: Flask, books: Books) -> None:
        """Prepare it."""
        self._app = app
        self._books = books
        self._bell = Bell()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="webhook-books", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ring(self) -> None:
        """Look at the books soon. Any thread may call it."""
        self._bell.ring()

    def finish(self) -> None:
        """End once all is written that was handed in: nothing more will be."""
        self._ended = True
        self._bell.ring()

    def join(self, timeout: float) -> None:
        """Wait for its end, up to so many seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        with self._app.app_context():
            while not (self._ended and self._books.is_empty):
                try:
                    self._bell.wait(self._books.turn())
                except Exception:  # the job runner: a fault of ours must not end the deliveries of everybody
                    log.exception("the dispatcher stumbled; it goes on")
                    db.session.remove()
                    time.sleep(PAUSE_AFTER_FAULT)
