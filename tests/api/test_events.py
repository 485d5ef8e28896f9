"""The endpoints of events: accepted with their deliveries, refused in words, and only once under a key."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from portal import clock
from portal.accounts import housekeeping
from portal.accounts.models import IdempotencyKey
from portal.api import event_routes
from portal.database import reading, unit_of_work
from portal.settings import Settings
from portal.webhooks import events
from portal.webhooks.models import Event
from tests.api.conftest import Caller, Reply, make_token
from tests.support.people import Browser, Team, make_team
from tests.support.webhooks import make_webhook, stored_deliveries, stored_events

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
JOB = {"event": "job.created", "data": {"id": "job_1", "title": "Ärztin – Tag & Nacht"}}


def with_token(app: Flask, team: Team, **token: Any) -> Caller:
    return Caller(app, token=make_token(app, team.admin, scopes=["events:write"], **token), root="/api/v1")


@pytest.fixture
def send(app: Flask, team: Team) -> Caller:
    """An application that may send events."""
    return with_token(app, team)


def keyed(send: Caller, key: str, body: Any = JOB, path: str = "/events") -> Reply:
    return send("POST", path, body, headers={"Idempotency-Key": key})


def keys(app: Flask) -> int:
    with app.app_context(), reading() as session:
        return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


@SQLITE
def test_what_one_request_was_held_against_holds_for_the_next_and_in_other_threads(send: Caller) -> None:
    def fields(_number: int) -> list[list[str]]:
        answers = [send("POST", "/events", body) for body in (JOB, {"event": 1, "more": 2}, JOB, {"data": 1})]
        return [sorted(each["field"] for each in answer.json.get("errors", ())) for answer in answers]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fields, range(3))) == [[[], ["data", "event", "more"], [], ["event"]]] * 3


def test_an_event_is_stored_with_its_deliveries_before_the_answer(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin, "All")
    make_webhook(app, team.admin, "Candidates", events=["candidate.created"])
    answer = send("POST", "/events", {**JOB, "id": "job-7", "occurred_at": "2026-11-21T10:30:00+02:00"})
    assert (answer.status_code, answer.json) == (202, {"id": "job-7", "deliveries": 1})
    (event,) = stored_events(app)
    assert json.loads(event.body) == {**JOB, "id": "job-7", "occurred_at": "2026-11-21T08:30:00.000Z"}
    assert (event.source, list(event.decisions.values())) == ("api", ["not_subscribed"])
    (delivery,) = stored_deliveries(app)
    assert (delivery.event_row_id, delivery.status, delivery.due_at) == (event.id, "pending", event.accepted_at)


@SQLITE
def test_an_event_without_an_id_gets_one(app: Flask, send: Caller) -> None:
    found = send("POST", "/events", JOB).json
    assert found["id"].startswith("evt_")
    assert len(found["id"]) == 36
    assert found["deliveries"] == 0


@SQLITE
@pytest.mark.parametrize("data", [{}, [], "text", 0, False, None, {"deep": [{"er": 1.5}]}, {"nul": "\x00"}])
def test_data_is_any_json(app: Flask, send: Caller, data: Any) -> None:
    assert send("POST", "/events", {"event": "job.created", "data": data}).status_code == 202
    assert json.loads(stored_events(app)[0].body)["data"] == data


def test_an_id_counts_once(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin)
    first = send("POST", "/events", {**JOB, "id": "job-7"})
    again = send("POST", "/events", {**JOB, "id": "job-7"})
    assert (again.status_code, again.json) == (202, first.json)
    other = send("POST", "/events", {"event": "job.created", "data": {}, "id": "job-7"})
    assert (other.status_code, other.json["title"]) == (409, "Another event of this id")
    assert "job-7" in other.json["detail"]
    assert len(stored_deliveries(app)) == 1
    southgate = with_token(app, make_team(app, "Southgate"))
    assert southgate("POST", "/events", {**JOB, "data": {}, "id": "job-7"}).status_code == 202, "ids are one's own"


@SQLITE
def test_an_id_counts_once_when_what_it_said_is_not_kept_any_more(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin)
    first = send("POST", "/events", {**JOB, "id": "job-7"})
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Event).values(body=b""))  # as retention leaves it
    again = send("POST", "/events", {**JOB, "id": "job-7"})
    assert (again.status_code, again.json) == (202, first.json)
    assert send("POST", "/events", {"event": "job.closed", "data": {}, "id": "job-7"}).status_code == 409
    assert len(stored_deliveries(app)) == 1


def test_an_unknown_event_type_is_named(app: Flask, send: Caller) -> None:
    for name in ("job.exploded", "nonsense", "a\x00b", "x" * 3000, "💥.x"):
        found = send.refused("POST", "/events", {"event": name, "data": {}})
        assert name[:100] in found["event"]
    assert stored_events(app) == []


@SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event": ...}, "event"),
        ({"data": ...}, "data"),
        ({"event": 5}, "event"),
        ({"event": ""}, "event"),
        ({"id": "a.b"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-11-21T10:30:00"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_wrong_values_are_named(app: Flask, send: Caller, changes: dict[str, Any], field: str) -> None:
    body = {name: value for name, value in {**JOB, **changes}.items() if value is not ...}
    assert set(send.refused("POST", "/events", body)) == {field}
    assert stored_events(app) == []


@SQLITE
@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"event": "job.created", "data": NaN}', "application/json", 400),
        (b'{"event": "job.created", "data": 1e999}', "application/json", 400),
        (b'{"event": "job.created", "data": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"event=job.created", "application/x-www-form-urlencoded", 415),
        (b'{"event": "job.created", "data": "' + b"x" * 2_000_000 + b'"}', "application/json", 413),
    ],
)
def test_what_is_no_json_object_is_refused(app: Flask, send: Caller, data: bytes, kind: str, status: int) -> None:
    assert send("POST", "/events", data=data, content_type=kind).status_code == status
    assert stored_events(app) == []


@SQLITE
def test_a_body_has_at_most_256_kib(app: Flask, send: Caller) -> None:
    size = len(events.body_of("evt", "job.created", clock.now(), ""))
    fits = {"event": "job.created", "data": "x" * (events.LARGEST - size), "id": "evt"}
    assert send("POST", "/events", fits).status_code == 202
    answer = send("POST", "/events", {**fits, "data": fits["data"] + "x", "id": "new"})
    assert (answer.status_code, answer.json["title"]) == (413, "Event too large")
    assert "256 KiB" in answer.json["detail"]
    answer = send("POST", "/events/batch", {"events": [JOB, {**fits, "data": fits["data"] + "x", "id": "new"}]})
    assert answer.status_code == 413
    assert len(stored_events(app)) == 1


def test_a_batch_is_accepted_in_its_order(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin)
    batch = [{**JOB, "id": f"job-{number}"} for number in range(500)]
    answer = send("POST", "/events/batch", {"events": batch})
    assert answer.status_code == 202
    assert answer.json["events"] == [{"id": f"job-{number}", "deliveries": 1} for number in range(500)]
    assert [each.event_id for each in stored_events(app)] == [each["id"] for each in batch]
    assert len(stored_deliveries(app)) == 500


def test_a_batch_is_stored_whole_or_not_at_all(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin)
    send("POST", "/events", {**JOB, "id": "old"})
    batch = [JOB, {**JOB, "event": "job.exploded"}, {**JOB, "id": "a b"}]
    assert set(send.refused("POST", "/events/batch", {"events": batch})) == {"events.1.event", "events.2.id"}
    assert "job.exploded" in send.refused("POST", "/events/batch", {"events": batch[1:2]})["events.0.event"]
    changed = [JOB, {**JOB, "id": "old", "data": {}}]
    assert send("POST", "/events/batch", {"events": changed}).status_code == 409
    doubled = [{**JOB, "id": "new"}, {**JOB, "id": "new", "data": {}}]
    assert send("POST", "/events/batch", {"events": doubled}).status_code == 409
    assert len(stored_events(app)) == 1
    same = [{**JOB, "id": "new"}, {**JOB, "id": "new"}]
    assert send("POST", "/events/batch", {"events": same}).json["events"] == [{"id": "new", "deliveries": 1}] * 2
    assert len(stored_deliveries(app)) == 2


@SQLITE
def test_a_batch_has_limits(app: Flask, send: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "500" in send.refused("POST", "/events/batch", {"events": [JOB] * 501})["events"]
    assert set(send.refused("POST", "/events/batch", {"events": []})) == {"events"}
    big = {"event": "job.created", "data": "x" * 200_000}
    assert send("POST", "/events/batch", {"events": [big] * 10}).status_code == 202, "more than other requests"
    assert send("POST", "/events/batch", {"events": [big] * 50}).status_code == 413
    assert len(stored_events(app)) == 10


def test_a_key_makes_a_repeat_harmless(app: Flask, team: Team, send: Caller) -> None:
    make_webhook(app, team.admin)
    first, again = keyed(send, "k 1"), keyed(send, "k 1", {"data": JOB["data"], "event": JOB["event"]})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.data == again.data
    assert len(stored_events(app)) == len(stored_deliveries(app)) == 1
    assert keyed(send, "k 2").json["id"] != first.json["id"]
    assert keyed(with_token(app, team), "k 1").json["id"] != first.json["id"], "another application's key"


def test_a_key_stands_for_one_request(app: Flask, send: Caller) -> None:
    keyed(send, "k")
    for answer in (
        keyed(send, "k", {**JOB, "data": {}}),
        keyed(send, "k", {**JOB, "id": "x"}),
        keyed(send, "k", {"events": [JOB]}, "/events/batch"),
    ):
        assert (answer.status_code, answer.json["title"]) == (409, "Key used for another request")
    assert len(stored_events(app)) == 1


def test_a_key_means_something_for_a_day(app: Flask, send: Caller) -> None:
    with time_machine.travel(clock.now(), tick=False) as moved:
        first = keyed(send, "k").json
        moved.shift(timedelta(hours=24) - timedelta(seconds=1))
        assert keyed(send, "k").json == first
        moved.shift(1)
        assert keyed(send, "k", {**JOB, "data": 1}).status_code == 202
        assert len(stored_events(app)) == 2
        assert keyed(send, "k", {**JOB, "data": 1}).status_code == 202
        assert len(stored_events(app)) == 2
        keyed(send, "later")
        moved.shift(timedelta(hours=24))
        with app.app_context():
            assert housekeeping.tidy() >= 2
        assert keys(app) == 0


@SQLITE
def test_a_refusal_leaves_the_key_free(app: Flask, send: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keyed(send, "k", {**JOB, "event": "job.exploded"}).status_code == 422
    with monkeypatch.context() as broken:
        broken.setattr(events, "accept", full)
        assert keyed(send, "k").status_code == 503
    assert (keys(app), stored_events(app)) == (0, [])
    assert keyed(send, "k").status_code == 202


def full(**_: object) -> None:
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


@SQLITE
def test_a_disk_that_fills_up_between_event_and_key_leaves_neither(
    app: Flask, send: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("portal.accounts.idempotency.keep", full)
        assert keyed(send, "k").status_code == 503
    assert (keys(app), stored_events(app)) == (0, [])


@SQLITE
@pytest.mark.parametrize("key", ["", " ", "x" * 256, "käse", "a\tb", " a"])
def test_a_key_is_plain_text(app: Flask, send: Caller, key: str) -> None:
    sent = send.client.open(
        "/api/v1/events", method="POST", json=JOB, headers=send.headers, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key}
    )
    assert sent.status_code == 422
    assert sent.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert stored_events(app) == []


def test_a_key_under_way_is_refused_until_it_is_answered(
    app: Flask, settings: Settings, team: Team, start_app: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same process on both databases, and on PostgreSQL between two."""
    token = make_token(app, team.admin, scopes=["events:write"])
    first = Caller(app, token=token, root="/api/v1")
    second = Caller(app, token=token, root="/api/v1")
    inside, go_on, accept = threading.Event(), threading.Event(), events.accept

    def slow(**wanted: Any) -> Any:
        inside.set()
        assert go_on.wait(20)
        return accept(**wanted)

    monkeypatch.setattr(events, "accept", slow)
    second("POST", "/events", {})  # the last use of the token is noted now, and not while the other one writes
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(keyed, first, "k")
        assert inside.wait(20)
        try:
            answers = [keyed(second, "k")]
            if "postgresql" in settings.database_url:
                monkeypatch.setattr("portal.accounts.idempotency._under_way", set())
                other = start_app(settings)
                answers.append(keyed(Caller(other, token=token, root="/api/v1"), "k"))
                monkeypatch.undo()
        finally:
            go_on.set()
        done = pending.result(timeout=20)
    monkeypatch.undo()
    assert {(each.status_code, each.json["title"]) for each in answers} == {(409, "Still in progress")}
    assert all(each.headers["Retry-After"] == "1" for each in answers)
    assert keyed(second, "k").json == done.json
    assert len(stored_events(app)) == 1


@pytest.mark.parametrize("by_key", [True, False])
def test_many_at_once_make_one_event(app: Flask, team: Team, by_key: bool) -> None:
    """Whether the key or the event's own id says that they are the same."""
    make_webhook(app, team.admin)
    token = make_token(app, team.admin, scopes=["events:write"])
    callers = [Caller(app, token=token, root="/api/v1") for _ in range(8)]
    callers[0]("POST", "/events", {})
    body = JOB if by_key else {**JOB, "id": "job-7"}
    start = threading.Barrier(len(callers))

    def call(send: Caller) -> Reply:
        start.wait(20)
        return send("POST", "/events", body, headers={"Idempotency-Key": "k"} if by_key else {})

    with ThreadPoolExecutor(len(callers)) as pool:
        answers = list(pool.map(call, callers))
    statuses = {each.status_code for each in answers}
    assert statuses <= ({202, 409} if by_key else {202})
    assert len({each.json["id"] for each in answers if each.status_code == 202}) == 1
    assert len(stored_events(app)) == len(stored_deliveries(app)) == 1


@SQLITE
def test_only_tokens_with_the_scope_send_events(app: Flask, team: Team) -> None:
    for caller in (
        Caller(app, browser=Browser(app, team.admin), root="/api/v1"),
        Caller(app, browser=Browser(app, team.owner), root="/api/v1"),
    ):
        answer = caller("POST", "/events", JOB)
        assert (answer.status_code, answer.json["title"]) == (401, "Token required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    wrong = Caller(app, token=make_token(app, team.admin, scopes=["admin"]), root="/api/v1")
    answer = wrong("POST", "/events", JOB)
    assert (answer.status_code, answer.json["title"]) == (403, "Scope missing")
    assert stored_events(app) == []


@SQLITE
def test_the_largest_batch_is_told_to_people(app: Flask) -> None:
    assert "8 MiB" in (event_routes.send_events.__doc__ or "")
    assert event_routes.MOST_BYTES == 8 << 20
