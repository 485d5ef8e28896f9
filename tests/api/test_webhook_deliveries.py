"""The endpoints of deliveries and dead letters: lists, attempts, sending again one by one and many at once."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.database import new_id, on_wake, reading, unit_of_work
from portal.paging import encode_cursor
from portal.webhooks import run_job, runs
from portal.webhooks.events import WAKE
from portal.webhooks.models import Delivery, DeliveryStatus, Event
from tests.api.conftest import Caller
from tests.support.integrations import trail
from tests.support.people import Team
from tests.support.webhooks import dead, make_delivery, make_webhook, send, stored_deliveries

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def webhook(app: Flask, team: Team) -> uuid.UUID:
    """A webhook that gets every event."""
    return make_webhook(app, team.admin)


def delivery(app: Flask, delivery_id: uuid.UUID) -> Delivery:
    with app.app_context(), reading() as session:
        return session.get_one(Delivery, delivery_id)


def failed() -> dict[str, Any]:
    return {"attempts": 1, "status": DeliveryStatus.FAILED, "due_at": None, "error_class": "http_400"}


@SQLITE
def test_a_delivery_is_shown_with_what_it_carries_and_its_attempts(
    app: Flask, team: Team, api: Caller, webhook: uuid.UUID
) -> None:
    due = clock.now() + timedelta(seconds=30)
    row = make_delivery(app, team.admin, webhook, attempts=2, due_at=due, response_status=500, duration_ms=12)
    found = api("GET", f"/deliveries/{row}").json
    assert (found["id"], found["webhook_id"], found["status"]) == (str(row), str(webhook), "pending")
    assert (found["attempt_number"], found["response_status"], found["duration_ms"]) == (2, 500, 12)
    assert found["payload"]["event"] == found["event_type"] == "job.created"
    assert found["payload"]["id"] == found["event_id"]
    assert found["next_retry_at"] == due.isoformat().replace("+00:00", "Z")
    newest = found["attempts"][0]
    assert [each["attempt_number"] for each in found["attempts"]] == [2, 1]
    assert (newest["response_body"], newest["request_headers"]) == ("café �", {"webhook-id": "evt_1"})
    assert (newest["error"], newest["response_status"]) == ("The receiver answered 500.", 500)
    listed = api("GET", "/deliveries").json["items"]
    assert listed == [{name: value for name, value in found.items() if name != "attempts"}]


@SQLITE
def test_a_delivery_under_way_names_no_next_attempt(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    row = make_delivery(app, team.admin, webhook, lease_token=new_id())
    assert api("GET", f"/deliveries/{row}").json["next_retry_at"] is None


@SQLITE
def test_a_body_that_is_not_kept_any_more_is_null(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    row = make_delivery(app, team.admin, webhook)
    with app.app_context(), unit_of_work() as session:
        session.scalars(select(Event)).one().body = b""
    assert api("GET", f"/deliveries/{row}").json["payload"] is None


def test_deliveries_are_narrowed_and_paged(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    other = make_webhook(app, team.admin, "Other", events=["job.closed"])
    mine = [str(make_delivery(app, team.admin, webhook)) for _ in range(3)][::-1]
    event_id = send(app, team.admin, "job.closed")
    dead_one = str(make_delivery(app, team.admin, webhook, **dead()))

    def ids(query: str, path: str = "/deliveries") -> list[str]:
        return [each["id"] for each in api("GET", f"{path}?{query}").json["items"]]

    assert len(ids("")) == 6
    (theirs,) = ids("", f"/webhooks/{other}/deliveries")
    assert ids(f"webhook_id={other}") == [theirs]
    assert ids("status=dlq") == [dead_one]
    assert theirs in ids("event_type=job.closed")
    assert len(ids(f"event_id={event_id}")) == 2
    assert ids("event_type=%00", f"/webhooks/{webhook}/deliveries") == ids("", f"/webhooks/{webhook}/deliveries")
    assert len(ids("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")) == 6
    assert ids("until=2020-01-01T00:00:00Z") == ids("since=2999-01-01T00:00:00Z") == []
    first = api("GET", f"/webhooks/{webhook}/deliveries?limit=3").json
    rest = api("GET", f"/webhooks/{webhook}/deliveries?limit=3&cursor={first['next_cursor']}").json
    assert [each["id"] for each in first["items"] + rest["items"]][2:] == mine
    assert rest["next_cursor"] is None


@SQLITE
def test_bad_filters_are_named(app: Flask, api: Caller, webhook: uuid.UUID) -> None:
    assert set(api.refused("GET", "/deliveries?webhook_id=x")) == {"webhook_id"}
    assert set(api.refused("GET", "/dlq?webhook_id=x")) == {"webhook_id"}
    assert set(api.refused("GET", "/deliveries?status=lost")) == {"status"}
    for cursor in ("x", encode_cursor("x"), encode_cursor("1", "2")):
        for path in ("/deliveries", f"/webhooks/{webhook}/deliveries", "/dlq"):
            assert set(api.refused("GET", f"{path}?cursor={cursor}")) == {"cursor"}


def test_a_delivery_is_sent_again(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    row = make_delivery(app, team.admin, webhook, **failed())
    woken: list[bool] = []
    off = on_wake(WAKE, lambda: woken.append(True))
    try:
        answer = api("POST", f"/deliveries/{row}/replay")
    finally:
        off()
    assert (answer.status_code, answer.json["status"], answer.json["attempt_number"]) == (202, "pending", 1)
    assert woken
    stored = delivery(app, row)
    assert stored.due_at is not None
    assert stored.due_at <= clock.now()
    assert len(trail(app, "webhook.delivery_replayed")) == 1


@SQLITE
def test_what_cannot_be_sent_again_now_says_why(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    later = clock.now() + timedelta(seconds=30)
    under_way = make_delivery(app, team.admin, webhook, lease_token=new_id(), due_at=later)
    over = make_delivery(app, team.admin, webhook, **failed())
    answer = api("POST", f"/deliveries/{under_way}/replay")
    assert answer.status_code == 409
    assert "under way" in answer.json["detail"]
    api("PATCH", f"/webhooks/{webhook}", {"status": "disabled"})
    for path, body in (
        (f"/deliveries/{over}/replay", None),
        (f"/webhooks/{webhook}/replay", {"since": "2020-01-01T00:00:00Z"}),
    ):
        answer = api("POST", path, body)
        assert answer.status_code == 409
        assert "disabled" in answer.json["detail"]
    assert delivery(app, over).status == "failed"


def test_a_range_is_sent_again_by_a_run(
    app: Flask, team: Team, api: Caller, webhook: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    start = clock.now()
    rows: dict[str, list[uuid.UUID]] = {"failed": [], "success": [], "old": [], "waits": []}
    for number in range(3):
        at: dict[str, Any] = {"created_at": start + timedelta(seconds=number)}
        rows["failed"] += [make_delivery(app, team.admin, webhook, **failed(), **at)]
        rows["failed"] += [make_delivery(app, team.admin, webhook, **dead(), **at)]
        rows["success"] += [make_delivery(app, team.admin, webhook, status=DeliveryStatus.SUCCESS, due_at=None, **at)]
        rows["waits"] += [make_delivery(app, team.admin, webhook, due_at=start + timedelta(hours=1), **at)]
    rows["old"] += [make_delivery(app, team.admin, webhook, **failed(), created_at=start - timedelta(minutes=1))]
    other = make_webhook(app, team.admin, "Other")
    rows["old"] += [make_delivery(app, team.admin, other, **failed(), created_at=start)]
    path, since = f"/webhooks/{webhook}/replay", start.isoformat()
    with time_machine.travel(start + timedelta(minutes=5), tick=False):
        early = {"since": since, "until": (start + timedelta(seconds=1)).isoformat()}
        assert worked(app, api, path, early) == 2
        answer = api("POST", path, {"since": since})
        run = answer.json
        assert (answer.status_code, run["total"], run["done"], run["state"]) == (202, 4, 0, "running")
        assert api("POST", path, {"since": since}).json == run, "asked twice, it is done once"
        with app.app_context():
            assert run_job.work_off(1) == 2
        half = api("GET", f"/replay-runs/{run['id']}").json
        assert (half["done"], half["state"], half["webhook_id"]) == (2, "running", str(webhook))
        assert worked(app, api, path, {"since": since}) == 2, "the rest of it"
        assert api("GET", f"/replay-runs/{run['id']}").json["state"] == "finished"
        nothing = api("POST", path, {"since": since}).json
        assert (nothing["id"], nothing["total"], nothing["state"]) == (None, 0, "finished")
        assert {delivery(app, each).status for each in rows["failed"]} == {"pending"}
        assert {delivery(app, each).status for each in rows["success"]} == {"success"}
        assert {delivery(app, each).due_at for each in rows["waits"]} == {start + timedelta(hours=1)}
        assert {delivery(app, each).status for each in rows["old"]} == {"failed"}
        assert worked(app, api, path, {"since": since, "status": "success", "events": ["job.closed"]}) == 0
        assert worked(app, api, path, {"since": since, "status": "success"}) == 3
    assert len(trail(app, "webhook.replay_started")) == 3
    assert sum(each.after["sent"] for each in trail(app, "webhook.replay_finished") if each.after) == 9


def worked(app: Flask, api: Caller, path: str, body: dict[str, Any]) -> int:
    """Ask for a replay; return how many deliveries that made due."""
    assert api("POST", path, body).status_code == 202
    with app.app_context():
        return run_job.work_off()


def test_events_that_a_webhook_did_not_get_are_sent_to_it(app: Flask, team: Team, api: Caller) -> None:
    since = clock.now().isoformat()
    sent = [send(app, team.admin) for _ in range(3)]
    late = make_webhook(app, team.admin, "Late")
    path = f"/webhooks/{late}/replay"
    answer = api("POST", f"/events/{sent[1]}/send", {"webhook_id": str(late)})
    assert (answer.status_code, answer.json["event_id"], answer.json["status"]) == (202, sent[1], "pending")
    again = api("POST", f"/events/{sent[1]}/send", {"webhook_id": str(late)})
    assert (again.status_code, "on its way" in again.json["detail"]) == (409, True)
    assert worked(app, api, path, {"since": since, "status": "missing", "events": ["job.closed"]}) == 0
    assert worked(app, api, path, {"since": since, "status": "missing"}) == 2
    found = api("GET", f"/webhooks/{late}/deliveries").json["items"]
    assert [each["event_id"] for each in found] == [sent[2], sent[0], sent[1]]
    assert worked(app, api, path, {"since": since, "status": "missing"}) == 0
    for event_id, to in (("evt_none", late), (sent[0], uuid.uuid4())):
        assert api("POST", f"/events/{event_id}/send", {"webhook_id": str(to)}).status_code == 404
    assert set(api.refused("POST", f"/events/{sent[0]}/send", {"webhook_id": "x"})) == {"webhook_id"}
    assert api("GET", f"/replay-runs/{uuid.uuid4()}").status_code == 404


@SQLITE
def test_a_range_needs_a_start(app: Flask, api: Caller, webhook: uuid.UUID) -> None:
    path = f"/webhooks/{webhook}/replay"
    assert set(api.refused("POST", path, {})) == {"since"}
    assert set(api.refused("POST", path, {"since": "yesterday"})) == {"since"}
    since = {"since": "2026-01-01T00:00:00Z"}
    assert set(api.refused("POST", path, {**since, "until": "2026-01-01"})) == {"until"}
    assert set(api.refused("POST", path, {**since, "until": "2026-01-01T00:00:00Z"})) == {"until"}
    assert set(api.refused("POST", path, {**since, "status": "pending"})) == {"status"}
    far = {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}
    assert api("POST", path, far).json["total"] == 0
    assert api("POST", path, {**far, "status": "missing"}).json["total"] == 0


def test_dead_letters_are_listed_with_their_cause(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    make_delivery(app, team.admin, webhook, **failed())
    first = make_delivery(app, team.admin, webhook, **dead())
    second = make_delivery(app, team.admin, webhook, **dead("timeout"))
    own = make_delivery(app, team.admin, webhook, **dead("internal"))
    found = api("GET", "/dlq").json["items"]
    assert [each["id"] for each in found] == [str(second), str(first)]
    assert (found[1]["error"], found[1]["error_class"]) == ("The receiver answered 500.", "http_500")
    assert found[1]["gave_up_at"] is not None
    assert found[1]["payload"]["data"] == {"id": "job_1"}

    def ids(query: str) -> list[str]:
        return [each["id"] for each in api("GET", f"/dlq?{query}").json["items"]]

    assert ids("cause=5xx") == ids("cause=http_500") == [str(first)]
    assert ids("internal=true") == [str(own)]
    assert ids(f"webhook_id={uuid.uuid4()}") == ids("since=2999-01-01T00:00:00Z") == []
    page = api("GET", "/dlq?limit=1").json
    assert [each["id"] for each in api("GET", f"/dlq?cursor={page['next_cursor']}").json["items"]] == [str(first)]


def test_a_dead_letter_is_retried_or_discarded(app: Flask, team: Team, api: Caller, webhook: uuid.UUID) -> None:
    retried = make_delivery(app, team.admin, webhook, **dead())
    discarded = make_delivery(app, team.admin, webhook, **dead())
    answer = api("POST", f"/dlq/{retried}/retry")
    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    assert api("DELETE", f"/dlq/{discarded}").status_code == 204
    assert delivery(app, discarded).status == "failed"
    assert api("GET", "/dlq").json["items"] == []
    for method, path in (("POST", f"/dlq/{retried}/retry"), ("DELETE", f"/dlq/{discarded}")):
        assert api(method, path).status_code == 409
    assert api("POST", f"/dlq/{uuid.uuid4()}/retry").status_code == 404


@pytest.mark.parametrize("body", [None, {}, {"cause": "timeout"}])
def test_many_dead_letters_are_retried(
    app: Flask, team: Team, api: Caller, webhook: uuid.UUID, body: dict[str, Any] | None
) -> None:
    for cause in ("timeout", "http_500", "timeout"):
        make_delivery(app, team.admin, webhook, **dead(cause))
    answer = api("POST", "/dlq/retry", body)
    count = 2 if body else 3
    assert (answer.status_code, answer.json["deliveries"]) == (202, count)
    with app.app_context():
        assert run_job.work_off() == count
    run = api("GET", f"/replay-runs/{answer.json['run_id']}").json
    assert (run["action"], run["state"], run["done"], run["webhook_id"]) == ("retry", "finished", count, None)
    assert [each.status for each in stored_deliveries(app)].count(DeliveryStatus.PENDING) == count


@SQLITE
def test_the_body_of_many_retries_is_checked(app: Flask, api: Caller) -> None:
    assert set(api.refused("POST", "/dlq/retry", {"since": "yesterday"})) == {"since"}
    assert set(api.refused("POST", "/dlq/retry", {"webhook_id": "x"})) == {"webhook_id"}
    assert set(api.refused("POST", "/dlq/retry", {"surplus": 1})) == {"surplus"}
    assert api("POST", "/dlq/retry", data="cause=timeout").status_code == 415
