"""The dispatcher: one thread that claims due deliveries, sends many at once, and records what became of them.

No transaction is open while anything is sent. What it holds when it dies is due again when the leases end; when it is
asked to stop, it finishes what is under way.
"""

import logging
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from portal import clock
from portal.database import db, on_wake, unit_of_work
from portal.security.addresses import AddressPolicy, NetworkError
from portal.security.network import Address
from portal.webhooks import queue, recording, sending
from portal.webhooks.events import WAKE
from portal.webhooks.exchange import Outgoing, Reply
from portal.webhooks.lookups import Lookups
from portal.webhooks.models import Webhook
from portal.webhooks.queue import Claimed
from portal.webhooks.recording import Outcome
from portal.webhooks.sending import Endpoint
from portal.webhooks.shares import Shares
from portal.webhooks.verdict import INTERNAL
from portal.webhooks.wire import Wire

log = logging.getLogger("portal.webhooks")
LOOK_EVERY: Final = 1.0
"""Seconds between two looks for due deliveries when nobody wakes the dispatcher; retries come due by themselves."""
GROUP_SECONDS: Final = 0.025
GROUP_MOST: Final = 200
"""Results are written together: so many, or after so many seconds."""
GATHER_SECONDS: Final = 0.004
GATHER_LONGER: Final = 0.025
"""Seconds between two looks while commits wake the dispatcher one after the other; longer where a look finds MANY."""
MANY: Final = 4
REFILL_SECONDS: Final = 0.002
"""Seconds between two looks while more waits than there are places: as soon as a quarter of those is free."""
READ_AGAIN: Final = timedelta(seconds=5)
"""How long a webhook's settings are taken as they were read."""
PAUSE_AFTER_FAULT: Final = 1.0
MOST_LOST: Final = 10
"""Attempts beyond its retries that a delivery may lose with their processes; then it may be what ends them."""
LATEST_START: Final = queue.LEASE.total_seconds() - sending.TIMEOUT - 5.0
"""Seconds after its claim at which a delivery is not begun any more: it could outlast its lease, and be sent twice."""
Sent = tuple[Endpoint, Claimed, Outgoing]


class Dispatcher:
    """Sends deliveries from a thread of its own, until it is stopped."""

    def __init__(self, app: Flask, *, concurrency: int, policy: AddressPolicy, ca_file: str = "") -> None:
        """Prepare it.

        Args:
            app: whose database is served.
            concurrency: requests at the same time.
            policy: which addresses may be dialled.
            ca_file: certificates to trust in place of the system's, for tests.
        """
        self._app = app
        self._most = concurrency
        self._wire: Wire[Sent] = Wire(most=concurrency, ca_file=ca_file)
        self._lookups = Lookups(policy, self._wire.wake)
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._stopping = threading.Event()
        self._woken = True
        self._endpoints: dict[uuid.UUID, Endpoint] = {}
        self._shares = Shares(concurrency)
        self._sent_at: dict[uuid.UUID, deque[float]] = {}
        self._flying: dict[uuid.UUID, float] = {}
        """Deliveries that are claimed and have no result yet, each with when it was claimed."""
        self._too_late: list[Claimed] = []
        self._results: list[Outcome] = []
        self._oldest_result = self._not_before = 0.0
        self._next_look = self._last_look = 0.0
        self._gather = GATHER_SECONDS
        self._backlog = False
        self._off = on_wake(WAKE, self.wake)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Look for due deliveries soon. Any thread may call it.

        Once is enough until the next look: that begins its transaction after it took the wish back, and so sees all
        that was committed before.
        """
        if not self._woken:
            self._woken = True
            self._wire.wake()

    def stop(self, timeout: float = 20.0) -> None:
        """Claim nothing more, finish what is under way, and wait up to so many seconds for it."""
        self._off()
        self._stopping.set()
        self._wire.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._lookups.close()

    def _run(self) -> None:
        with self._app.app_context():
            while not (self._stopping.is_set() and self._is_empty()):
                try:
                    self._turn()
                except Exception:  # the job runner: a fault of ours must not end the deliveries of everybody
                    log.exception("the dispatcher stumbled; it goes on")
                    db.session.remove()
                    time.sleep(PAUSE_AFTER_FAULT)
            self._wire.close()

    def _is_empty(self) -> bool:
        return not (self._wire.busy or self._lookups.count or self._results or self._too_late)

    def _turn(self) -> None:
        """One round: write and claim if it is time, start what is ready, wait for what comes back."""
        if time.monotonic() >= self._exchange_at():
            self._try_exchange()
        self._start_found()
        ended = self._wire.turn(self._wait())
        if ended and not self._results:
            self._oldest_result = time.monotonic()
        for (endpoint, claimed, request), reply in ended:
            self._finish(endpoint, claimed, reply, request)

    def _exchange_at(self) -> float:
        """Return when to write and claim next."""
        until = self._record_at()
        if not self._stopping.is_set():
            until = min(until, self._look_at())
        return max(until, self._not_before)

    def _record_at(self) -> float:
        """Return when to write the results: when they are many or old, or places wait for the next deliveries."""
        if not (self._results or self._too_late):
            return math.inf
        if len(self._results) >= GROUP_MOST:
            return 0.0
        rests = not (self._wire.busy or self._lookups.count)
        if rests and (self._backlog or self._stopping.is_set()):
            return self._last_look + REFILL_SECONDS
        return (self._oldest_result if self._results else self._last_look) + GROUP_SECONDS

    def _look_at(self) -> float:
        """Return when to look for due deliveries next; wake-ups that come one after the other share a look."""
        if self._backlog and self._free() >= self._most // 4:
            return self._last_look + REFILL_SECONDS
        return min(self._next_look, self._last_look + self._gather) if self._woken else self._next_look

    def _wait(self) -> float:
        if self._lookups.has_ready:
            return 0.0
        return max(0.0, min(LOOK_EVERY, self._exchange_at() - time.monotonic()))

    def _try_exchange(self) -> None:
        """Write and claim; where the database cannot, keep the results and go on with what is under way."""
        try:
            self._exchange()
        except SQLAlchemyError as error:
            log.exception("results and claims wait for the database")
            db.session.remove()
            self._not_before = time.monotonic() + PAUSE_AFTER_FAULT
            if isinstance(error, IntegrityError):
                recording.record_singly(self._results, clock.now())
                self._results = []

    def _exchange(self) -> None:
        """Write the results and claim the next deliveries, in one transaction."""
        results, now = self._results, clock.now()
        self._woken, self._last_look = False, time.monotonic()
        self._next_look = self._last_look + LOOK_EVERY
        with unit_of_work():
            recording.record(results, now)
            queue.give_back(self._too_late, now)
            claimed = [] if self._stopping.is_set() else self._claim(now)
            endpoints = self._read({each.webhook_id for each in claimed})
        self._results, self._too_late = [], []
        if not self._backlog:
            self._gather = GATHER_LONGER if len(claimed) >= MANY else GATHER_SECONDS
        for webhook_id in {result.endpoint.webhook_id for result in results if result.verdict.disables}:
            self._endpoints.pop(webhook_id, None)
        for each in claimed:
            if each.webhook_id in endpoints:
                self._flying[each.delivery_id] = self._last_look
                self._shares.began(each.webhook_id, self._last_look)
                self._look_up(endpoints[each.webhook_id], each)

    def _free(self) -> int:
        return self._wire.free - self._lookups.count

    def _claim(self, now: datetime) -> list[Claimed]:
        """Claim as many as there is room for."""
        free, ticks = self._free(), self._last_look
        if free <= 0:
            return []
        waiting = dict(queue.waiting(now, but_for=self._shares.full(ticks), limit=free))
        places = self._shares.share_out(list(waiting), free=free, now=ticks, allowance=self._allowance)
        ordered = {each for each, in_order in waiting.items() if in_order}
        flying = {each for each, since in self._flying.items() if ticks - since < queue.LEASE.total_seconds()}
        claimed = queue.claim(places, ordered=ordered, but_for=flying, now=now)
        self._backlog = bool(claimed) and len(claimed) == sum(places.values())
        return claimed

    def _allowance(self, webhook_id: uuid.UUID) -> int:
        """Return how many more a webhook's limit per second lets through right now."""
        endpoint = self._endpoints.get(webhook_id)
        if endpoint is None or endpoint.rate_limit is None:
            return self._most
        sent, now = self._sent_at.setdefault(webhook_id, deque()), time.monotonic()
        while sent and sent[0] <= now - 1:
            sent.popleft()
        return endpoint.rate_limit - len(sent)

    def _read(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Endpoint]:
        """Return the endpoints of webhooks, read again where they were read a while ago."""
        now = clock.now()
        known = {each: self._endpoints[each] for each in ids if each in self._endpoints}
        # A clock that was set back must not make them last longer.
        fresh = {each: found for each, found in known.items() if now < found.good_until <= now + READ_AGAIN}
        missing = [each for each in ids if each not in fresh]
        rows = db.session.scalars(select(Webhook).where(Webhook.id.in_(missing))).all() if missing else []
        fresh |= {row.id: sending.endpoint_of(row, now=now, good_until=now + READ_AGAIN) for row in rows}
        self._endpoints |= fresh
        return fresh

    def _look_up(self, endpoint: Endpoint, claimed: Claimed) -> None:
        """Find the address of an endpoint; what cannot be sent at all ends here."""
        if endpoint.fault:
            self._fail(endpoint, claimed, Reply(error=INTERNAL, detail=endpoint.fault))
        elif claimed.attempt_number - claimed.attempts_before > endpoint.policy.max_retries + MOST_LOST:
            self._fail(endpoint, claimed, Reply(error=INTERNAL, detail="The portal ended again and again meanwhile."))
        else:
            self._lookups.add(endpoint, claimed)

    def _start_found(self) -> None:
        while self._wire.free and (found := self._lookups.take()):
            self._start_one(*found)

    def _start_one(self, endpoint: Endpoint, claimed: Claimed, found: Address | NetworkError) -> None:
        """Begin to send a delivery; one that cannot be begun ends here and holds back no other."""
        if time.monotonic() - self._flying[claimed.delivery_id] > LATEST_START:
            # It waited too long for its address: let somebody claim it anew.
            self._shares.ended(claimed.webhook_id, LATEST_START, time.monotonic())
            self._too_late.append(claimed)
            del self._flying[claimed.delivery_id]
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
        if endpoint.rate_limit is not None:
            self._sent_at.setdefault(endpoint.webhook_id, deque()).append(time.monotonic())

    def _fail(self, endpoint: Endpoint, claimed: Claimed, reply: Reply) -> None:
        if not self._results:
            self._oldest_result = time.monotonic()
        self._finish(endpoint, claimed, reply, None)

    def _finish(self, endpoint: Endpoint, claimed: Claimed, reply: Reply, request: Outgoing | None) -> None:
        self._shares.ended(endpoint.webhook_id, reply.duration_ms / 1000, time.monotonic())
        del self._flying[claimed.delivery_id]
        try:
            outcome = recording.outcome_of(endpoint, claimed, reply, now=clock.now(), request=request)
        except Exception:  # the job runner: an answer that we cannot judge must not be asked for again for ever
            log.exception("what came of delivery %s cannot be judged", claimed.delivery_id)
            fault = Reply(error=INTERNAL, detail="The portal could not read the answer; see its log.")
            outcome = recording.outcome_of(endpoint, claimed, fault, now=clock.now(), request=request)
        self._results.append(outcome)
