"""Runs due checks: one thread claims and records in batches, others ask the providers; a stop loses nothing.

No transaction is open while a provider is asked. What the process holds when it dies is due again when the leases end.
"""

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from flask import Flask
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from portal import clock
from portal.database import db, on_wake, unit_of_work
from portal.health import checks, claims, pulse, recording
from portal.health.checks import Claim, Ready
from portal.health.places import Places
from portal.health.recording import Finding
from portal.integrations.calls import DEADLINE
from portal.integrations.service import WAKE

log = logging.getLogger("portal.health")
PLACES: Final = 64
"""Checks that run at the same time in one process."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks for due checks when nobody wakes the runner."""
GROUP_SECONDS: Final = 0.025
GROUP_MOST: Final = 200
"""Results are written together: so many, or after so many seconds."""
GATHER_SECONDS: Final = 0.005
"""Seconds between two looks while commits wake the runner one after the other."""
PAUSE_AFTER_FAULT: Final = 1.0
LATEST_START: Final = claims.LEASE.total_seconds() - DEADLINE - 5.0
"""Seconds after its claim at which a check is not begun any more: it could outlast its lease, and be run twice."""


class CheckRunner:
    """Health checks of one process: bounded places, shared out among servers."""

    def __init__(self, app: Flask, *, places: int = PLACES) -> None:
        """Prepare it.

        Args:
            app: whose database is served.
            places: checks at the same time.
        """
        self._app = app
        self._places = Places(places)
        self._pool = ThreadPoolExecutor(max_workers=places, thread_name_prefix="check")
        self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
        self._turn = threading.Lock()
        self._bell = threading.Event()
        self._woken = self._stopped = False
        self._lock = threading.Lock()
        """Guards what the checks' threads hand over: the three below."""
        self._findings: list[Finding] = []
        self._oldest_finding = math.inf
        self._too_late: list[Claim] = []
        self._flying: dict[Claim, float] = {}
        """What is claimed and not recorded yet, each with when it was claimed."""
        self._last_look = self._last_note = self._not_before = -math.inf
        self._beat: pulse.Beat | None = None
        self._off: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to look for due checks, and be woken by commits."""
        self._beat = pulse.Beat(self._app)
        self._off = on_wake(WAKE, self.wake)
        self._thread.start()

    def wake(self) -> None:
        """Look for due checks soon. Any thread may call it."""
        self._woken = True
        self._bell.set()

    def tick(self) -> int:
        """Record what was found, claim and start what is due, as far as there is room; returns how many were claimed.

        It never waits for a provider.
        """
        with self._turn, self._app.app_context():
            return self._exchange()

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no check is under way, and record what they found."""
        self._places.wait(timeout)
        with self._turn, self._app.app_context():
            self._exchange(claims_too=False)

    def stop(self, timeout: float = 20.0) -> None:
        """Start nothing more, give back what has not started, and wait up to `timeout` seconds for the rest."""
        self._off()
        self._stopped = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        with self._lock:
            self._too_late += [ready.claim for ready in self._places.close()]
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.drain(timeout)
        if self._beat:
            self._beat.end()

    def _run(self) -> None:
        while not self._stopped:
            wait = self._next() - time.monotonic()
            if wait > 0:
                self._bell.wait(wait)
                self._bell.clear()
                continue
            try:
                self.tick()
            except Exception:  # the job runner: a fault of ours must not end the checks of everybody
                log.exception("the checks stumbled; they go on")
                self._not_before = time.monotonic() + PAUSE_AFTER_FAULT

    def _next(self) -> float:
        """Return when to record and claim next, by the monotonic clock."""
        at = self._last_look + (GATHER_SECONDS if self._woken else LOOK_EVERY)
        if self._findings:
            soon = len(self._findings) >= GROUP_MOST or not self._places.busy
            at = min(at, self._last_look + GATHER_SECONDS if soon else self._oldest_finding + GROUP_SECONDS)
        return max(at, self._not_before)

    def _exchange(self, *, claims_too: bool = True) -> int:
        """Write what was found and claim what is due, in one transaction, then start what was claimed."""
        findings, too_late = self._hand_over()
        now, self._last_look = clock.now(), time.monotonic()
        ready: list[Ready] = []
        try:
            with unit_of_work():
                recording.record(findings)
                claims.give_back(too_late, now)
                if claims_too and not self._stopped:
                    ready = checks.prepare(claims.claim(now, self._places, but_for=self._under_way(findings)))
                self._note()
        except Exception as error:  # noqa: BLE001 - logged there
            ready = []
            self._stumbled(error, findings, too_late)
        else:
            self._settled(findings, ready)
        for _ in range(self._places.settle(ready)):
            self._pool.submit(self._work)
        if self._beat:
            self._beat.beat()
        return len(ready)

    def _hand_over(self) -> tuple[list[Finding], list[Claim]]:
        with self._lock:
            findings, self._findings, self._oldest_finding = self._findings, [], math.inf
            too_late, self._too_late = self._too_late, []
            self._woken = False
            return findings, too_late

    def _under_way(self, findings: Sequence[Finding]) -> set[uuid.UUID]:
        """Return the integrations that are being checked here, for as long as their leases last."""
        since = time.monotonic() - claims.LEASE.total_seconds()
        with self._lock:
            self._flying = {claim: at for claim, at in self._flying.items() if at > since}
            flying = {claim.integration_id for claim in self._flying}
        return flying - {each.claim.integration_id for each in findings}

    def _note(self) -> None:
        """Let everybody know that this process looks, every few seconds."""
        if self._beat and self._last_look - self._last_note >= pulse.EVERY:
            pulse.note()
            self._last_note = self._last_look

    def _settled(self, findings: Sequence[Finding], ready: Sequence[Ready]) -> None:
        with self._lock:
            for each in findings:
                self._flying.pop(each.claim, None)
            self._flying |= {each.claim: self._last_look for each in ready}

    def _stumbled(self, error: Exception, findings: list[Finding], too_late: list[Claim]) -> None:
        """Keep what was found until the database takes it; what it refuses holds back no other."""
        log.error("results and claims of checks wait", exc_info=error)
        db.session.remove()
        self._not_before = time.monotonic() + PAUSE_AFTER_FAULT
        if isinstance(error, SQLAlchemyError) and not isinstance(error, (IntegrityError, DataError)):
            with self._lock:
                self._findings = findings + self._findings
                self._too_late += too_late
                self._oldest_finding = self._last_look if self._findings else math.inf
            return
        for each in findings:
            try:
                with unit_of_work():
                    recording.record([each])
            except Exception:  # the job runner: its lease brings it back
                log.exception("what the check of integration %s found is lost", each.claim.integration_id)
                db.session.remove()
        self._settled(findings, [])

    def _work(self) -> None:
        """Run checks as long as one may start."""
        with self._app.app_context():
            while ready := self._places.take():
                began = time.monotonic()
                try:
                    self._check(ready, began)
                except Exception:  # the job runner: one broken row must not end the others; its lease brings it back
                    log.exception("check of integration %s failed inside the portal", ready.claim.integration_id)
                finally:
                    self._places.ended(ready.claim.group, time.monotonic() - began)
                    if not self._places.busy:
                        self._bell.set()

    def _check(self, ready: Ready, began: float) -> None:
        if began - self._flying.get(ready.claim, began) > LATEST_START:
            with self._lock:
                self._flying.pop(ready.claim, None)
                self._too_late.append(ready.claim)
            return
        finding = Finding(ready.claim, checks.probe(ready), clock.now())
        with self._lock:
            if not self._findings:
                self._oldest_finding = time.monotonic()
            self._findings.append(finding)
            if len(self._findings) in (1, GROUP_MOST):
                self._bell.set()
