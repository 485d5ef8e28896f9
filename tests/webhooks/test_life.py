"""The life of a delivery, whatever happens in whatever order: a state machine whose time moves by its rules only."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from portal import clock
from portal.database import db, reading, unit_of_work
from portal.webhooks import dead_letters, deliveries, events, queries, queue, recording, sending, service
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.events import NewEvent
from portal.webhooks.exchange import Reply
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook, WebhookStatus
from portal.webhooks.queue import Claimed
from portal.webhooks.retry import JITTER, LONGEST_RETRY_AFTER, RetryPolicy
from portal.webhooks.sending import Endpoint
from tests.support.people import Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
REPLIES = {
    "ok": Reply(status=200),
    "error": Reply(status=500),
    "gone": Reply(status=410),
    "wait": Reply(status=429, headers={"retry-after": "90"}),
    "wait for ever": Reply(status=503, headers={"retry-after": "99999999999"}),
    "date": Reply(status=429, headers={"retry-after": "Mon, 1 Jan 99999999999999999 00:00:00"}),
    "timeout": Reply(error="timeout"),
    "half": Reply(status=200, error="closed", headers={"webhook-delivery": "disable", "retry-after": "7200"}),
    "disable": Reply(status=400, headers={"webhook-delivery": "disable"}),
    "abort": Reply(status=500, headers={"webhook-delivery": "Abort-Message"}),
    "internal": Reply(error="internal"),
}
ENDS = {"gone", "disable", "abort"}
DISABLES = {"gone", "disable"}
ASKS = {"wait": 90, "wait for ever": LONGEST_RETRY_AFTER}
POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(1, 3),
    first_delay=st.sampled_from([1, 60]),
    jitter=st.booleans(),
    dead_letters=st.booleans(),
)
PICK = st.integers(0, 50)


@dataclass
class Held:
    """An attempt under way."""

    claimed: Claimed
    endpoint: Endpoint


class Life(RuleBasedStateMachine):
    """What may happen to deliveries; what holds is checked after each step."""

    app: Flask
    organization_id: uuid.UUID
    patch: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.patch.setattr(clock, "now", lambda: self.now)
        self.held: list[Held] = []
        self.expected: set[tuple[str, uuid.UUID]] = set()
        self.succeeded: set[uuid.UUID] = set()
        self.failures: dict[uuid.UUID, int] = {}
        self.answers = 0
        self.context = self.app.app_context()
        self.context.push()
        with unit_of_work() as session:
            for table in (DeliveryAttempt, Delivery, Event, Webhook):
                session.execute(delete(table))

    # ---- Looking

    def webhooks(self, *, deleted: bool = False) -> list[Webhook]:
        with reading() as session:
            found = session.scalars(select(Webhook).order_by(Webhook.id)).all()
        return [each for each in found if deleted or each.deleted_at is None]

    def rows(self) -> list[Delivery]:
        with reading() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def row(self, delivery_id: uuid.UUID) -> Delivery:
        with reading() as session:
            return session.get_one(Delivery, delivery_id)

    # ---- Applications and admins

    @initialize(policy=POLICIES, ordered=st.booleans())
    def begin(self, policy: RetryPolicy, ordered: bool) -> None:
        self.create(policy, ordered)

    @precondition(lambda self: len(self.webhooks()) < 2)
    @rule(policy=POLICIES, ordered=st.booleans())
    def create(self, policy: RetryPolicy, ordered: bool) -> None:
        draft = service.Draft(name="Hook", url="https://h.example.org/", events=["*"], ordered=ordered, retry=policy)
        with unit_of_work():
            service.create(organization_id=self.organization_id, user_id=None, draft=draft)

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        wanted = [each.id for each in self.webhooks() if each.status is WebhookStatus.ACTIVE]
        new = [NewEvent(event_type="job.created", data=number) for number in range(count)]
        with unit_of_work():
            found = events.accept(organization_id=self.organization_id, events=new)
        assert {each.deliveries for each in found} == {len(wanted)}
        self.expected |= {(each.event_id, webhook_id) for each in found for webhook_id in wanted}

    @precondition(lambda self: self.webhooks())
    @rule(pick=PICK, what=st.sampled_from(["on", "off", "rotate", "delete"]))
    def change(self, pick: int, what: str) -> None:
        found = self.webhooks()
        with unit_of_work() as session:
            webhook = session.get_one(Webhook, found[pick % len(found)].id)
            if what == "rotate":
                service.rotate(webhook=webhook)
            elif what == "delete":
                service.delete(webhook=webhook)
            else:
                service.set_active(webhook=webhook, active=what == "on")

    @precondition(lambda self: self.rows())
    @rule(pick=PICK, way=st.sampled_from(["replay", "retry", "discard"]))
    def send_again(self, pick: int, way: str) -> None:
        found = self.rows()
        before = found[pick % len(found)]
        with reading() as session:
            webhook = session.get_one(Webhook, before.webhook_id)
        takes = webhook.status is WebhookStatus.ACTIVE and webhook.deleted_at is None
        under_way = before.lease_token is not None and before.due_at is not None and before.due_at > self.now
        dead = before.status is DeliveryStatus.DEAD
        may = dead if way == "discard" else takes and not under_way and (dead or way == "replay")
        try:
            with unit_of_work():
                self._again(before.id, way)
            assert may
        except NotNowError:
            assert not may
            return
        after = self.row(before.id)
        if way == "discard":
            assert after.status is DeliveryStatus.FAILED
            return
        assert (after.status, after.due_at, after.lease_token) == (DeliveryStatus.PENDING, self.now, None)
        assert after.attempts_before == after.attempt_number == before.attempt_number
        self.succeeded.discard(before.id)
        self.failures[before.id] = 0

    def _again(self, delivery_id: uuid.UUID, way: str) -> None:
        who = {"organization_id": self.organization_id, "delivery_id": delivery_id}
        if way == "replay":
            deliveries.replay(queries.get_delivery(**who, lock=True))
        elif way == "retry":
            dead_letters.retry(**who)
        else:
            dead_letters.discard(**who)

    # ---- Time and the dispatcher

    @rule(seconds=st.sampled_from([1, 20, 46, 120, 3600, 25 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(most=st.integers(1, 5))
    def claim(self, most: int) -> None:
        before = {each.id: each for each in self.rows()}
        active = {each.id for each in self.webhooks() if each.status is WebhookStatus.ACTIVE}
        with unit_of_work() as session:
            found = dict(queue.waiting(self.now, but_for=[], limit=10))
            assert set(found) <= active, "one that is off or deleted gets nothing"
            ordered = [each for each, in_order in found.items() if in_order]
            claimed = queue.claim(dict.fromkeys(found, most), ordered=ordered, now=self.now)
            for each in claimed:
                webhook = session.get_one(Webhook, each.webhook_id)
                endpoint = sending.endpoint_of(webhook, now=self.now, good_until=self.now)
                self.held.append(Held(each, endpoint))
        for each in claimed:
            old = before[each.delivery_id]
            assert old.due_at is not None
            assert old.due_at <= self.now, "early"
            assert each.attempt_number == old.attempt_number + 1

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def process_dies(self, pick: int) -> None:
        self.held.pop(pick % len(self.held))

    @precondition(lambda self: self.held)
    @rule(pick=PICK, kind=st.sampled_from(sorted(REPLIES)))
    def answer(self, pick: int, kind: str) -> None:
        held = self.held.pop(pick % len(self.held))
        mine = held.claimed
        before = self.row(mine.delivery_id)
        done = recording.outcome_of(held.endpoint, mine, REPLIES[kind], now=self.now)
        with unit_of_work():
            recording.record([done], self.now)
        self.answers += 1
        after = self.row(mine.delivery_id)
        if before.lease_token != mine.token:
            names = ("status", "due_at", "lease_token", "attempt_number", "error_class", "delivered_at")
            changed = [name for name in names if getattr(before, name) != getattr(after, name)]
            assert changed == [], "a late answer changes nothing"
            return
        assert after.lease_token is None
        if kind == "ok":
            assert after.status is DeliveryStatus.SUCCESS
            self.succeeded.add(after.id)
        elif kind in ENDS:
            assert after.status is DeliveryStatus.FAILED
        else:
            self._failed(held, after, kind)
        if kind in DISABLES:
            with reading() as session:
                assert session.get_one(Webhook, mine.webhook_id).status is WebhookStatus.DISABLED

    def _failed(self, held: Held, after: Delivery, kind: str) -> None:
        policy, made = held.endpoint.policy, held.claimed.attempt_number - held.claimed.attempts_before
        self.failures[after.id] = self.failures.get(after.id, 0) + 1
        assert self.failures[after.id] <= policy.max_retries + 1, "more attempts than the policy allows"
        if made > policy.max_retries:
            assert after.status is (DeliveryStatus.DEAD if policy.dead_letters else DeliveryStatus.FAILED)
            return
        assert after.due_at is not None
        assert after.status is DeliveryStatus.PENDING
        wait, least = (after.due_at - self.now).total_seconds(), policy.wait(made)
        most = max(least * (1 + JITTER if policy.jitter else 1), ASKS.get(kind, 0))
        assert max(least, ASKS.get(kind, 0)) - 0.001 <= wait <= most + 0.001

    # ---- What always holds

    @invariant()
    def states_fit_together(self) -> None:
        webhooks = {each.id: each for each in self.webhooks(deleted=True)}
        in_order: dict[uuid.UUID, int] = {}
        for each in self.rows():
            webhook = webhooks[each.webhook_id]
            assert (each.due_at is None) == (each.status is not DeliveryStatus.PENDING)
            assert each.lease_token is None or each.due_at is not None
            assert 0 <= each.attempts_before <= each.attempt_number
            assert (each.delivered_at is not None) == (each.status is DeliveryStatus.SUCCESS)
            assert webhook.deleted_at is None or each.due_at is None, "it would wait for ever"
            if webhook.ordered and each.lease_token is not None and each.due_at is not None and each.due_at > self.now:
                in_order[webhook.id] = in_order.get(webhook.id, 0) + 1
        assert max(in_order.values(), default=0) <= 1, "two under way where they are wanted in order"

    @invariant()
    def nothing_is_lost(self) -> None:
        with reading() as session:
            query = select(Event.event_id, Delivery.webhook_id).join(Event, Event.id == Delivery.event_row_id)
            found = [(row[0], row[1]) for row in session.execute(query.where(Event.source != "portal"))]
            numbers = session.execute(select(DeliveryAttempt.delivery_id, DeliveryAttempt.attempt_number)).all()
            stored = session.scalars(select(Delivery.id).where(Delivery.status == DeliveryStatus.SUCCESS)).all()
        assert len(found) == len(self.expected)
        assert set(found) == self.expected
        assert set(stored) == self.succeeded, "a success stays one until it is sent again"
        assert len(set(numbers)) == len(numbers) == self.answers

    def teardown(self) -> None:
        """Nothing waits for ever: with time, and receivers that answer, all comes to an end."""
        try:
            with unit_of_work() as session:
                for each in session.scalars(select(Webhook).where(Webhook.deleted_at.is_(None))):
                    service.set_active(webhook=each, active=True)
            for _ in range(len(self.rows()) + 1):
                self.now += timedelta(days=2)
                self.held = []
                self.claim(100)
                while self.held:
                    self.answer(0, "ok")
            assert [each for each in self.rows() if each.due_at is not None] == []
        finally:
            db.session.remove()
            self.context.pop()


def live(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    here = type("Here", (Life,), {"app": app, "organization_id": team.organization_id, "patch": monkeypatch})
    run_state_machine_as_test(
        here, settings=budget(deadline=None, database=None, suppress_health_check=list(HealthCheck), **more)
    )


def test_the_life_of_deliveries(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    live(app, team, monkeypatch, max_examples=15, stateful_step_count=20, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_long_lives_of_deliveries(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    live(app, team, monkeypatch, max_examples=200, stateful_step_count=50)
