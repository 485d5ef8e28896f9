"""Health logs as CSV: all that the filters leave, in pages, with nothing that a spreadsheet would run."""

import csv
import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal import clock
from portal.database import unit_of_work
from portal.health import exporting
from portal.health.models import HealthLog
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team, make_team


def add(app: Flask, team: Team, integration: uuid.UUID, count: int, **values: Any) -> None:
    """Store logs, one a minute."""
    with app.app_context(), unit_of_work() as session:
        for number in range(count):
            usual = {"check_type": "scheduled", "status": "success", "response_time_ms": 80, "detail": {}}
            ids = {"organization_id": team.organization_id, "integration_id": integration}
            at = clock.now() - timedelta(minutes=number)
            session.add(HealthLog(checked_at=at, **ids, **usual | values))


def rows_of(browser: Browser, url: str) -> list[dict[str, str]]:
    answer = browser.get(url)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=health-logs")
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


def test_all_pages_come_in_order_and_nothing_of_others(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "BATCH", 4)
    other = make_team(app, "Southgate")
    mine = make_integration(app, team.admin, "Relay, “main”")
    add(app, team, mine, 10)
    add(app, other, make_integration(app, other.admin), 3)
    found = rows_of(admin, "/admin/health-logs.csv")
    assert len(found) == 10
    assert {each["integration"] for each in found} == {"Relay, “main”"}
    times = [each["time"] for each in found]
    assert times == sorted(times, reverse=True)
    assert times[0].endswith("Z")


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_filters_hold_and_one_integration_stands_alone(app: Flask, team: Team, admin: Browser) -> None:
    relay, second = make_integration(app, team.admin), make_integration(app, team.admin, "Second")
    add(app, team, relay, 2)
    add(app, team, relay, 1, status="failure", error_class="timeout", error_message="It hung,\nfor ever")
    add(app, team, second, 5)
    [failed] = rows_of(admin, "/admin/health-logs.csv?status=failure")
    assert (failed["error_class"], failed["error_message"]) == ("timeout", "It hung,\nfor ever")
    assert rows_of(admin, "/admin/health-logs.csv?error=timeout") == [failed]
    assert rows_of(admin, "/admin/health-logs.csv?error=auth_rejected") == []
    assert len(rows_of(admin, f"/admin/integrations/{relay}/logs.csv")) == 3
    assert admin.get(f"/admin/integrations/{uuid.uuid4()}/logs.csv").status_code == 404
    page = admin.get("/admin/health-logs?status=failure").text
    assert 'href="/admin/health-logs.csv?status=failure"' in page


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("start", list("=+-@"))
def test_no_cell_is_a_formula(app: Flask, team: Team, admin: Browser, start: str) -> None:
    add(app, team, make_integration(app, team.admin), 1, status="failure", error_message=f"{start}cmd|' /C calc'!A0")
    [row] = rows_of(admin, "/admin/health-logs.csv")
    assert row["error_message"].startswith(f"'{start}")
