"""Tests, checks, logs, figures and alerts by the API."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal import clock
from portal.database import unit_of_work
from portal.health.models import HealthLog
from portal.integrations import calls
from tests.api.conftest import Caller, smtp, wanted
from tests.support.integrations import CANARY, Mail, all_integrations, failing, load, logs, make_integration, refused
from tests.support.people import Team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add_logs(app: Flask, team: Team, integration: uuid.UUID, rows: list[dict[str, Any]]) -> None:
    """Store health logs; `minutes` says how long ago."""
    with app.app_context(), unit_of_work() as session:
        for row in rows:
            at = clock.now() - timedelta(minutes=row.pop("minutes", 1))
            usual = {"check_type": "scheduled", "status": "success", "response_time_ms": 100, "detail": {}}
            ids = {"organization_id": team.organization_id, "integration_id": integration}
            session.add(HealthLog(checked_at=at, **ids, **{**usual, **row}))


@SQLITE
def test_values_are_tested_without_being_stored(app: Flask, api: Caller, mail: Mail) -> None:
    found = api("POST", "/integrations/test", {"provider": "smtp", "credentials": smtp()}).json
    assert (found["ok"], found["error"]) == (True, None)
    assert found["steps"][0] | {"name": "DNS", "ok": True, "duration_ms": 3} == found["steps"][0]
    assert [dict(each) for each in mail.tested] == [smtp()]
    assert all_integrations(app) == []

    mail.report = refused()
    answer = api("POST", "/integrations/test", {"provider": "smtp", "credentials": smtp()})
    assert (answer.status_code, answer.json["ok"]) == (200, False)
    assert answer.json["error"] == {
        "code": "535 5.7.8", "message": "The server refused the login.", "hint": "Check user name and password.",
        "outcome": "auth_rejected",
    }  # fmt: skip


WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"credentials": smtp()}, "provider"),
    ({"provider": "smtp", "credentials": smtp(password="••••x7Qa")}, "credentials.password"),
    ({"provider": "smtp", "credentials": smtp(username="a\r\nb")}, "credentials.username"),
    ({"provider": "smtp", "credentials": smtp(), "enabled": True}, "enabled"),
    ({"provider": "smtp", "credentials": smtp(), "sandbox": True}, "sandbox"),
]


@SQLITE
def test_values_that_are_wrong_are_not_tested(api: Caller, mail: Mail) -> None:
    for body, field in WRONG_VALUES:
        assert set(api.refused("POST", "/integrations/test", body)) == {field}
    assert mail.tested == []


@SQLITE
def test_what_is_stored_is_tested_and_stays_as_it_is(app: Flask, team: Team, api: Caller, mail: Mail) -> None:
    relay = make_integration(app, team.admin)
    mail.report = refused()
    assert api("POST", f"/integrations/{relay}/test").json["ok"] is False
    assert mail.tested[0]["password"] == CANARY
    assert (logs(app), api("GET", f"/integrations/{relay}").json["status"]) == ([], "active")


@SQLITE
def test_a_health_check_is_logged(app: Flask, team: Team, api: Caller, mail: Mail) -> None:
    relay = make_integration(app, team.admin)
    assert api("POST", f"/integrations/{relay}/health-check", {}).json["response_time_ms"] == 84
    (found,) = api("GET", f"/integrations/{relay}/health-logs").json["items"]
    assert (found["check_type"], found["status"], found["response_time_ms"]) == ("manual", "success", 84)
    assert found["metadata"]["asked_by"].endswith(f"of {team.admin.name}"), "the token is named, too"
    assert [each["name"] for each in found["metadata"]["steps"]] == ["DNS", "Login"]
    (use,) = api("GET", "/credential-access").json["items"]
    assert (use["purpose"], use["actor"]["kind"], use["integration_id"]) == ("Health check", "token", str(relay))


@SQLITE
def test_a_disabled_integration_is_not_checked(app: Flask, team: Team, api: Caller, mail: Mail) -> None:
    off = make_integration(app, team.admin, enabled=False, status="inactive")
    answer = api("POST", f"/integrations/{off}/health-check")
    assert (answer.status_code, answer.json["title"]) == (409, "Integration disabled")
    assert mail.probed == []


@SQLITE
def test_an_integration_that_is_switched_off_meanwhile(app: Flask, team: Team, api: Caller, mail: Mail) -> None:
    relay = make_integration(app, team.admin)
    mail.meanwhile = lambda: api("PATCH", f"/integrations/{relay}", {"enabled": False})
    answer = api("POST", f"/integrations/{relay}/health-check")
    assert (answer.status_code, answer.json["title"]) == (409, "Changed meanwhile")


@SQLITE
@pytest.mark.parametrize("path", ["test", "{id}/test", "{id}/health-check"])
def test_more_tests_than_places_are_told_when_to_come_back(
    app: Flask, team: Team, api: Caller, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    relay = make_integration(app, team.admin)
    monkeypatch.setattr(calls._places, "acquire", lambda **_: False)
    body = {"provider": "smtp", "credentials": smtp()} if path == "test" else None
    answer = api("POST", f"/integrations/{path.format(id=relay)}", body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")


@SQLITE
def test_all_are_checked_that_are_enabled(app: Flask, team: Team, api: Caller) -> None:
    make_integration(app, team.admin)
    make_integration(app, team.admin, "Second")
    make_integration(app, team.admin, "Off", enabled=False, status="inactive")
    answer = api("POST", "/integrations/health-check-all")
    assert (answer.status_code, answer.json) == (202, {"checks": 2})
    assert [each.next_check_at is not None for each in all_integrations(app)] == [True, True, False]


@SQLITE
def test_logs_are_narrowed_and_come_in_pages(app: Flask, team: Team, api: Caller) -> None:
    relay, other = make_integration(app, team.admin), make_integration(app, team.admin, "Other")
    with time_machine.travel(NOON, tick=False):
        add_logs(app, team, relay, [{"minutes": 10 * number, "response_time_ms": number} for number in range(1, 6)])
        add_logs(
            app, team, relay, [{"minutes": 60, "status": "failure", "check_type": "auto", "error_class": "timeout"}]
        )
        add_logs(app, team, other, [{}])
    path = f"/integrations/{relay}/health-logs"

    def times(filters: str) -> list[Any]:
        return [each["checked_at"][11:16] for each in api("GET", f"{path}?{filters}").json["items"]]

    assert times("") == ["11:50", "11:40", "11:30", "11:20", "11:10", "11:00"]
    assert times("status=failure") == times("check_type=auto") == ["11:00"]
    assert times("since=2026-11-21T11:20:00Z&until=2026-11-21T11:40:00Z") == ["11:30", "11:20"]
    assert times("since=2026-11-21T12:30:00+01:00") == ["11:50", "11:40", "11:30"], "a plus that nobody escaped"

    seen, cursor = [], ""
    while cursor is not None:
        found = api("GET", f"{path}?limit=4&cursor={cursor}" if cursor else f"{path}?limit=4").json
        seen.append([each["response_time_ms"] for each in found["items"]])
        cursor = found["next_cursor"]
    assert seen == [[1, 2, 3, 4], [5, 100]]


WRONG_FILTERS = {
    "limit=0": "limit",
    "limit=201": "limit",
    "limit=ten": "limit",
    "limit=": "limit",
    "status=broken": "status",
    "check_type=": "check_type",
    "since=yesterday": "since",
    "since=2026-11-21": "since",
    "until=2026-11-21T10:00:00": "until",
    "until=0001-01-01T00:00:00%2B14:00": "until",
    "cursor=": "cursor",
    "cursor=nonsense": "cursor",
    "cursor=WyIyMDI2IiwgInkiXQ": "cursor",
    "stauts=failure": "stauts",
}


@SQLITE
def test_filters_that_are_wrong_are_named(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    for filters, field in WRONG_FILTERS.items():
        assert set(api.refused("GET", f"/integrations/{relay}/health-logs?{filters}")) == {field}, filters


def test_figures_of_a_window(app: Flask, team: Team, api: Caller) -> None:
    relay, other = make_integration(app, team.admin), make_integration(app, team.admin, "Other")
    assert api("GET", f"/integrations/{relay}/metrics").json == {
        "uptime_pct": None, "error_rate": None, "p50_ms": None, "p95_ms": None, "p99_ms": None, "checks": 0,
        "failures": 0, "down_seconds": 0, "observed_seconds": 0, "maintenance_seconds": 0,
    }  # fmt: skip
    with time_machine.travel(NOON, tick=False):
        add_logs(app, team, relay, [{"response_time_ms": number, "minutes": 60} for number in range(1, 101)])
        add_logs(app, team, relay, [{"status": "failure", "response_time_ms": 15_000, "minutes": 40}])
        add_logs(app, team, relay, [{"status": "limited", "response_time_ms": None, "minutes": 30}])
        add_logs(app, team, relay, [{"status": "failure", "minutes": 60 * 30}])
        add_logs(app, team, other, [{"status": "failure"}])
        day = api("GET", f"/integrations/{relay}/metrics").json
        assert day == {
            "uptime_pct": 83.333, "error_rate": 0.009804, "p50_ms": pytest.approx(50, rel=0.07),
            "p95_ms": pytest.approx(95, rel=0.07), "p99_ms": pytest.approx(99, rel=0.07), "checks": 102,
            "failures": 1, "down_seconds": 600, "observed_seconds": 3600, "maintenance_seconds": 0,
        }  # fmt: skip
        assert api("GET", f"/integrations/{relay}/metrics?window=7d").json["checks"] == 103
        assert set(api.refused("GET", f"/integrations/{relay}/metrics?window=1y")) == {"window"}


def test_alerts_are_the_integrations_in_error_the_longest_first(app: Flask, team: Team, api: Caller) -> None:
    now = clock.now()
    make_integration(app, team.admin)
    down = make_integration(app, team.admin, "Newer", **failing(failing_since=now - timedelta(hours=1)))
    for hours in (3, 2):
        make_integration(app, team.admin, f"{hours} h", **failing(failing_since=now - timedelta(hours=hours)))
    first = api("GET", "/integrations/alerts?limit=2").json
    assert [each["name"] for each in first["items"]] == ["3 h", "2 h"]
    second = api("GET", f"/integrations/alerts?limit=2&cursor={first['next_cursor']}").json
    assert second["next_cursor"] is None
    (alert,) = second["items"]
    assert alert == {
        "integration_id": str(down), "name": "Newer", "provider": "smtp", "type": "email", "title": "login failed",
        "message": "The server refused the login.", "hint": "Check the password.", "code": "535",
        "impact": "Emails not sending", "since": alert["since"],
    }  # fmt: skip


@SQLITE
def test_an_integration_made_by_the_api_can_be_marked_sandbox_where_there_is_one(
    app: Flask, api: Caller, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "sandbox_is_there", lambda: True)
    made = api("POST", "/integrations", wanted(sandbox=True)).json
    assert made["sandbox"] is True
    assert api("POST", "/integrations", wanted()).json["sandbox"] is True, "what is not sent stays"
    assert api("POST", "/integrations", wanted(sandbox=False)).json["sandbox"] is False


@SQLITE
def test_maintenance_is_planned_listed_and_taken_away(app: Flask, team: Team, api: Caller) -> None:
    with time_machine.travel(NOON, tick=False):
        relay = make_integration(app, team.admin)
        here = f"/integrations/{relay}"
        now = api("POST", f"{here}/maintenance", {"ends_at": "2026-11-21T13:30:00+01:00", "reason": "Move"})
        assert now.status_code == 201, now.text
        hour = {"starts_at": "2026-11-21T12:00:00Z", "ends_at": "2026-11-21T12:30:00Z"}
        assert {name: now.json[name] for name in hour} == hour
        assert (now.json["next"], now.json["repeats"], now.json["reason"]) == (hour, "once", "Move")
        assert api("GET", here).json["maintenance"] == hour
        weekly = {"starts_at": "2026-11-22T12:00:00Z", "ends_at": "2026-11-22T14:00:00Z", "repeats": "weekly"}
        api("POST", f"{here}/maintenance", weekly)
        listed = api("GET", f"{here}/maintenance?limit=1").json
        assert [each["id"] for each in listed["items"]] == [now.json["id"]]
        rest = api("GET", f"{here}/maintenance?cursor={listed['next_cursor']}").json
        assert [each["repeats"] for each in rest["items"]] == ["weekly"]
        for each in listed["items"] + rest["items"]:
            assert api("DELETE", f"{here}/maintenance/{each['id']}").status_code == 204
        assert api("DELETE", f"{here}/maintenance/{now.json['id']}").status_code == 404
        assert api("GET", here).json["maintenance"] is None
        assert set(api.refused("POST", f"{here}/maintenance", {"ends_at": "2026-11-21T11:00:00Z"})) == {"ends_at"}
        assert set(api.refused("POST", f"{here}/maintenance", {"ends_at": "soon"})) == {"ends_at"}


@SQLITE
def test_of_weekly_maintenance_this_time_can_be_ended_alone(app: Flask, team: Team, api: Caller) -> None:
    with time_machine.travel(NOON, tick=False) as time:
        relay = make_integration(app, team.admin)
        here = f"/integrations/{relay}"
        api("POST", f"{here}/maintenance", {"ends_at": "2026-11-21T14:00:00Z", "repeats": "weekly"})
        time.shift(60)
        next_week = {"starts_at": "2026-11-28T12:00:00Z", "ends_at": "2026-11-28T14:00:00Z"}
        for _ in range(2):  # the second time there is nothing to end
            assert api("POST", f"{here}/maintenance/end").status_code == 204
            assert api("GET", here).json["maintenance"] == next_week
        assert [each["next"] for each in api("GET", f"{here}/maintenance").json["items"]] == [next_week]
        assert load(app, relay).next_check_at == clock.now()
