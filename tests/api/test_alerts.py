"""Alerts by the API: listed, acknowledged, muted."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from tests.alerts.kit import change, look, only, works
from tests.api.conftest import Caller
from tests.support.integrations import failing, make_integration
from tests.support.people import Team, make_team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_alerts_are_listed_acknowledged_muted_and_over(app: Flask, team: Team, api: Caller) -> None:
    with time_machine.travel(NOON, tick=False):
        relay = make_integration(app, team.admin, **failing())
        look(app)
        (found,) = api("GET", "/alerts").json["items"]
        assert (found["rule"], found["severity"], found["state"]) == ("integration_down", "critical", "open")
        assert (found["integration_id"], found["impact"]) == (str(relay), "Emails not sending")
        assert (found["muted"], found["muted_until"], found["resolution"]) == (False, None, None)
        address = f"/alerts/{found['id']}"
        noted = api("POST", f"{address}/acknowledge", {"note": "On it"}).json
        assert (noted["state"], noted["acknowledge_note"], noted["acknowledged_by"]) == (
            "acknowledged", "On it", only(app).acknowledged_by,
        )  # fmt: skip
        assert noted["acknowledged_by"]
        muted = api("POST", f"{address}/mute", {"for": "8h"}).json
        assert (muted["muted"], datetime.fromisoformat(muted["muted_until"])) == (True, NOON + timedelta(hours=8))
        muted = api("POST", f"{address}/mute", {"for": "recovered"}).json
        assert (muted["muted"], muted["muted_until"]) == (True, None)
        assert api("POST", f"{address}/unmute").json["muted"] is False
        assert api("GET", "/alerts").json["items"] == []
        assert len(api("GET", "/alerts?state=acknowledged&text=login").json["items"]) == 1
        change(app, relay, **works())
        look(app)
        assert api("POST", f"{address}/acknowledge").status_code == 409
        (over,) = api("GET", "/alerts?state=resolved").json["items"]
        assert (over["resolution"], over["id"]) == ("recovered", found["id"])


def test_what_is_no_alert_of_ours_is_not_there(app: Flask, team: Team, api: Caller) -> None:
    make_integration(app, make_team(app, "Southline").admin, **failing())
    look(app)
    assert api("GET", "/alerts").json["items"] == []
    for found in (only(app).id, uuid.uuid4()):
        assert api("POST", f"/alerts/{found}/unmute").status_code == 404
    assert api("POST", f"/alerts/{only(app).id}/mute", {"for": "ever"}).status_code == 422
    assert api("GET", "/alerts?cursor=x").status_code == 422


def test_channels_are_made_changed_tested_and_deleted(app: Flask, team: Team, api: Caller) -> None:
    (first,) = api("GET", "/alert-channels").json["items"]
    assert (first["kind"], first["audience"], first["last_sent_at"]) == ("email", "admins", None)
    wanted = {"kind": "email", "audience": "addresses", "addresses": ["ops@example.org"], "minimum": "critical"}
    made = api("POST", "/alert-channels", wanted)
    assert made.status_code == 201
    assert (made.json["name"], made.json["mode"]) == ("Email", "at_once")
    address = f"/alert-channels/{made.json['id']}"
    assert api("PATCH", address, {"mode": "digest", "digest_at": "7"}).json["errors"][0]["field"] == "digest_at"
    assert api("PATCH", address, {"mode": "digest", "digest_at": "07:00"}).json["addresses"] == ["ops@example.org"]
    tested = api("POST", f"{address}/test")
    assert (tested.status_code, tested.json["recipients"], tested.json["reason"]) == (202, 1, None)
    assert api("GET", "/alert-channels").json["items"][1]["last_messages"] == {"queued": 1}
    assert api("DELETE", address).status_code == 204
    assert api("POST", f"{address}/test").status_code == 404
    assert api("POST", "/alert-channels", {"kind": "chat"}).status_code == 422


def test_settings_are_read_and_changed_one_by_one(app: Flask, api: Caller) -> None:
    assert api("GET", "/alert-settings").json == {
        "reminder_minutes": 240, "group_wait_seconds": 30, "quiet_from": "", "quiet_to": "", "critical_passes": True,
    }  # fmt: skip
    assert api("PATCH", "/alert-settings", {"quiet_from": "22:00", "quiet_to": "06:00"}).status_code == 200
    changed = api("PATCH", "/alert-settings", {"reminder_minutes": None}).json
    assert (changed["reminder_minutes"], changed["quiet_from"], changed["quiet_to"]) == (None, "22:00", "06:00")
    assert api("GET", "/alert-settings").json == changed
    wrong = api("PATCH", "/alert-settings", {"quiet_to": ""})
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (422, "quiet_to")
    assert api("PATCH", "/alert-settings", {"reminder_minutes": 4}).status_code == 422
