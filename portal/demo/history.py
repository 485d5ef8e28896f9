"""The demo's webhooks and their past: the portal's own services under a clock that is put back, the answers made up.

What is stored is what the portal would have stored, since nothing else writes it; only the network is left out.
"""

import heapq
import random
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import count
from typing import Final

from portal import clock
from portal.audit import trail
from portal.database import db
from portal.demo.hooks import HOOKS, PEER, Hook, dated
from portal.demo.stories import Told, stories
from portal.security.network import Address
from portal.webhooks import events, queue, recording, sending, service
from portal.webhooks.events import NewEvent
from portal.webhooks.models import Webhook
from portal.webhooks.queue import Claimed
from portal.webhooks.recording import Outcome
from portal.webhooks.service import Draft

STARTED: Final = timedelta(minutes=1)
"""So long after the webhooks were made the first event may come."""
QUIET: Final = timedelta(minutes=3)
"""For so long nothing has happened, so that no attempt is under way at the end."""
LAG: Final = timedelta(milliseconds=12)
"""What the dispatcher takes to see that something is due."""
_MOST: Final = 100
Step = Callable[[], datetime | None]
"""Does something; returns when deliveries are due because of it."""


def make_webhooks(*, organization_id: uuid.UUID, address: str, days: int) -> None:
    """Create the webhooks with their past. Runs inside a unit of work.

    Args:
        organization_id: whose they are.
        address: of the receiver, / at the end.
        days: length of the past.
    """
    until = clock.now()
    since = until - timedelta(days=days)
    made = {}
    for number, hook in enumerate(HOOKS):
        with clock.at(since + timedelta(seconds=number)):
            made[_made(organization_id, hook, address)] = hook
    told = stories(since + STARTED, until - QUIET, random.Random("northline"))  # noqa: S311 - made-up, the same at each run
    with trail.acting_as(trail.SYSTEM):
        Past(organization_id, made, until).live(told)


def _made(organization_id: uuid.UUID, hook: Hook, address: str) -> uuid.UUID:
    draft = Draft(name=hook.name, url=address + hook.endpoint, events=hook.events, retry=hook.retry)
    webhook, _ = service.create(organization_id=organization_id, user_id=None, draft=draft)
    return webhook.id


class Past:
    """The time until now, lived through step by step."""

    def __init__(self, organization_id: uuid.UUID, hooks: dict[uuid.UUID, Hook], until: datetime) -> None:
        self._organization_id = organization_id
        self._hooks = hooks
        self._until = until
        self._chance = random.Random("receivers")  # noqa: S311 - made-up, the same at each run
        self._agenda: list[tuple[datetime, int, Step]] = []
        self._numbers = count()

    def live(self, told: Sequence[Told]) -> None:
        """Accept each event at its time, and make every attempt that follows from it until now."""
        for each in told:
            self._plan(each.at, lambda each=each: self._accept(each))  # type: ignore[misc]
        while self._agenda and self._agenda[0][0] < self._until:
            moment, _, step = heapq.heappop(self._agenda)
            with clock.at(moment):
                due_at = step()
            if due_at:
                self._plan(due_at + LAG, self._send)

    def _plan(self, moment: datetime, step: Step) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), step))

    def _accept(self, told: Told) -> datetime:
        event = NewEvent(event_type=told.event_type, data=told.data)
        events.accept(organization_id=self._organization_id, events=[event])
        return told.at

    def _send(self) -> None:
        """Begin the attempts that are due; what could last until now is left to the dispatcher."""
        now = clock.now()
        if now > self._until - QUIET / 2:
            return
        places = {webhook_id: _MOST for webhook_id, _ in queue.waiting(now, but_for=(), limit=_MOST)}
        mine = {each: most for each, most in places.items() if each in self._hooks}
        for claimed in queue.claim(mine, ordered=(), now=now):
            outcome = self._attempt(claimed, now)
            self._plan(outcome.done.at, lambda outcome=outcome: self._record(outcome))  # type: ignore[misc]

    def _attempt(self, claimed: Claimed, begun: datetime) -> Outcome:
        """Make an attempt up, all but the answer as the dispatcher makes it."""
        webhook = db.session.get_one(Webhook, claimed.webhook_id, populate_existing=True)
        endpoint = sending.endpoint_of(webhook, now=begun, good_until=begun)
        address = Address(endpoint.host, ip_address(PEER), endpoint.port)
        request = sending.request_of(endpoint, claimed, address, now=begun)
        reply = self._hooks[claimed.webhook_id].answers(self._until - begun, self._chance)
        ended = begun + timedelta(milliseconds=reply.duration_ms)
        return recording.outcome_of(endpoint, claimed, dated(reply, ended), now=ended, request=request)

    def _record(self, outcome: Outcome) -> datetime | None:
        recording.record([outcome], clock.now())
        db.session.expire_all()  # it writes past the session, which would show the webhooks as they were
        told_others = outcome.done.at if outcome.verdict.disables else None
        return outcome.done.due_at or told_others
