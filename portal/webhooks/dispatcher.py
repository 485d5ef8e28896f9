"""The dispatcher: a thread that sends many deliveries at once; it keeps its books itself, or has a thread for that.

On PostgreSQL the books wait for the network, so another thread keeps them. SQLite answers at once: there two threads
would only take the interpreter from each other, which cost more than a third of the time of a delivery.

No transaction is open while anything is sent. What it holds when it dies is due again when the leases end; when it is
asked to stop, it finishes what is under way and gives back what is not.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from flask import Flask

from portal import clock
from portal.database import db, on_wake
from portal.security.addresses import AddressPolicy, NetworkError
from portal.security.network import Address
from portal.webhooks import queue, recording, sending, service
from portal.webhooks.books import PAUSE_AFTER_FAULT, Books, Job
from portal.webhooks.events import WAKE
from portal.webhooks.exchange import Outgoing, Reply
from portal.webhooks.flying import Flying, Lines
from portal.webhooks.keeping import Keeper
from portal.webhooks.lookups import Lookups
from portal.webhooks.queue import Claimed
from portal.webhooks.sending import Endpoint
from portal.webhooks.verdict import INTERNAL
from portal.webhooks.wire import Wire

log = logging.getLogger("portal.webhooks")
TURN_SECONDS: Final = 1.0
"""How long the thread that sends waits at most; whatever concerns it wakes it."""
MOST_LOST: Final = 10
"""Attempts beyond its retries that a delivery may lose with their processes; then it may be what ends them."""
LOOK_AGAIN: Final = 0.05
"""Seconds between two tries to write what is left at the end."""
LATEST_START: Final = queue.LEASE.total_seconds() - sending.TIMEOUT - 5.0
"""Seconds after its claim at which a delivery is not begun any more: it could outlast its lease, and be sent twice."""
Sent = tuple[Endpoint, Claimed, Outgoing]


class Dispatcher:
    """Sends deliveries from threads of its own, until it is stopped."""

    def __init__(self, app: Flask, *, concurrency: int, policy: AddressPolicy, ca_file: str = "") -> None:
        """Prepare it.

        Args:
            app: whose database is served.
            concurrency: requests at the same time.
            policy: which addresses may be dialled.
            ca_file: certificates to trust in place of the system's, for tests.
        """
        self._wire: Wire[Sent] = Wire(most=concurrency, ca_file=ca_file)
        self._lookups = Lookups(policy, self._wire.wake)
        self._flying = Flying(concurrency)
        self._lines = Lines(self._flying)
        self._claimed: deque[Job] = deque()
        self._app = app
        self._books = Books(self._flying, places=concurrency, hand_over=self._take_over, ring=self._ring)
        self._keeper = Keeper(app, self._books) if _waits_for_database(app) else None
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._stopping = threading.Event()
        self._offs = [on_wake(WAKE, self.wake), on_wake(service.CHANGED, self._books.read_again)]

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        if self._keeper:
            self._keeper.start()

    def wake(self) -> None:
        """Look for due deliveries soon. Any thread may call it."""
        self._books.wake()

    def stop(self, timeout: float = 20.0) -> None:
        """Claim nothing more, finish what is under way, and wait up to so many seconds for it."""
        for off in self._offs:
            off()
        self._stopping.set()
        self._books.stop_claiming()
        if self._thread.ident is not None:
            until = time.monotonic() + timeout
            self._thread.join(timeout)
            if self._keeper:
                self._keeper.join(max(0.0, until - time.monotonic()))
        self._lookups.close()

    def _ring(self) -> None:
        """Let whoever keeps the books look at them. Any thread may call it."""
        if self._keeper:
            self._keeper.ring()
        else:
            self._wire.wake()

    def _take_over(self, jobs: Sequence[Job]) -> None:
        """Take what was claimed. The thread that keeps the books calls it."""
        self._claimed.extend(jobs)
        if self._keeper:
            self._wire.wake()

    def _run(self) -> None:
        with self._app.app_context():
            self._go_round()
            if self._keeper:
                self._keeper.finish()
            else:
                self._close_books()
        self._wire.close()

    def _go_round(self) -> None:
        while not (self._stopping.is_set() and self._books.closed and self._is_empty()):
            try:
                self._turn()
            except Exception:  # the job runner: a fault of ours must not end the deliveries of everybody
                log.exception("the dispatcher stumbled; it goes on")
                db.session.remove()
                time.sleep(PAUSE_AFTER_FAULT)

    def _close_books(self) -> None:
        """Write what is left; where the database takes nothing, until somebody ends the process."""
        while not self._books.is_empty:
            time.sleep(min(self._books.turn(), LOOK_AGAIN))

    def _is_empty(self) -> bool:
        return not (self._wire.busy or self._lookups.count or self._claimed or self._lines)

    def _turn(self) -> None:
        """One round: start what there is a place for, wait for what comes back."""
        wait = TURN_SECONDS if self._keeper else self._books.turn()
        while self._claimed:
            self._look_up(*self._claimed.popleft())
        while found := self._lookups.take():
            self._lines.add(found)
        if self._stopping.is_set():
            self._give_back(self._lines.clear_all())
        while self._wire.free and (found := self._lines.take()):
            self._start_one(*found)
        for (endpoint, claimed, request), reply in self._wire.turn(wait):
            self._finish(endpoint, claimed, reply, request)

    def _look_up(self, endpoint: Endpoint, claimed: Claimed) -> None:
        """Find the address of an endpoint; what cannot be sent at all ends here."""
        if endpoint.fault:
            self._fail(endpoint, claimed, Reply(error=INTERNAL, detail=endpoint.fault))
        elif claimed.attempt_number - claimed.attempts_before > endpoint.policy.max_retries + MOST_LOST:
            self._fail(endpoint, claimed, Reply(error=INTERNAL, detail="The portal ended again and again meanwhile."))
        else:
            self._lookups.add(endpoint, claimed)

    def _start_one(self, endpoint: Endpoint, claimed: Claimed, found: Address | NetworkError) -> None:
        """Begin to send a delivery; one that cannot be begun ends here and holds back no other."""
        if time.monotonic() - self._flying.since(claimed) > LATEST_START:
            self._give_back([claimed], LATEST_START)
            return
        if isinstance(found, NetworkError):
            self._fail(endpoint, claimed, Reply(error=sending.error_of(found), detail=str(found)))
            return
        try:
            request = sending.request_of(endpoint, claimed, found, now=clock.now())
            self._wire.start(request, (endpoint, claimed, request))
        except Exception:  # the job runner: a fault of ours in one delivery must not end those of everybody
            log.exception("delivery %s cannot be sent", claimed.delivery_id)
            self._fail(endpoint, claimed, Reply(error=INTERNAL, detail="The portal could not send it; see its log."))
            return
        self._flying.began(claimed, limited=endpoint.rate_limit is not None)

    def _give_back(self, unsent: Sequence[Claimed], seconds: float | None = None) -> None:
        """Let somebody claim anew what will not be sent; `seconds` where it waited so long for its webhook."""
        for each in unsent:
            self._flying.ended(each, seconds, begun=False)
            self._books.give_back(each)
        if unsent and self._keeper:
            self._keeper.ring()

    def _fail(self, endpoint: Endpoint, claimed: Claimed, reply: Reply) -> None:
        self._finish(endpoint, claimed, reply, None)

    def _finish(self, endpoint: Endpoint, claimed: Claimed, reply: Reply, request: Outgoing | None) -> None:
        self._flying.ended(claimed, reply.duration_ms / 1000, begun=request is not None)
        try:
            outcome = recording.outcome_of(endpoint, claimed, reply, now=clock.now(), request=request)
        except Exception:  # the job runner: an answer that we cannot judge must not be asked for again for ever
            log.exception("what came of delivery %s cannot be judged", claimed.delivery_id)
            fault = Reply(error=INTERNAL, detail="The portal could not read the answer; see its log.")
            outcome = recording.outcome_of(endpoint, claimed, fault, now=clock.now(), request=request)
        if self._books.put(outcome) and self._keeper:
            self._keeper.ring()
        if outcome.verdict.disables or outcome.verdict.pause_until:
            self._give_back(self._lines.clear(endpoint.webhook_id))  # it wants no more now


def _waits_for_database(app: Flask) -> bool:
    """Return whether a statement waits for another machine or process, rather than for the disk at most."""
    with app.app_context():
        return db.engine.dialect.name != "sqlite"
