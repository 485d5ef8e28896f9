"""The dispatcher and what the world does to it: a full disk, a clock that jumps, names that move, odd answers."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from portal import clock
from portal.database import unit_of_work
from portal.settings import Settings
from portal.webhooks import books, dispatcher, lookups, recording, retention, service, verdict
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Webhook
from portal.webhooks.retry import RetryPolicy
from tests.support.disk import disk_of
from tests.support.people import Browser, Team, words
from tests.webhooks.kit import Got, Receiver, attempts, deliveries, dispatching, emit, make_webhook, reply, until

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "PAUSE_AFTER_FAULT", 0.02)
    monkeypatch.setattr(books, "LOOK_EVERY", 0.05)


class Held:
    """Answers that wait until they are let go, for one path of a receiver."""

    def __init__(self, receiver: Receiver, path: str = "/held") -> None:
        self.path, self.begun, self.go_on = path, threading.Event(), threading.Event()
        receiver.answer = self

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == self.path:
            self.begun.set()
            self.go_on.wait(20)
        reply(handler, 200)


def over(app: Flask) -> bool:
    return all(each.due_at is None for each in deliveries(app))


def due_now(app: Flask) -> None:
    """Let the time of every retry come, and of every pause end."""
    with app.app_context(), unit_of_work() as session:
        waits = (Delivery.lease_token.is_(None), Delivery.due_at.is_not(None))
        session.execute(update(Delivery).where(*waits).values(due_at=clock.now()))
        session.execute(update(Webhook).values(paused_until=None))


def paths(got: list[Got]) -> list[str]:
    return sorted(each.path for each in got)


# ---- The disk


def test_a_result_waits_for_room_on_the_disk_and_nothing_is_sent_twice(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(receiver)
    with disk_of(app) as disk:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            disk.full = True
            reply(handler, 200, b"x" * 60_000) if handler.path == "/large" else held(handler)

        receiver.answer = answer
        make_webhook(app, team.organization_id, f"{receiver.url}/large")
        make_webhook(app, team.organization_id, f"{receiver.url}/held")
        with dispatching(app, settings):
            emit(app, team.organization_id)
            until(lambda: caplog.text.count("wait for the database") >= 2)
            assert held.begun.wait(10)
            held.go_on.set()
            failed = caplog.text.count("wait for the database")
            until(lambda: caplog.text.count("wait for the database") > failed)
            assert attempts(app) == []
            disk.full = False
            until(lambda: over(app))
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.SUCCESS}
    assert paths(receiver.got) == ["/held", "/large"]
    assert [each.attempt_number for each in attempts(app)] == [1, 1]


# ---- The clock


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """Sets the portal's clock off by the sum of what is put in."""
    jumps: list[timedelta] = []
    monkeypatch.setattr(clock, "now", lambda: sum(jumps, datetime.now(UTC)))
    return jumps


def test_a_clock_set_back_sends_nothing_early_and_loses_nothing(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, jump: list[timedelta]
) -> None:
    """A due time is a moment of the clock: what waits, waits until the clock shows it; what is new goes at once."""
    receiver.answer = lambda handler: reply(handler, 500 if len(receiver.got) == 1 else 200)
    make_webhook(app, team.organization_id, receiver.url, retry=RetryPolicy(first_delay=60))
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
        jump.append(-HOUR)
        with app.app_context(), unit_of_work() as session:
            session.execute(update(Webhook).values(url=f"{receiver.url}/moved"))
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 2)
        assert paths(receiver.got) == ["/", "/moved"], "what was read before the jump counts as read long ago"
        assert int(receiver.got[1].headers["webhook-timestamp"]) - int(receiver.got[0].headers["webhook-timestamp"]) < 0
        jump.append(HOUR + timedelta(seconds=75))
        until(lambda: over(app))
    assert [each.attempt_number for each in attempts(app)] == [1, 1, 2]
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 2


def test_a_clock_set_forward_sends_nothing_twice_that_is_under_way(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, jump: list[timedelta]
) -> None:
    """Its lease seems to have ended; the dispatcher knows that it is sending it still."""
    held = Held(receiver)
    make_webhook(app, team.organization_id, f"{receiver.url}/held", events=["job.created"])
    make_webhook(app, team.organization_id, f"{receiver.url}/other", events=["job.closed"])
    with dispatching(app, settings):
        emit(app, team.organization_id)
        assert held.begun.wait(10)
        jump.append(timedelta(days=1))
        for number in (1, 2):
            emit(app, team.organization_id, "job.closed")
            until(lambda number=number: len(attempts(app)) == number)  # type: ignore[misc]
        assert paths(receiver.got) == ["/held", "/other", "/other"]
        ahead = int(receiver.got[-1].headers["webhook-timestamp"]) - time.time()
        assert abs(ahead - 86400) < 60, "the signature follows the clock"
        held.go_on.set()
        until(lambda: over(app))
    assert paths(receiver.got) == ["/held", "/other", "/other"]
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.SUCCESS}


# ---- Names and answers


def test_a_name_that_flips_to_a_private_address_is_refused(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["127.0.0.1", "10.0.0.7"]

    def look_up(_name: str, port: int, *_: Any, **__: Any) -> list[Any]:
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(lookups, "ADDRESS_SECONDS", 0.0)
    receiver.answer = lambda handler: reply(handler, 500)
    make_webhook(app, team.organization_id, receiver.url.replace("127.0.0.1", "hooks.example.org"))
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
        due_now(app)
        until(lambda: len(attempts(app)) == 2)
    assert [each.error_class for each in attempts(app)] == ["http_500", "blocked"]
    assert len(receiver.got) == 1


def test_a_zip_bomb_is_kept_as_it_came_and_the_page_says_so(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, admin: Browser
) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    receiver.answer = lambda handler: reply(handler, 200, bomb, Content_Encoding="gzip")
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: over(app))
    assert "Accept-Encoding" not in receiver.got[0].headers
    [attempt] = attempts(app)
    assert (attempt.error_class, attempt.response_body) == (None, bomb[: len(attempt.response_body)])
    assert len(attempt.response_body) == min(len(bomb), 64 * 1024)
    said = words(admin.get(f"/admin/deliveries/{attempt.delivery_id}"))
    assert f"{len(attempt.response_body):,} bytes that are no text" in said


@pytest.mark.parametrize("until_when", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "9" * 30])
def test_an_unreadable_wish_to_wait_is_no_wish(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, until_when: str
) -> None:
    receiver.answer = lambda handler: reply(handler, 429, Retry_After=until_when)
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 1)
    assert attempts(app)[0].error_class == "http_429"


def test_an_answer_that_cannot_be_judged_is_recorded_as_a_fault_of_ours(
    app: Flask, settings: Settings, team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = verdict.judge

    def broken(answer: Any, **more: Any) -> Any:
        if answer.status == 418:
            raise ValueError("a fault in the portal")
        return judge(answer, **more)

    monkeypatch.setattr(recording, "judge", broken)
    receiver.answer = lambda handler: reply(handler, 418 if len(receiver.got) == 1 else 200)
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id, count=5)
        until(lambda: len(attempts(app)) == 5)
    assert sorted(each.error_class or "" for each in attempts(app)) == ["", "", "", "", "internal"]


# ---- Processes


def test_a_result_that_was_recorded_before_holds_back_no_other(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    """As when the answer to a commit gets lost on its way: it is there, and the dispatcher thinks that it is not."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(receiver.got) == 1:
            mine = json.loads(receiver.got[0].body)["data"]["number"]
            with app.app_context(), unit_of_work() as session:
                record_by_hand(session, deliveries_in(session)[mine])
        reply(handler, 200)

    receiver.answer = answer
    make_webhook(app, team.organization_id, receiver.url)
    with dispatching(app, settings):
        emit(app, team.organization_id, count=4)
        until(lambda: len(attempts(app)) == 4)
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == 5 and over(app))
    assert len(receiver.got) == 5
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.SUCCESS}


def deliveries_in(session: Any) -> list[Delivery]:
    return list(session.query(Delivery).order_by(Delivery.id))


def record_by_hand(session: Session | Any, delivery: Delivery) -> None:
    delivery.status, delivery.due_at, delivery.lease_token = DeliveryStatus.SUCCESS, None, None
    session.add(DeliveryAttempt(
        delivery_id=delivery.id, attempt_number=1, at=clock.now(), duration_ms=1, response_status=200,
        error_class=None, error=None, request_headers={}, response_headers={}, response_body=b"", timing={},
    ))  # fmt: skip


def test_one_that_kills_its_process_each_time_ends_as_a_fault_of_ours(
    app: Flask, settings: Settings, team: Team, receiver: Receiver
) -> None:
    """Attempts whose process died count, though none of them was recorded."""
    make_webhook(app, team.organization_id, receiver.url, retry=RetryPolicy(max_retries=2))
    emit(app, team.organization_id)
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).values(attempt_number=2 + 1 + dispatcher.MOST_LOST))
    with dispatching(app, settings):
        until(lambda: over(app))
    [delivery] = deliveries(app)
    assert (delivery.status, delivery.error_class, receiver.got) == (DeliveryStatus.DEAD, "internal", [])


# ---- Deleted while it waited


def test_what_waits_for_a_webhook_that_is_deleted_ends_and_says_why(app: Flask, team: Team, admin: Browser) -> None:
    hook, _ = make_webhook(app, team.organization_id, "https://hooks.example.org/")
    emit(app, team.organization_id)
    with app.app_context(), unit_of_work() as session:
        service.delete(webhook=session.get_one(Webhook, hook))
    [delivery] = deliveries(app)
    assert (delivery.status, delivery.due_at) == (DeliveryStatus.FAILED, None)
    assert "The webhook was deleted while it waited." in words(admin.get(f"/admin/deliveries/{delivery.id}"))
    assert "Not sent The webhook was deleted while it waited." in words(admin.get("/admin/deliveries"))


def test_an_event_accepted_while_its_webhook_is_deleted_does_not_wait_for_ever(app: Flask, team: Team) -> None:
    """On PostgreSQL an application may be told of a webhook that is gone when its event is stored."""
    hook, _ = make_webhook(app, team.organization_id, "https://hooks.example.org/")
    emit(app, team.organization_id, count=2)
    with app.app_context():
        with unit_of_work() as session:
            service.delete(webhook=session.get_one(Webhook, hook))
            session.execute(
                update(Delivery).values(status=DeliveryStatus.PENDING, due_at=clock.now(), error_class=None)
            )
        retention.tidy()
    assert {(each.status, each.due_at, each.error_class) for each in deliveries(app)} == {
        (DeliveryStatus.FAILED, None, "webhook_deleted")
    }
