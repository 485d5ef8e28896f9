"""The endpoints of event types, and what a schema lets through."""

import threading
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.database import reading, unit_of_work
from portal.webhooks import event_types, schemas
from portal.webhooks.errors import ConflictError
from portal.webhooks.event_catalogue import KNOWN
from portal.webhooks.event_types import Draft
from portal.webhooks.models import EventType
from tests.api.conftest import Caller, make_token
from tests.support.integrations import trail
from tests.support.people import Team, make_team
from tests.support.webhooks import make_webhook, stored_events

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
NEW: dict[str, Any] = {
    "name": "invoice.paid", "group": "INVOICES", "description": "Paid", "sample": {"id": "inv_7"}, "schema": SCHEMA,
}  # fmt: skip


def nested(depth: int) -> dict[str, Any]:
    return {"not": nested(depth - 1)} if depth else {}


def doubled(depth: int) -> dict[str, Any]:
    """Return a schema of a few lines that takes a value 2 to the power of the depth times."""
    steps = {f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{depth}": {}}}


HOSTILE: dict[str, dict[str, Any]] = {
    "around in a circle": {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
    "to itself": {"$ref": "#"},
    "by an anchor": {"$anchor": "top", "items": {"allOf": [{"$ref": "#top"}] * 2}},
    "by a dynamic reference": {"$dynamicAnchor": "top", "items": {"allOf": [{"$dynamicRef": "#top"}] * 2}},
    "by an address of its own": {"$defs": {"a": {"$id": "https://a.example/", "not": {"$ref": "#"}}}},
    "doubled": doubled(40),
    "a long pattern": {"pattern": "^[01]*1[01]{5000}2"},
    "many patterns": {"allOf": [{"pattern": f"^[01]*1[01]{{{number}}}2"} for number in range(200, 240)]},
    "many keys with patterns": {"patternProperties": {f"[01]*1[01]{{{number}}}2": {} for number in range(200, 240)}},
    "many alternatives": {"items": {"anyOf": [{"const": number} for number in range(1000)]}},
    "many values": {"items": {"enum": [{"a": number} for number in range(1000)]}},
    "uniqueness": {"items": {"allOf": [{"uniqueItems": True}] * 100}},
    "a long way": {
        "$ref": "#/$defs/d0",
        "$defs": {f"d{number}": {"$ref": f"#/$defs/d{(number + 1) % 1500}"} for number in range(1500)},
    },
}


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
        ({"schema": nested(300)}, "schema"),
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


@SQLITE
@pytest.mark.parametrize("name", HOSTILE)
def test_a_schema_that_could_take_long_is_refused(app: Flask, api: Caller, name: str) -> None:
    """A validator cannot be interrupted, and holds up the whole process."""
    new = {**NEW, "sample": 1, "schema": HOSTILE[name]}
    found = api.refused("POST", "/event-types", new)
    assert set(found) == {"schema"}


@SQLITE
def test_a_rich_schema_is_no_hostile_one(app: Flask, api: Caller, send: Caller) -> None:
    code = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}
    email = {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}
    person = {"type": "object", "properties": {"id": {"$ref": "#/$defs/code"}, "mail": {"$ref": "#/$defs/mail"}}}
    people = {f"person{number}": {"$ref": "#/$defs/person"} for number in range(10)}
    places = {f"place{number}": {"enum": ["a", "b", "c"]} for number in range(20)}
    defs = {"code": code, "mail": email, "person": person}
    schema = {"type": "object", "properties": {**people, **places}, "$defs": defs, "additionalProperties": False}
    assert api("POST", "/event-types", {**NEW, "sample": {"place1": "b"}, "schema": schema}).status_code == 201
    wrong = {"person3": {"id": "x"}}
    assert set(send.refused("POST", "/events", {"event": "invoice.paid", "data": wrong})) == {"data.person3.id"}


@SQLITE
def test_the_first_misfit_is_enough(app: Flask, api: Caller, send: Caller) -> None:
    """To collect all of them would take minutes."""
    schema = {"items": {"anyOf": [{"const": -number} for number in range(1, 100)]}}
    api("POST", "/event-types", {**NEW, "sample": [], "schema": schema})
    found = send.refused("POST", "/events", {"event": "invoice.paid", "data": [7] * 60_000})
    assert set(found) == {"data.0"}


@SQLITE
def test_a_batch_that_takes_too_long_is_refused(
    app: Flask, api: Caller, send: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    api("POST", "/event-types", NEW)
    monkeypatch.setattr(schemas, "SECONDS", -1.0)
    batch = [{"event": "job.created", "data": 1}, {"event": "invoice.paid", "data": {"id": "a"}}]
    assert send.refused("POST", "/events/batch", {"events": batch}) == {"events.1.data": schemas.TOO_LONG}
    assert stored_events(app) == []


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_of_two_who_add_the_same_type_at_once_one_is_told_so(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is stored between the look at what there is and the write."""
    now = clock.now

    def other_first() -> datetime:
        monkeypatch.setattr(clock, "now", now)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return now()

    def other() -> None:
        with app.app_context(), unit_of_work():
            event_types.create(organization_id=team.organization_id, draft=Draft(name="invoice.paid"))

    monkeypatch.setattr(clock, "now", other_first)
    with app.app_context(), pytest.raises(ConflictError, match=r"already an event type invoice\.paid"), unit_of_work():
        event_types.create(organization_id=team.organization_id, draft=Draft(name="invoice.paid"))
    with app.app_context(), reading() as session:
        assert session.scalars(select(EventType.name)).all() == ["invoice.paid"]
