"""The dispatcher's books: records what came of deliveries and claims the next, in one transaction.

Whoever keeps them calls turn(): the thread that sends, between two rounds, or one beside it (see keeping.py).
"""

import logging
import math
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from portal import clock
from portal.database import db, unit_of_work
from portal.plans import by_index
from portal.webhooks import queue, recording, sending
from portal.webhooks.flying import Flying
from portal.webhooks.models import Webhook
from portal.webhooks.queue import Claimed
from portal.webhooks.recording import Outcome
from portal.webhooks.sending import Endpoint

log = logging.getLogger("portal.webhooks")
LOOK_EVERY: Final = 1.0
"""Seconds between two looks for due deliveries when nobody wakes the dispatcher; retries come due by themselves."""
GROUP_SECONDS: Final = 0.025
GROUP_MOST: Final = 200
"""Results are written together: so many, or after so many seconds."""
GATHER_SECONDS: Final = 0.004
GATHER_LONGEST: Final = 0.025
"""Seconds between two looks while commits wake the dispatcher one after the other: as long as REST looks took."""
REST: Final = 2.0
REFILL_SECONDS: Final = 0.002
"""Seconds between two looks while more waits than there are places: as soon as a quarter of those has results."""
READ_AGAIN: Final = timedelta(seconds=5)
"""How long a webhook's settings are taken as they were read, where nobody says that they changed."""
PAUSE_AFTER_FAULT: Final = 1.0
Job = tuple[Endpoint, Claimed]


class Books:
    """Results that wait for their record, and what to claim next. One thread keeps them, one hands results in."""

    def __init__(
        self,
        flying: Flying,
        *,
        places: int,
        hand_over: Callable[[Sequence[Job]], None],
        ring: Callable[[], None],
    ) -> None:
        """Prepare them.

        Args:
            flying: what is claimed.
            places: requests at the same time.
            hand_over: takes what was claimed; is also called with nothing, once no more will be.
            ring: lets turn() be called soon. Any thread may call it.
        """
        self._flying = flying
        self._quarter = max(1, places // 4)
        self._hand_over = hand_over
        self._ring = ring
        self._stopping = self.closed = False
        self._woken = True
        self._new: deque[Outcome] = deque()
        self._new_too_late: deque[Claimed] = deque()
        self._results: list[Outcome] = []
        """What came out of the deque stays here until it is committed."""
        self._too_late: list[Claimed] = []
        self._oldest_result = self._not_before = 0.0
        self._next_look = self._last_look = 0.0
        self._gather = GATHER_SECONDS
        self._backlog = False
        self._endpoints: dict[uuid.UUID, Endpoint] = {}
        self._changed = False
        self._last_turn = queue.FIRST

    @property
    def is_empty(self) -> bool:
        """Whether all is written that was handed in."""
        return not (self._new or self._new_too_late or self._results or self._too_late)

    def wake(self) -> None:
        """Look for due deliveries soon. Any thread may call it.

        Once is enough until the next look: that begins its transaction after it took the wish back, and so sees all
        that was committed before.
        """
        if not self._woken:
            self._woken = True
            self._ring()

    def read_again(self) -> None:
        """Take the settings of webhooks as they are now from the next claim on. Any thread may call it."""
        self._changed = True

    def stop_claiming(self) -> None:
        """Claim nothing more; `closed` says when that is so. Any thread may call it."""
        self._stopping = True
        self._ring()

    def put(self, outcome: Outcome) -> bool:
        """Take a result in; returns whether it may be time to write. For the thread that sends, as give_back() is."""
        if not self._new:
            self._oldest_result = time.monotonic()
        self._new.append(outcome)
        return len(self._new) in (1, self._quarter, GROUP_MOST) or not self._flying.open

    def give_back(self, claimed: Claimed) -> None:
        """Let somebody claim anew what was not sent, and will not be."""
        self._new_too_late.append(claimed)

    def turn(self) -> float:
        """Write and claim if it is time, and return after how many seconds it will be."""
        if self._stopping and not self.closed:
            self.closed = True
            self._hand_over(())
        if time.monotonic() >= self._exchange_at():
            self._try_exchange()
        return max(0.0, min(LOOK_EVERY, self._exchange_at() - time.monotonic()))

    def _exchange_at(self) -> float:
        """Return when to write and claim next."""
        until = self._record_at()
        if not self.closed:
            until = min(until, self._look_at())
        return max(until, self._not_before)

    def _record_at(self) -> float:
        """Return when to write the results: when they are many or old, or places wait for the next deliveries."""
        if self.is_empty:
            return math.inf
        count = len(self._new) + len(self._results)
        if count >= GROUP_MOST:
            return 0.0
        if (self._backlog and count >= self._quarter) or (not self._flying.open and (self._backlog or self.closed)):
            return self._last_look + REFILL_SECONDS
        return (self._oldest_result if count else self._last_look) + GROUP_SECONDS

    def _look_at(self) -> float:
        """Return when to look for due deliveries next; wake-ups that come one after the other share a look."""
        return min(self._next_look, self._last_look + self._gather) if self._woken else self._next_look

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
                self._flying.forget(each.done.claimed for each in self._results)
                self._results = []

    def _exchange(self) -> None:
        """Write the results and claim the next deliveries, in one transaction."""
        self._take_in()
        now = clock.now()
        self._woken, self._last_look = False, time.monotonic()
        if self._changed:
            self._changed = False
            self._endpoints = {each: replace(known, good_until=now) for each, known in self._endpoints.items()}
        self._next_look = self._last_look + LOOK_EVERY
        with unit_of_work():
            recording.record(self._results, now)
            queue.give_back(self._too_late, now)
            claimed = [] if self.closed else self._claim(now)
            endpoints = self._read({each.webhook_id for each in claimed})
        self._written()
        took = time.monotonic() - self._last_look
        self._gather = min(max(GATHER_SECONDS, took * (1 + REST)), GATHER_LONGEST)
        jobs = [(endpoints[each.webhook_id], each) for each in claimed if each.webhook_id in endpoints]
        if jobs:
            self._flying.claimed((claim for _, claim in jobs), self._last_look)
            self._hand_over(jobs)

    def _take_in(self) -> None:
        """Take over what was handed in: results last, as one of them may be why others were given back before."""
        while self._new_too_late:
            self._too_late.append(self._new_too_late.popleft())
        while self._new:
            self._results.append(self._new.popleft())

    def _written(self) -> None:
        """Forget what is committed."""
        for webhook_id in {each.endpoint.webhook_id for each in self._results if each.verdict.disables}:
            self._endpoints.pop(webhook_id, None)
        self._flying.forget([*(each.done.claimed for each in self._results), *self._too_late])
        self._results, self._too_late = [], []

    def _claim(self, now: datetime) -> list[Claimed]:
        """Claim as many as there is room for."""
        free, ticks = self._flying.free, self._last_look
        if free <= 0:
            return []
        by_index()
        full = self._flying.full(ticks)
        waiting = dict(queue.waiting(now, but_for=full, limit=free, after=self._last_turn))
        # Where more webhooks wait than there are places, those that got none have the next turn.
        self._last_turn = list(waiting)[-1] if len(waiting) == free else queue.FIRST
        places = self._flying.share_out(list(waiting), now=ticks, limit_of=self._limit_of)
        ordered = {each for each, in_order in waiting.items() if in_order}
        # What is recorded in this transaction may be due again.
        flying = self._flying.known(ticks).difference(each.done.claimed.delivery_id for each in self._results)
        claimed = queue.claim(places, ordered=ordered, but_for=flying, now=now)
        if places or not full:
            self._backlog = bool(claimed) and len(claimed) == sum(places.values())
        return claimed

    def _limit_of(self, webhook_id: uuid.UUID) -> int | None:
        endpoint = self._endpoints.get(webhook_id)
        return endpoint.rate_limit if endpoint else None

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
