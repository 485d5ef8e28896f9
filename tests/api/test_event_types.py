"""The endpoints of event types, and what a schema lets through."""

from typing import Any

import pytest
from flask import Flask

from portal.webhooks.event_catalogue import KNOWN
from tests.api.conftest import Caller, make_token
from tests.support.integrations import trail
from tests.support.people import Team, make_team
from tests.support.webhooks import make_webhook, stored_events

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
NEW: dict[str, Any] = {
    "name": "invoice.paid", "group": "INVOICES", "description": "Paid", "sample": {"id": "inv_7"}, "schema": SCHEMA,
}  # fmt: skip


@pytest.fixture
def send(app: Flask, team: Team) -> Caller:
    """An application that may send events."""
    return Caller(app, token=make_token(app, team.admin, scopes=["events:write"]), root="/api/v1")


def test_those_that_the_portal_brings_come_first(app: Flask, api: Caller) -> None:
    api("POST", "/event-types", NEW)
    found = api("GET", "/event-types").json
    assert [each["name"] for each in found["items"]] == [*(each.name for each in KNOWN), "invoice.paid"]
    assert found["items"][0]["sample"]["title"] == "Support worker, weekends"
    assert found["items"][-1] == {**NEW, "own": True}
    assert found["next_cursor"] is None
    first = api("GET", "/event-types?limit=20").json
    rest = api("GET", f"/event-types?cursor={first['next_cursor']}").json
    assert first["items"] + rest["items"] == found["items"]


def test_an_event_type_is_added_changed_and_deleted(app: Flask, team: Team, api: Caller, send: Caller) -> None:
    assert send("POST", "/events", {"event": "invoice.paid", "data": {"id": "x"}}).status_code == 422
    answer = api("POST", "/event-types", {"name": "invoice.paid"})
    assert (answer.status_code, answer.json) == (
        201,
        {"name": "invoice.paid", "group": "INVOICE", "description": "", "sample": {}, "schema": None, "own": True},
    )
    assert send("POST", "/events", {"event": "invoice.paid", "data": 5}).status_code == 202
    changed = api("PATCH", "/event-types/invoice.paid", {"schema": SCHEMA, "sample": {"id": "a"}}).json
    assert changed == {**answer.json, "schema": SCHEMA, "sample": {"id": "a"}}
    assert send("POST", "/events", {"event": "invoice.paid", "data": 5}).status_code == 422
    assert api("PATCH", "/event-types/invoice.paid", {"schema": None}).json["schema"] is None
    assert api("DELETE", "/event-types/invoice.paid").status_code == 204
    assert api("DELETE", "/event-types/invoice.paid").status_code == 404
    assert send("POST", "/events", {"event": "invoice.paid", "data": 5}).status_code == 422
    assert len(stored_events(app)) == 1
    assert [each.action for each in trail(app) if each.target_type == "event_type"] == [
        "event_type.created", "event_type.changed", "event_type.changed", "event_type.deleted",
    ]  # fmt: skip


def test_names_are_ones_own_and_taken_once(app: Flask, api: Caller) -> None:
    api("POST", "/event-types", NEW)
    for name in ("invoice.paid", "job.created"):
        answer = api("POST", "/event-types", {"name": name})
        assert answer.status_code == 409
        assert name in answer.json["detail"]
    southgate = Caller(app, token=make_token(app, make_team(app, "Southgate").owner))
    assert southgate("PATCH", "/event-types/invoice.paid", {"description": "x"}).status_code == 404
    assert southgate("POST", "/event-types", NEW).status_code == 201


@SQLITE
def test_what_the_portal_brings_stays(app: Flask, api: Caller) -> None:
    for method, body in (("PATCH", {"description": "x"}), ("DELETE", None)):
        answer = api(method, "/event-types/job.created", body)
        assert answer.status_code == 409
        assert "job.created" in answer.json["detail"]
    assert api("DELETE", "/event-types/%00").status_code == 404


def test_what_a_webhook_names_is_not_deleted(app: Flask, team: Team, api: Caller) -> None:
    api("POST", "/event-types", NEW)
    webhook = make_webhook(app, team.admin, "Ledger", events=["invoice.paid"])
    make_webhook(app, team.admin, "All")
    answer = api("DELETE", "/event-types/invoice.paid")
    assert answer.status_code == 409
    assert "Ledger" in answer.json["detail"]
    api("PATCH", f"/webhooks/{webhook}", {"events": ["job.created"]})
    assert api("DELETE", "/event-types/invoice.paid").status_code == 204


@SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "invoice"}, "name"),
        ({"name": "Invoice.paid"}, "name"),
        ({"name": "a.b.c.d.e"}, "name"),
        ({"name": f"{'a' * 40}.{'b' * 40}.{'c' * 40}"}, "name"),
        ({"group": "x" * 61}, "group"),
        ({"description": "x" * 301}, "description"),
        ({"sample": "x" * 70_000}, "sample"),
        ({"sample": {"id": 5}}, "sample"),
        ({"sample": {"id": "a\x00"}}, "sample"),
        ({"schema": {"type": "nonsense"}}, "schema"),
        ({"schema": {"$ref": "#/nowhere"}}, "schema"),
        ({"schema": {"$schema": "http://evil.example/"}}, "schema"),
        ({"schema": {"pattern": "(?<=a)b"}}, "schema"),
        ({"schema": {"title": "x" * 70_000}}, "schema"),
        ({"schema": []}, "schema"),
    ],
)
def test_wrong_values_are_named(app: Flask, api: Caller, changes: dict[str, Any], field: str) -> None:
    assert set(api.refused("POST", "/event-types", {**NEW, **changes})) == {field}
    assert len(api("GET", "/event-types").json["items"]) == len(KNOWN)


@SQLITE
@pytest.mark.parametrize("target", ["http://127.0.0.1:1/schema.json", "file:///etc/passwd", "https://example.org/s"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_schema_fetches_nothing(app: Flask, api: Caller, target: str, deep: bool) -> None:
    schema = {"properties": {"a": {"anyOf": [{"$ref": target}]}}} if deep else {"$ref": target}
    assert "nothing is fetched" in api.refused("POST", "/event-types", {**NEW, "schema": schema})["schema"]
    api("POST", "/event-types", NEW)
    assert set(api.refused("PATCH", "/event-types/invoice.paid", {"schema": schema})) == {"schema"}


def test_a_misfit_says_where_it_is(app: Flask, api: Caller, send: Caller) -> None:
    api("POST", "/event-types", NEW)
    found = send.refused("POST", "/events", {"event": "invoice.paid", "data": {"id": 5}})
    assert set(found) == {"data.id"}
    assert "string" in found["data.id"]
    batch = [{"event": "job.created", "data": 1}, {"event": "invoice.paid", "data": {}}]
    assert set(send.refused("POST", "/events/batch", {"events": batch})) == {"events.1.data"}
    assert stored_events(app) == []
    long = send.refused("POST", "/events", {"event": "invoice.paid", "data": "x" * 100_000})["data"]
    assert len(long) < 300
