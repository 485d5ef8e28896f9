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
