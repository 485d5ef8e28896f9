"""Runs due checks: claims as many as there are free places, runs each in a thread, stops without losing one."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from flask import Flask
from sqlalchemy import update

from portal import clock
from portal.database import db, unit_of_work
from portal.health import checks
from portal.health.checks import Claim
from portal.integrations.models import Integration

log = logging.getLogger("portal.health")
PLACES = 16
"""Checks that run at the same time in one process."""


class CheckRunner:
    """A bounded pool of threads for health checks. `tick` never waits for a provider."""

    def __init__(self, app: Flask, *, places: int = PLACES, woken: Callable[[], None] = lambda: None) -> None:
        """Prepare the pool.

        Args:
            app: whose database is served.
            places: checks at the same time.
            woken: called when a place became free, so that waiting checks start at once.
        """
        self._app = app
        self._places = places
        self._woken = woken
        self._pool = ThreadPoolExecutor(max_workers=places, thread_name_prefix="check")
        self._running: set[Future[None]] = set()
        self._waiting: set[Claim] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def tick(self) -> int:
        """Claim and start what is due, as far as places are free; returns how many were started."""
        with self._lock:
            free = 0 if self._stopped else self._places - len(self._running)
        claims = checks.claim_due(free) if free > 0 else []
        for claim in claims:
            self._start(claim)
        return len(claims)

    def _start(self, claim: Claim) -> None:
        with self._lock:
            self._waiting.add(claim)
            future = self._pool.submit(self._check, claim)
            self._running.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        with self._lock:
            self._running.discard(future)
        if not self._stopped:
            self._woken()

    def _check(self, claim: Claim) -> None:
        with self._lock:
            self._waiting.discard(claim)
        with self._app.app_context():
            try:
                checks.run(claim)
            except Exception:  # the job runner: one broken row must not end the others; its lease brings it back
                log.exception("check of integration %s failed inside the portal", claim.integration_id)
                db.session.remove()

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no check is running."""
        with self._lock:
            running = set(self._running)
        wait(running, timeout=timeout)

    def stop(self, timeout: float = 20.0) -> None:
        """Start nothing more, return what has not started, and wait up to `timeout` seconds for the rest."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = set(self._waiting)
        self._give_back(waiting)
        self.drain(timeout)

    def _give_back(self, claims: set[Claim]) -> None:
        if not claims:
            return
        with self._app.app_context(), unit_of_work() as session:
            for claim in claims:
                session.execute(
                    update(Integration)
                    .where(Integration.id == claim.integration_id, Integration.check_token == claim.token)
                    .values(check_token=None, next_check_at=clock.now())
                )
