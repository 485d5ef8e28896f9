"""Faults that users of other webhook senders met: one test for each, named for what must not happen here.

Four more have their tests beside what they are about: the same idempotency key at the same time (tests/api/
test_events.py), the test button as a probe of the network (test_send_test.py), an endpoint that is deleted while
deliveries wait (test_bad_input.py), and an attempt for which no process is left (test_chaos.py).
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal import clock
from portal.database import on_wake, reading, unit_of_work
from portal.settings import Settings
from portal.webhooks import books, dead_letter_queries, deliveries, dispatcher, events, queries, queue, sending
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.exchange import Reply
from portal.webhooks.models import Delivery, DeliveryStatus
from portal.webhooks.retry import RetryPolicy
from portal.webhooks.verdict import judge, retry_after
from portal.webhooks.wire import LARGEST_BODY
from tests.support.people import Team
from tests.webhooks.kit import (
    Receiver,
    attempts,
    dispatching,
    emit,
    make_webhook,
    reply,
    until,
)
from tests.webhooks.kit import deliveries as stored
from tests.webhooks.test_bad_input import due_now, over

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONCE = RetryPolicy(max_retries=1, first_delay=60)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "LOOK_EVERY", 0.05)


def replay(app: Flask, team: Team, delivery: Delivery) -> None:
    with app.app_context(), unit_of_work():
        found = queries.get_delivery(organization_id=team.organization_id, delivery_id=delivery.id, lock=True)
        deliveries.replay(found)


def test_an_attempt_never_outlasts_its_lease_so_that_it_would_be_sent_twice(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited too long for its address is given back unsent, and counts no attempt."""
    assert queue.LEASE.total_seconds() > dispatcher.LATEST_START + sending.TIMEOUT
    given_back = threading.Event()
    give_back = queue.give_back

    def note(claimed: list[queue.Claimed], now: datetime) -> None:
        give_back(claimed, now)
        if claimed:
            given_back.set()
            monkeypatch.setattr(dispatcher, "LATEST_START", 25.0)

    monkeypatch.setattr(queue, "give_back", note)
    monkeypatch.setattr(dispatcher, "LATEST_START", -1.0)
    make_webhook(app, team.organization_id, receiver.url, ordered=True)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: over(app))
    assert given_back.is_set()
    assert [each.headers["X-Portal-Attempt"] for each in receiver.got] == ["1"]


@SQLITE
def test_retries_end_as_dead_letter_though_the_receiver_says_429_for_ever(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: reply(handler, 429, Retry_After="900")
    make_webhook(app, team.organization_id, receiver.url, retry=RetryPolicy(max_retries=2))
    with dispatching(app, settings):
        emit(app, team.organization_id)
        for number in (1, 2, 3):
            until(lambda number=number: len(attempts(app)) == number)  # type: ignore[misc]
            due_now(app)
        until(lambda: over(app))
    [delivery] = stored(app)
    assert (delivery.status, delivery.error_class, delivery.attempt_number) == (DeliveryStatus.DEAD, "http_429", 3)
    assert len(receiver.got) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 418, 429, 500, 503, 599])
def test_no_answer_stops_the_retries_silently(status: int) -> None:
    found = judge(Reply(status=status), attempts=1, policy=ONCE, now=NOW)
    assert (found.status, found.due_at is not None) == (DeliveryStatus.PENDING, True)
    found = judge(Reply(status=status), attempts=2, policy=ONCE, now=NOW)
    assert (found.status, found.due_at) == (DeliveryStatus.DEAD, None)


@budget(max_examples=50, deadline=None)
@given(asked=st.one_of(st.datetimes().map(lambda each: each.strftime("%a, %d %b %Y %H:%M:%S GMT")), st.text()))
def test_the_next_attempt_is_never_in_the_past(asked: str) -> None:
    found = judge(Reply(status=503, headers={"retry-after": asked}), attempts=1, policy=ONCE, now=NOW)
    assert found.due_at is not None
    assert NOW + timedelta(seconds=60) <= found.due_at <= NOW + timedelta(hours=24)
    assert retry_after(asked, NOW) is None or (retry_after(asked, NOW) or 0) >= 0


@SQLITE
def test_a_huge_response_is_cut_and_recorded_and_not_asked_for_again(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: reply(handler, 200, b"\x00\xff" * 4_000_000)
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: over(app))
    [attempt] = attempts(app)
    assert (len(attempt.response_body), attempt.timing["truncated"]) == (LARGEST_BODY, True)
    assert stored(app)[0].status is DeliveryStatus.SUCCESS
    assert len(receiver.got) == 1


@SQLITE
def test_a_second_manual_retry_is_sent_too(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 400, webhook_delivery="abort-message")
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        for number in (1, 2, 3):
            until(lambda number=number: len(attempts(app)) == number and over(app))  # type: ignore[misc]
            replay(app, team, stored(app)[0])
        until(lambda: len(attempts(app)) == 4 and over(app))
    assert [each.headers["X-Portal-Attempt"] for each in receiver.got] == ["1", "2", "3", "4"]


def test_a_replay_does_not_race_an_attempt_under_way(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(handler: object) -> None:
        begun.set()
        go_on.wait(20)
        reply(handler, 200)  # type: ignore[arg-type]

    receiver.answer = answer
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        assert begun.wait(10)
        with pytest.raises(NotNowError, match="under way"):
            replay(app, team, stored(app)[0])
        go_on.set()
        until(lambda: over(app))
    assert len(receiver.got) == 1


def test_in_order_an_older_one_that_is_sent_again_waits_for_the_one_under_way(app: Flask, team: Team) -> None:
    hook, _ = make_webhook(app, team.organization_id, "https://hooks.example.org/", ordered=True)
    emit(app, team.organization_id, count=2)
    old, new = (each.id for each in stored(app))

    def claim() -> list[queue.Claimed]:
        with app.app_context(), unit_of_work():
            return queue.claim({hook: 5}, ordered=[hook], now=clock.now())

    def change(delivery_id: object, **values: object) -> None:
        with app.app_context(), unit_of_work() as session:
            for name, value in values.items():
                setattr(session.get_one(Delivery, delivery_id), name, value)

    over_now = {"status": DeliveryStatus.FAILED, "due_at": None, "lease_token": None}
    change(old, **over_now)
    assert [each.delivery_id for each in claim()] == [new]
    replay(app, team, stored(app)[0])
    assert claim() == []
    change(new, **over_now)
    assert [each.delivery_id for each in claim()] == [old]


@SQLITE
def test_names_that_are_not_found_are_tried_again(app: Flask, settings: Settings, team: Team) -> None:
    make_webhook(app, team.organization_id, "https://nowhere.invalid/", retry=ONCE)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
        [delivery] = stored(app)
        assert (delivery.status, delivery.error_class) == (DeliveryStatus.PENDING, "dns")
        due_now(app)
        until(lambda: over(app))
    assert [each.error_class for each in attempts(app)] == ["dns", "dns"]


def test_nobody_is_woken_before_the_row_is_there(app: Flask, team: Team) -> None:
    make_webhook(app, team.organization_id, "https://hooks.example.org/")
    seen: list[int] = []

    def look() -> None:
        with app.app_context(), reading() as session:
            seen.append(session.scalar(select(func.count()).select_from(Delivery)) or 0)

    def woken() -> None:
        thread = threading.Thread(target=look)  # as the dispatcher's: with a connection of its own
        thread.start()
        thread.join()

    off = on_wake(events.WAKE, woken)
    emit(app, team.organization_id, count=3)
    off()
    assert seen == [3]


@SQLITE
def test_a_customers_bad_address_is_no_fault_of_ours(app: Flask, settings: Settings, team: Team) -> None:
    for url in ("http://10.1.2.3/", "https://nowhere.invalid/", "https://127.0.0.1:1/"):
        make_webhook(app, team.organization_id, url, retry=ONCE)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 3)
        due_now(app)
        until(lambda: over(app))
    with app.app_context(), reading():
        own = DeadLetterFilters(internal=True)
        assert dead_letter_queries.count(organization_id=team.organization_id, filters=own) == 0
        assert dead_letter_queries.count(organization_id=team.organization_id, filters=DeadLetterFilters()) == 3
