"""The dispatcher against a real receiver: signed, retried, given up, shared fairly, stopped without loss."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update
from standardwebhooks.webhooks import Webhook as Verifier

from portal import clock
from portal.database import reading, unit_of_work
from portal.settings import Settings
from portal.webhooks import dead_letters, queue, sending, service, testing
from portal.webhooks.exchange import Outgoing
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook, WebhookStatus
from portal.webhooks.retry import RetryPolicy
from portal.webhooks.sending import Endpoint
from portal.webhooks.service import Draft
from portal.webhooks.verdict import GIVES_UP_AFTER
from tests.support.people import Team
from tests.webhooks.kit import (
    Receiver,
    attempts,
    data_of,
    deliveries,
    dispatching,
    emit,
    make_webhook,
    reply,
    until,
    webhook,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


def over(app: Flask) -> bool:
    return all(each.due_at is None for each in deliveries(app))


def claimed(app: Flask) -> list[Delivery]:
    return [each for each in deliveries(app) if each.lease_token is not None]


def all_due(app: Flask) -> None:
    """Let the time of every retry come."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).where(Delivery.lease_token.is_(None), Delivery.due_at.is_not(None))
                        .values(due_at=clock.now()))  # fmt: skip


def test_an_event_arrives_signed_and_is_recorded(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    _, secret = make_webhook(app, team.organization_id, f"{receiver.url}/hooks?x=1", custom_headers={"X-Key": "k3y"})
    with dispatching(app, settings):
        emit(app, team.organization_id, count=3)
        until(lambda: len(receiver.got) == 3 and over(app))
    for got in receiver.got:
        headers = {name.lower(): value for name, value in got.headers.items()}
        assert got.path == "/hooks?x=1"
        assert Verifier(secret).verify(got.body, headers)["event"] == "job.created"
        assert headers["x-portal-event"] == "job.created"
        assert headers["x-portal-attempt"] == "1"
        assert headers["user-agent"] == "Portal-Webhooks/1"
        assert headers["x-key"] == "k3y"
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.SUCCESS}
    (first, *_) = attempts(app)
    assert (first.response_status, first.response_body, first.error_class) == (200, b"ok", None)
    assert first.request_headers["X-Key"] == "••••"
    assert first.timing["peer"] == "127.0.0.1"


def test_a_failure_is_tried_again_and_at_last_a_dead_letter(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: reply(handler, 500, b"no")
    hook, _ = make_webhook(app, team.organization_id, receiver.url, retry=RetryPolicy(max_retries=2, first_delay=60))
    with dispatching(app, settings) as dispatcher:
        emit(app, team.organization_id)
        for number in (1, 2, 3):
            until(lambda number=number: len(attempts(app)) == number)  # type: ignore[misc]
            all_due(app)
            dispatcher.wake()
        until(lambda: over(app))
    (delivery,) = deliveries(app)
    assert (delivery.status, delivery.attempt_number, delivery.error_class) == (DeliveryStatus.DEAD, 3, "http_500")
    assert [each.headers["X-Portal-Attempt"] for each in receiver.got] == ["1", "2", "3"]
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 1
    assert len({each.body for each in receiver.got}) == 1
    assert webhook(app, hook).failing_since is not None


def test_gone_disables_and_too_many_pauses(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/gone":
            reply(handler, 410)
        else:
            reply(handler, 429, Retry_After="120")

    receiver.answer = answer
    gone, _ = make_webhook(app, team.organization_id, f"{receiver.url}/gone", events=["job.created"])
    slow, _ = make_webhook(app, team.organization_id, f"{receiver.url}/slow", events=["job.created"])
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 2)
    assert webhook(app, gone).status is WebhookStatus.DISABLED
    pause = webhook(app, slow).paused_until
    assert pause is not None
    assert timedelta(seconds=100) < pause - clock.now() <= timedelta(seconds=120)
    (waiting,) = [each for each in deliveries(app) if each.webhook_id == slow]
    assert waiting.due_at is not None
    assert waiting.due_at - clock.now() > timedelta(seconds=100)


def test_a_webhook_that_fails_for_days_is_disabled_and_others_hear_of_it(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: reply(handler, 500 if handler.path == "/bad" else 200)
    bad, _ = make_webhook(app, team.organization_id, f"{receiver.url}/bad", events=["job.created"])
    make_webhook(app, team.organization_id, f"{receiver.url}/good", events=["webhook.disabled"])
    with app.app_context(), unit_of_work() as session:
        session.get_one(type(webhook(app, bad)), bad).failing_since = clock.now() - GIVES_UP_AFTER
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: any(each.path == "/good" for each in receiver.got))
    assert webhook(app, bad).status is WebhookStatus.DISABLED
    (told,) = [each for each in receiver.got if each.path == "/good"]
    assert data_of(told)["webhook"]["id"] == str(bad)


def test_a_slow_endpoint_holds_back_no_other(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    hold = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/slow":
            hold.wait(10)
        reply(handler, 200)

    receiver.answer = answer
    make_webhook(app, team.organization_id, f"{receiver.url}/slow")
    make_webhook(app, team.organization_id, f"{receiver.url}/fast")
    with dispatching(app, settings, concurrency=8):
        emit(app, team.organization_id, count=30)
        until(lambda: sum(each.path == "/fast" for each in receiver.got) == 30)
        assert sum(each.path == "/slow" for each in receiver.got) <= 2
        hold.set()
        until(lambda: over(app))


def test_in_order_means_one_after_the_other(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 500 if len(receiver.got) == 1 else 200)
    make_webhook(app, team.organization_id, receiver.url, ordered=True)
    with dispatching(app, settings) as dispatcher:
        emit(app, team.organization_id, count=4)
        until(lambda: len(attempts(app)) == 1)
        all_due(app)
        dispatcher.wake()
        until(lambda: over(app))
    assert [data_of(each)["number"] for each in receiver.got] == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://10.1.2.3/hooks", "blocked"),
        ("https://169.254.169.254/", "blocked"),
        ("https://nowhere.invalid/", "dns"),
    ],
)
def test_where_it_may_not_go_it_does_not_go(app: Flask, settings: Settings, team: Team, url: str, error: str) -> None:
    make_webhook(app, team.organization_id, url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
    assert attempts(app)[0].error_class == error


def test_an_address_in_another_alphabet_is_reached(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    make_webhook(app, team.organization_id, f"{receiver.url}/hööks/求人?q=ß")
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: over(app))
    assert receiver.got[0].path == "/h%C3%B6%C3%B6ks/%E6%B1%82%E4%BA%BA?q=%C3%9F"


def test_one_that_cannot_be_sent_ends_as_a_fault_of_ours_and_holds_back_no_other(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = sending.request_of

    def broken(endpoint: Endpoint, *rest: Any, **more: Any) -> Outgoing:
        if endpoint.url.endswith("/broken"):
            raise ValueError("a fault in the portal")
        return prepare(endpoint, *rest, **more)

    monkeypatch.setattr(sending, "request_of", broken)
    once = RetryPolicy(max_retries=1, first_delay=3600, max_delay=3600)
    hook, _ = make_webhook(app, team.organization_id, f"{receiver.url}/broken", retry=once)
    make_webhook(app, team.organization_id, f"{receiver.url}/fine")
    with dispatching(app, settings, concurrency=4):
        emit(app, team.organization_id, count=10)
        until(lambda: len(attempts(app)) == 20)
    assert [each.path for each in receiver.got] == ["/fine"] * 10
    mine = [each for each in deliveries(app) if each.webhook_id == hook]
    assert {each.error_class for each in mine} == {"internal"}


def test_a_secret_that_cannot_be_opened_is_a_fault_of_ours(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    """It ends as the portal's own dead letter, and says nothing about the receiver."""
    once = RetryPolicy(max_retries=1, first_delay=60, jitter=False)
    hook, _ = make_webhook(app, team.organization_id, receiver.url, retry=once)
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Webhook).values(secret_sealed=b"sealed by a key that is gone"))
    with app.app_context():
        testing.send_test(organization_id=team.organization_id, webhook_id=hook, event_type="job.created", data={})
    with dispatching(app, settings) as dispatcher:
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 2)
        all_due(app)
        dispatcher.wake()
        until(lambda: over(app))
    assert [each.status for each in deliveries(app)] == [DeliveryStatus.FAILED, DeliveryStatus.DEAD]
    assert {each.error_class for each in attempts(app)} == {"internal"}
    assert "master key" in (attempts(app)[0].error or "")
    assert webhook(app, hook).failing_since is None
    assert not receiver.got


def test_a_dead_letter_that_is_retried_has_all_retries_ahead_of_it(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: reply(handler, 500 if len(receiver.got) < 4 else 200)
    once = RetryPolicy(max_retries=1, first_delay=60, jitter=False)
    make_webhook(app, team.organization_id, receiver.url, retry=once)
    with dispatching(app, settings) as dispatcher:
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
        all_due(app)
        dispatcher.wake()
        until(lambda: over(app))
        [dead] = deliveries(app)
        assert (dead.status, dead.attempt_number) == (DeliveryStatus.DEAD, 2)
        with app.app_context(), unit_of_work():
            dead_letters.retry(organization_id=team.organization_id, delivery_id=dead.id)
        until(lambda: len(attempts(app)) == 3)
        all_due(app)
        dispatcher.wake()
        until(lambda: deliveries(app)[0].status is DeliveryStatus.SUCCESS)
    assert [each.attempt_number for each in attempts(app)] == [1, 2, 3, 4]
    assert [each.headers["X-Portal-Attempt"] for each in receiver.got] == ["1", "2", "3", "4"]


def test_redirects_are_failures(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 302, Location=f"{receiver.url}/elsewhere")
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
    assert attempts(app)[0].error_class == "http_302"
    assert len(receiver.got) == 1


def test_a_stop_finishes_what_is_under_way(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        go_on.wait(10)
        reply(handler, 200)

    receiver.answer = answer
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        assert begun.wait(10)
        threading.Timer(0.2, go_on.set).start()
    (delivery,) = deliveries(app)
    assert delivery.status is DeliveryStatus.SUCCESS


class Warm:
    """Answers at once until it is quick for the dispatcher, then holds what comes until it is let go."""

    def __init__(self, receiver: Receiver) -> None:
        self.holds, self.go_on, self.status = False, threading.Event(), 200
        receiver.answer = self

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if self.holds:
            self.go_on.wait(10)
        reply(handler, self.status)


@contextmanager
def half_begun(app: Flask, settings: Settings, team: Team, receiver: Receiver, *, count: int) -> Iterator[Warm]:
    """Run a dispatcher with eight places: of a quick webhook seven wait for answers, and seven are claimed ahead."""
    warm = Warm(receiver)
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings, concurrency=8):
        emit(app, team.organization_id)
        until(lambda: over(app))
        warm.holds = True
        emit(app, team.organization_id, count=count)
        until(lambda: len(claimed(app)) == 14)
        until(lambda: len(receiver.got) == 1 + 7)
        yield warm


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_was_claimed_ahead_of_one_that_wants_quiet_is_not_sent(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    with half_begun(app, settings, team, receiver, count=14) as warm:
        warm.status = 410
        warm.go_on.set()
        until(lambda: not claimed(app))
        assert sorted(each.attempt_number for each in deliveries(app)) == [0] * 7 + [1] * 8
    assert len(receiver.got) == 1 + 7


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_it_goes_on_sending_while_its_books_wait_for_the_database(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    with half_begun(app, settings, team, receiver, count=30) as warm:
        with app.app_context(), unit_of_work() as session:
            session.execute(text("LOCK TABLE deliveries IN EXCLUSIVE MODE"))
            warm.go_on.set()
            until(lambda: len(receiver.got) == 1 + 14)
        until(lambda: over(app))
    assert len(receiver.got) == 31


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_stop_gives_back_what_was_claimed_ahead(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    with half_begun(app, settings, team, receiver, count=20) as warm:
        threading.Timer(0.2, warm.go_on.set).start()
    assert len(receiver.got) == 1 + 7
    assert not claimed(app)
    waiting = [each for each in deliveries(app) if each.due_at is not None]
    assert [(each.attempt_number, each.due_at <= clock.now()) for each in waiting if each.due_at] == [(0, True)] * 13


def test_a_changed_address_is_used_at_once(app: Flask, settings: Settings, team: Team, receiver: Receiver) -> None:
    """The settings that a dispatcher has read are good for seconds; a change does not wait for that."""
    webhook_id, _ = make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: over(app))
        with app.app_context(), unit_of_work():
            row = service.get(organization_id=team.organization_id, webhook_id=webhook_id)
            service.update(webhook=row, draft=Draft(name=row.name, url=f"{receiver.url}/moved", events=["*"]))
        emit(app, team.organization_id)
        until(lambda: over(app))
    assert [each.path for each in receiver.got][1:] == ["/moved"]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_webhooks_that_wait_take_turns_where_there_are_fewer_places(app: Flask, settings: Settings, team: Team) -> None:
    made = sorted(make_webhook(app, team.organization_id, f"http://127.0.0.1:9/{number}")[0] for number in range(5))
    emit(app, team.organization_id)
    now = clock.now()
    with app.app_context(), reading():
        first = [each for each, _ in queue.waiting(now, but_for=(), limit=2)]
        second = [each for each, _ in queue.waiting(now, but_for=(), limit=2, after=first[-1])]
        third = [each for each, _ in queue.waiting(now, but_for=[made[0]], limit=3, after=second[-1])]
    assert [*first, *second, *third] == [*made, *made[1:3]]
