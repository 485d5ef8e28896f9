"""The table of jobs and the scheduler that ticks them; what is due always stands in the database, never in here."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from portal import clock
from portal.accounts import housekeeping
from portal.alerts import evaluating, notification_retention, notifying
from portal.audit import watch
from portal.database import db, on_wake
from portal.health import claims, maintenance, rollups
from portal.health import retention as health_retention
from portal.health.runner import CheckRunner
from portal.listening import Listener
from portal.messaging import claims as messages
from portal.messaging import mending as message_mending
from portal.messaging import retention as message_retention
from portal.messaging import service as messaging
from portal.messaging.worker import MessageWorker
from portal.security.addresses import AddressPolicy
from portal.settings import Settings
from portal.webhooks import failing, retention, run_job
from portal.webhooks.dispatcher import Dispatcher

log = logging.getLogger("portal.jobs")
THREADS = 12
"""Jobs that look at the same time in one process."""


@dataclass(frozen=True)
class Job:
    """Something that is looked at every so often.

    Attributes:
        name: how logs call it.
        seconds: time between two looks.
        run: one look; it does a bounded amount of work and returns.
        topic: a commit that wakes this topic asks for a look at once.
    """

    name: str
    seconds: float
    run: Callable[[], object]
    topic: str = ""


class _Threads(ThreadPoolExecutor):  # type: ignore[misc]
    """The ticker's threads. When the interpreter ends, they are closed before anybody can stop the ticker."""

    def _do_submit_job(self, job: object, run_times: object) -> None:
        try:
            super()._do_submit_job(job, run_times)
        except RuntimeError:
            log.debug("a look comes too late: the process ends")


def _dispatcher(app: Flask) -> Dispatcher:
    settings: Settings = app.extensions["portal_settings"]
    policy = AddressPolicy(allowed=settings.allowed_networks)
    return Dispatcher(app, concurrency=settings.delivery_concurrency, policy=policy)


class Scheduler:
    """Runs the jobs of one process, and its dispatcher of webhooks."""

    def __init__(self, app: Flask) -> None:
        """Prepare the jobs; nothing runs before `start`."""
        self._app = app
        self._checks = CheckRunner(app)
        self._messages = MessageWorker(app, woken=lambda: self._wake("messages"))
        self._dispatcher = _dispatcher(app)
        self._listener = Listener(app)
        self._ticker = BackgroundScheduler(timezone=UTC, executors={"default": _Threads(max_workers=THREADS)})
        self._off: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self.jobs: tuple[Job, ...] = (
            Job("checks-clock", 60, claims.mend_clock),
            Job("messages", 1, self._messages.tick, topic=messaging.WAKE),
            Job("lost-messages", 15, messages.give_up_lost),
            Job("messages-clock", 60, message_mending.mend_clock),
            Job("replay-runs", 1, run_job.work_off, topic=run_job.WAKE),
            Job("failing-webhooks", 60, failing.look),
            Job("alerts", 5, evaluating.Watch().look, topic=evaluating.WAKE),
            Job("alert-notices", 2, notifying.look, topic=notifying.WAKE),
            Job("audit-watch", 60, watch.look),
            Job("housekeeping", 600, housekeeping.tidy),
            Job("retention", 600, retention.tidy),
            Job("maintenance", 1, maintenance.advance),
            Job("message-retention", 600, message_retention.tidy),
            Job("notification-retention", 600, notification_retention.tidy),
            Job("health-rollups", 60, rollups.fold_due),
            Job("health-retention", 600, health_retention.tidy),
        )

    def start(self) -> None:
        """Start ticking."""
        for job in self.jobs:
            self._ticker.add_job(
                self._run, "interval", args=[job], id=job.name, seconds=job.seconds, next_run_time=clock.now(),
                coalesce=True, max_instances=2, misfire_grace_time=None,
            )  # fmt: skip
            if job.topic:
                self._off.append(on_wake(job.topic, lambda name=job.name: self._wake(name)))  # type: ignore[misc]
        # A look that finds the one before still running is not lost work: the rows are still due at the next.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._ticker.start()
        self._checks.start()
        self._dispatcher.start()
        self._listener.start()

    def stop(self, timeout: float = 20.0) -> None:
        """Stop ticking, and wait up to `timeout` seconds for checks, messages and deliveries under way."""
        until = time.monotonic() + timeout
        for off in self._off:
            off()
        self._listener.stop()
        self._dispatcher.stop(timeout)
        self._ticker.shutdown(wait=True)
        self._checks.stop(max(1.0, until - time.monotonic()))
        self._messages.stop(max(1.0, until - time.monotonic()))

    def _wake(self, name: str) -> None:
        """Ask for a look now. Called from whichever thread committed."""
        with self._lock:
            try:
                self._ticker.modify_job(name, next_run_time=clock.now())
            except JobLookupError:
                log.debug("job %s is not scheduled any more", name)

    def _run(self, job: Job) -> None:
        """Run one look. A wake-up during it lets a second one wait: the first may have missed a commit."""
        with self._turns[job.name], self._app.app_context():
            try:
                job.run()
            except Exception:  # the job runner: a failed look is logged, and the next one comes by itself
                log.exception("job %s failed", job.name)
            finally:
                db.session.remove()
