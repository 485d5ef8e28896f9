"""Sends what is due: claims as many messages as there are free places, each in a thread, stops without losing one."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from flask import Flask

from portal.database import db, unit_of_work
from portal.messaging import claims, sending
from portal.messaging.claims import Claim

log = logging.getLogger("portal.messaging")
PLACES: Final = 8
"""Messages that are sent at the same time in one process."""


class MessageWorker:
    """A bounded pool of threads that send messages. `tick` never waits for a provider."""

    def __init__(self, app: Flask, *, places: int = PLACES, woken: Callable[[], None] = lambda: None) -> None:
        """Prepare the pool.

        Args:
            app: whose database is served.
            places: messages at the same time.
            woken: called when a place became free, so that waiting messages start at once.
        """
        self._app = app
        self._places = places
        self._woken = woken
        self._pool = ThreadPoolExecutor(max_workers=places, thread_name_prefix="message")
        self._running: set[Future[None]] = set()
        self._waiting: set[Claim] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def tick(self) -> int:
        """Claim and start what is due, as far as places are free; returns how many were started."""
        with self._lock:
            free = 0 if self._stopped else self._places - len(self._running)
        claimed = claims.claim_due(free) if free > 0 else []
        for claim in claimed:
            self._start(claim)
        return len(claimed)

    def _start(self, claim: Claim) -> None:
        with self._lock:
            self._waiting.add(claim)
            if self._stopped:
                return
            future = self._pool.submit(self._send, claim)
            self._running.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        with self._lock:
            self._running.discard(future)
        if not self._stopped:
            self._woken()

    def _send(self, claim: Claim) -> None:
        with self._lock:
            self._waiting.discard(claim)
        with self._app.app_context():
            try:
                sending.run(claim)
            except Exception:  # the job runner: one broken row must not end the others; its lease tells what is next
                log.exception("message %s failed inside the portal", claim.message_id)
                db.session.remove()

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no message is being sent."""
        with self._lock:
            running = set(self._running)
        wait(running, timeout=timeout)

    def stop(self, timeout: float = 20.0) -> None:
        """Start nothing more, return what has not started, and wait up to `timeout` seconds for the rest."""
        with self._lock:
            self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = set(self._waiting)
        if waiting:
            with self._app.app_context(), unit_of_work():
                claims.give_back(waiting)
        self.drain(timeout)
