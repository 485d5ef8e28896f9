"""The endpoints of webhooks: create, show, change, delete, secrets, test, retry policy."""

import base64
import uuid
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal import clock
from portal.database import reading
from portal.webhooks import service, testing
from portal.webhooks.errors import ConflictError
from portal.webhooks.models import Webhook
from tests.api.conftest import Caller
from tests.api.things import NOBODY_LISTENS
from tests.support.integrations import trail
from tests.support.people import Browser, Team
from tests.support.webhooks import (
    URL,
    make_delivery,
    make_webhook,
    send,
    stored_deliveries,
    stored_events,
    stored_webhook,
)

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SECRET_HEADER = {"X-Api-Key": "hEaDeR-77c1e0b2"}
NEW: dict[str, Any] = {"name": "Payroll", "url": URL, "events": ["job.closed", "job.created"]}
POLICY = {
    "max_retries": 3, "retry_strategy": "exponential", "fixed_delay_seconds": 5, "max_delay_seconds": 60,
    "enable_jitter": True, "enable_dlq": True,
}  # fmt: skip


def headers_of(app: Flask, webhook_id: str) -> dict[str, str]:
    with app.app_context(), reading() as session:
        return service.custom_headers(session.get_one(Webhook, uuid.UUID(webhook_id)))


@pytest.fixture
def stale(app: Flask, team: Team) -> Caller:
    """A page's script whose admin confirmed who they are long ago."""
    browser = Browser(app, team.admin)
    browser.forget_confirmation()
    return Caller(app, browser=browser)


def test_a_webhook_is_made_with_its_secret_in_full_this_once(app: Flask, team: Team, api: Caller) -> None:
    answer = api("POST", "/webhooks", NEW)
    assert answer.status_code == 201
    made = answer.json
    assert made["secret"].startswith("whsec_")
    assert len(base64.b64decode(made["secret"][6:], validate=True)) == 32
    assert {name: made[name] for name in NEW} == NEW
    assert (made["status"], made["ordered"], made["rate_limit"], made["retry"]) == ("active", False, None, None)
    shown = api("GET", f"/webhooks/{made['id']}").json
    assert shown == {**made, "secret": f"••••{made['secret'][-4:]}"}
    assert api("GET", "/webhooks").json == {"items": [shown], "next_cursor": None}
    assert [each.action for each in trail(app, "webhook.created")] == ["webhook.created"]


def test_a_webhook_keeps_all_that_it_was_given(app: Flask, api: Caller) -> None:
    more = {
        "status": "disabled", "custom_headers": SECRET_HEADER, "filters": {"state": ["NSW", "VIC"]}, "ordered": True,
        "rate_limit": 20.0, "retry": {"max_retries": 5},
    }  # fmt: skip
    made = api("POST", "/webhooks", {**NEW, "events": ["job.created", "*"], **more}).json
    assert (made["status"], made["events"], made["ordered"], made["rate_limit"]) == ("disabled", ["*"], True, 20)
    assert (made["custom_headers"], made["filters"]) == ({"X-Api-Key": "••••"}, {"state": ["NSW", "VIC"]})
    assert made["retry"] == {**POLICY, "max_retries": 5}
    assert headers_of(app, made["id"]) == SECRET_HEADER


@SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"url": "https://user:word@example.org/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["job.exploded"]}, "events"),
        ({"status": "off"}, "status"),
        ({"custom_headers": {"webhook-id": "x"}}, "custom_headers"),
        ({"custom_headers": {"X-Key": "a\nb"}}, "custom_headers"),
        ({"custom_headers": {"X-Key": 5}}, "custom_headers.X-Key"),
        ({"custom_headers": {"X-Key": "••••1234"}}, "custom_headers.X-Key"),
        ({"filters": {"a..b": 1}}, "filters"),
        ({"filters": {"a": {"b": 1}}}, "filters"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"retry": {"max_retries": 11}}, "retry.max_retries"),
        ({"retry": {"fixed_delay_seconds": 90}}, "retry.max_delay_seconds"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_wrong_values_are_named(app: Flask, team: Team, api: Caller, changes: dict[str, Any], field: str) -> None:
    there = make_webhook(app, team.admin)
    assert set(api.refused("POST", "/webhooks", {**NEW, **changes})) == {field}
    assert set(api.refused("PATCH", f"/webhooks/{there}", changes)) == {field}
    assert len(api("GET", "/webhooks").json["items"]) == 1
    assert trail(app, "webhook.changed") == []


def test_a_name_without_control_characters_is_stored(app: Flask, api: Caller) -> None:
    assert api("POST", "/webhooks", {**NEW, "name": "Pay\x00roll"}).json["name"] == "Payroll"


def test_a_change_leaves_what_it_does_not_name(app: Flask, api: Caller) -> None:
    more = {"custom_headers": SECRET_HEADER, "filters": {"a": 1}, "rate_limit": 5, "retry": {}, "ordered": True}
    made = api("POST", "/webhooks", {**NEW, **more}).json
    path = f"/webhooks/{made['id']}"
    changed = api("PATCH", path, {"name": "Wages"}).json
    made = {**made, "secret": changed["secret"], "name": "Wages", "updated_at": changed["updated_at"]}
    assert changed == made
    emptied = {"custom_headers": None, "filters": None, "rate_limit": None, "retry": None}
    changed = api("PATCH", path, emptied).json
    assert changed == {**made, **emptied, "custom_headers": {}, "updated_at": changed["updated_at"]}
    assert headers_of(app, made["id"]) == {}


def test_headers_are_merged(app: Flask, api: Caller) -> None:
    made = api("POST", "/webhooks", {**NEW, "custom_headers": {"X-A": "a", "X-B": "b", "X-C": "c"}}).json
    api("PATCH", f"/webhooks/{made['id']}", {"custom_headers": {"X-A": "", "X-B": None, "X-D": "d"}})
    assert headers_of(app, made["id"]) == {"X-A": "a", "X-C": "c", "X-D": "d"}
    api("PATCH", f"/webhooks/{made['id']}", {"custom_headers": {"X-A": ""}, "name": "Other"})
    assert headers_of(app, made["id"]) == {"X-A": "a", "X-C": "c", "X-D": "d"}


@SQLITE
def test_a_session_replaces_or_redirects_headers_only_right_after_a_confirmation(
    app: Flask, team: Team, api: Caller, stale: Caller
) -> None:
    webhook = make_webhook(app, team.admin, custom_headers=SECRET_HEADER)
    elsewhere = {"url": "https://elsewhere.example.org/"}
    for body in ({"custom_headers": {"X-Api-Key": "other"}}, {"custom_headers": None}, elsewhere):
        answer = stale("PATCH", f"/webhooks/{webhook}", body)
        assert (answer.status_code, answer.json["title"]) == (403, "Recent authentication required")
    assert headers_of(app, str(webhook)) == SECRET_HEADER
    assert stored_webhook(app, webhook).url == URL
    assert stale("PATCH", f"/webhooks/{webhook}", {"name": "Wages", "url": URL}).status_code == 200
    assert api("PATCH", f"/webhooks/{webhook}", elsewhere).status_code == 200
    bare = make_webhook(app, team.admin)
    assert stale("PATCH", f"/webhooks/{bare}", elsewhere).status_code == 200, "nothing travels along"


def test_a_disabled_webhook_gets_nothing_and_an_active_one_does(app: Flask, team: Team, api: Caller) -> None:
    webhook = make_webhook(app, team.admin)
    assert api("PATCH", f"/webhooks/{webhook}", {"status": "disabled"}).json["status"] == "disabled"
    send(app, team.admin)
    assert api("PATCH", f"/webhooks/{webhook}", {"status": "active"}).json["status"] == "active"
    send(app, team.admin)
    assert len(stored_deliveries(app)) == 1
    assert [list(each.decisions.values()) for each in stored_events(app)] == [["disabled"], []]


def test_filters_decide_on_the_data(app: Flask, team: Team, api: Caller) -> None:
    wanted = {"status": "open", "place.state": ["NSW", "VIC"], "tags.name": "urgent"}
    made = api("POST", "/webhooks", {**NEW, "events": ["*"], "filters": wanted}).json
    fits = {"status": "open", "place": {"state": "VIC"}, "tags": [{"name": "new"}, {"name": "urgent"}]}
    send(app, team.admin, data=fits)
    for data in ({**fits, "status": "closed"}, {**fits, "place": {}}, {**fits, "tags": []}, [fits, 1], "text", None):
        send(app, team.admin, data=[] if data is None else data)
    found = [each.decisions.get(made["id"]) for each in stored_events(app)]
    assert found == [None, "filtered", "filtered", "filtered", None, "filtered", "filtered"]
    assert len(stored_deliveries(app)) == 2


def test_a_deleted_webhook_is_gone_with_its_secrets(app: Flask, team: Team, api: Caller) -> None:
    webhook = make_webhook(app, team.admin, custom_headers=SECRET_HEADER)
    delivery = make_delivery(app, team.admin, webhook)
    assert api("DELETE", f"/webhooks/{webhook}").status_code == 204
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries")):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        assert api(method, f"/webhooks/{webhook}{path}", body).status_code == 404
    assert api("GET", "/webhooks").json["items"] == []
    row = stored_webhook(app, webhook)
    assert (row.secret_sealed, row.headers_sealed) == (b"", None)
    assert api("GET", f"/deliveries/{delivery}").json["webhook_id"] == str(webhook), "the history stays"


def test_webhooks_come_in_pages(app: Flask, team: Team, api: Caller) -> None:
    made = [str(make_webhook(app, team.admin, f"Number {number}")) for number in range(5)][::-1]
    first = api("GET", "/webhooks?limit=2").json
    second = api("GET", f"/webhooks?limit=2&cursor={first['next_cursor']}").json
    third = api("GET", f"/webhooks?limit=2&cursor={second['next_cursor']}").json
    assert [each["id"] for page in (first, second, third) for each in page["items"]] == made
    assert third["next_cursor"] is None
    assert set(api.refused("GET", "/webhooks?cursor=WyJ4Il0")) == {"cursor"}


def test_a_secret_is_revealed_to_a_session_that_just_confirmed(
    app: Flask, team: Team, api: Caller, by_session: Caller
) -> None:
    made = api("POST", "/webhooks", NEW).json
    path = f"/webhooks/{made['id']}/secret/reveal"
    assert by_session("POST", path).json == {"secret": made["secret"]}
    (entry,) = trail(app, "webhook.secret_revealed")
    assert (entry.actor_kind, entry.target_name) == ("user", "Payroll")
    answer = api("POST", path)
    assert (answer.status_code, answer.json["title"]) == (403, "Session required")


@SQLITE
def test_secrets_ask_for_a_confirmation(app: Flask, team: Team, stale: Caller) -> None:
    webhook = make_webhook(app, team.admin)
    before = stored_webhook(app, webhook).secret_sealed
    for action in ("reveal", "rotate"):
        answer = stale("POST", f"/webhooks/{webhook}/secret/{action}")
        assert (answer.status_code, answer.json["title"]) == (403, "Recent authentication required")
    assert stored_webhook(app, webhook).secret_sealed == before
    assert trail(app, "webhook.secret_revealed") == []


def test_the_secret_before_signs_for_a_day_more(app: Flask, api: Caller, by_session: Caller) -> None:
    made = api("POST", "/webhooks", NEW).json
    now = clock.now()
    with time_machine.travel(now, tick=False):
        new = api("POST", f"/webhooks/{made['id']}/secret/rotate").json["secret"]
        shown = api("GET", f"/webhooks/{made['id']}").json
        assert shown["previous_secret_until"][:19] == (now + service.OVERLAP).isoformat()[:19]
        with app.app_context(), reading() as session:
            row = session.get_one(Webhook, uuid.UUID(made["id"]))
            assert service.signing_secrets(row, now) == [new, made["secret"]]
    assert by_session("POST", f"/webhooks/{made['id']}/secret/reveal").json == {"secret": new}
    with time_machine.travel(now + service.OVERLAP):
        assert api("GET", f"/webhooks/{made['id']}").json["previous_secret_until"] is None


@SQLITE
def test_a_test_answers_the_delivery_with_its_attempt(app: Flask, team: Team, api: Caller) -> None:
    webhook = make_webhook(app, team.admin, url=NOBODY_LISTENS)
    found = api("POST", f"/webhooks/{webhook}/test", {"event_type": "job.created", "data": {"id": "job_9"}}).json
    assert (found["webhook_id"], found["event_type"], found["attempt_number"]) == (str(webhook), "job.created", 1)
    assert found["payload"]["data"] == {"id": "job_9"}
    (attempt,) = found["attempts"]
    assert (attempt["error_class"], attempt["response_status"]) == ("refused", None)
    assert attempt["request_headers"]["webhook-id"] == found["event_id"]
    sample = api("POST", f"/webhooks/{webhook}/test", {"event_type": "job.created"}).json["payload"]["data"]
    assert sample["title"] == "Support worker, weekends"


@SQLITE
def test_a_test_refuses_what_it_cannot_send(
    app: Flask, team: Team, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/webhooks/{make_webhook(app, team.admin)}/test"
    assert "job.exploded" in api.refused("POST", path, {"event_type": "job.exploded"})["event_type"]
    assert set(api.refused("POST", path, {})) == {"event_type"}
    big = {"event_type": "job.created", "data": "x" * 300_000}
    assert api("POST", path, big).status_code == 413
    assert api("POST", f"/webhooks/{uuid.uuid4()}/test", {"event_type": "job.created"}).status_code == 404

    def busy(**_: object) -> None:
        raise ConflictError("Several tests are running. Try again in some seconds.")

    monkeypatch.setattr(testing, "send_test", busy)
    answer = api("POST", path, {"event_type": "job.created"})
    assert (answer.status_code, answer.json["detail"][:18]) == (409, "Several tests are ")


def test_the_retry_policy_is_set_as_a_whole(app: Flask, api: Caller) -> None:
    assert api("GET", "/retry-config").json == POLICY
    mine = {
        "max_retries": 7, "retry_strategy": "linear", "fixed_delay_seconds": 30, "max_delay_seconds": 600,
        "enable_jitter": False, "enable_dlq": False,
    }  # fmt: skip
    assert api("PUT", "/retry-config", mine).json == mine
    assert api("GET", "/retry-config").json == mine
    assert api("PUT", "/retry-config", {"max_retries": 4}).json == {**POLICY, "max_retries": 4}
    assert len(trail(app, "policy.changed")) == 2


@SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_retries": 0}, "max_retries"),
        ({"max_retries": 11}, "max_retries"),
        ({"retry_strategy": "random"}, "retry_strategy"),
        ({"fixed_delay_seconds": 0}, "fixed_delay_seconds"),
        ({"max_delay_seconds": 86401}, "max_delay_seconds"),
        ({"max_delay_seconds": 4}, "max_delay_seconds"),
        ({"enable_jitter": "yes"}, "enable_jitter"),
        ({"enable_dlq": None}, "enable_dlq"),
        ({"jitter": True}, "jitter"),
    ],
)
def test_a_wrong_policy_is_named(app: Flask, api: Caller, changes: dict[str, Any], field: str) -> None:
    assert set(api.refused("PUT", "/retry-config", {**POLICY, **changes})) == {field}
    assert api("GET", "/retry-config").json == POLICY
