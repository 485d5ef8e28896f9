"""/api/admin/events: what was accepted, and what became of it at each webhook."""

import json
from datetime import timedelta

import pytest
from flask import Flask

from portal import clock
from tests.api.conftest import Caller
from tests.support.people import Team, make_team
from tests.support.webhooks import dead, make_delivery, make_webhook, send, stored_deliveries, stored_events

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NONE = {"pending": 0, "success": 0, "failed": 0, "dlq": 0}


def test_events_are_listed_by_key_with_how_their_deliveries_stand(app: Flask, team: Team, api: Caller) -> None:
    first = send(app, team.admin, "job.closed")
    make_delivery(app, team.admin, make_webhook(app, team.admin), **dead())
    send(app, make_team(app, "Southgate").admin)
    second = stored_events(app)[1].event_id
    page = api("GET", "/events?limit=1").json
    assert [each["id"] for each in page["items"]] == [second]
    assert page["items"][0]["deliveries"] == {**NONE, "dlq": 1}
    rest = api("GET", f"/events?limit=1&cursor={page['next_cursor']}").json
    assert [(each["id"], each["event_type"], each["source"], each["deliveries"]) for each in rest["items"]] == [
        (first, "job.closed", "api", NONE)
    ]
    assert rest["next_cursor"] is None
    later = (clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cases = {
        "event_type=job.closed": [first],
        f"event_id={second}": [second],
        f"until={later}": [second, first],
        f"since={later}": [],
        "event_id=evt_none": [],
    }
    assert {query: [each["id"] for each in api("GET", f"/events?{query}").json["items"]] for query in cases} == cases
    assert "cursor" in api.refused("GET", "/events?cursor=nonsense")


def test_one_event_says_what_became_of_it(app: Flask, team: Team, api: Caller) -> None:
    got = make_webhook(app, team.admin)
    picky = make_webhook(app, team.admin, "Stock", filters={"id": "job_2"})
    event = send(app, team.admin, data={"name": "Zoë"})
    late = make_webhook(app, team.admin, "Zulu")
    [delivery] = stored_deliveries(app)
    found = api("GET", f"/events/{event}").json
    assert found["payload"] == json.loads(stored_events(app)[0].body)
    assert found["deliveries"] == {**NONE, "pending": 1}
    missing = {"deleted": False, "delivery_id": None, "status": None, "response_status": None}
    assert found["webhooks"] == [
        {
            "webhook_id": str(got), "name": "Payroll", "deleted": False, "delivery_id": str(delivery.id),
            "status": "pending", "response_status": None, "reason": None,
        },
        {"webhook_id": str(picky), "name": "Stock", **missing, "reason": "filtered"},
        {"webhook_id": str(late), "name": "Zulu", **missing, "reason": "added_later"},
    ]  # fmt: skip


@pytest.mark.parametrize("event_id", ["evt_none", "a.b", "x" * 65, "%00"])
def test_what_is_not_there_is_not_found(app: Flask, team: Team, api: Caller, event_id: str) -> None:
    assert api("GET", f"/events/{event_id}").status_code == 404
    theirs = send(app, make_team(app, "Southgate").admin)
    assert api("GET", f"/events/{theirs}").status_code == 404
