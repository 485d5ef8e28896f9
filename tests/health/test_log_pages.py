"""Pages of the health logs: filters in the address, pages by key, hostile parameters."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.database import new_id, unit_of_work
from portal.health.models import HealthLog
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team, make_team, words

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def add_log(app: Flask, integration: uuid.UUID, organization: uuid.UUID, **columns: Any) -> uuid.UUID:
    values = {"check_type": "scheduled", "status": "success", "response_time_ms": 84, "detail": {}, "checked_at": NOON}
    row_id = new_id()
    with app.app_context(), unit_of_work() as session:
        session.add(
            HealthLog(id=row_id, organization_id=organization, integration_id=integration, **(values | columns))
        )
    return row_id


@pytest.fixture
def integration(app: Flask, team: Team) -> uuid.UUID:
    return make_integration(app, team.owner, "Email relay")


@pytest.mark.parametrize(
    "case",
    [
        ("", {"manual one", "old one", "limited one"}),
        ("?kind=manual", {"manual one"}),
        ("?status=limited", {"limited one"}),
        ("?time=24h", {"manual one", "limited one"}),
        ("?time=30d", {"manual one", "limited one", "old one"}),
        ("?q=OLD", {"old one"}),
        ("?q=100%25", set()),
        ("?time=between&since=2026-03-05&until=2026-03-06", {"old one"}),
        ("?time=between&since=2026-03-07", {"manual one", "limited one"}),
        ("?kind=manual&status=failure&q=one&time=7d", {"manual one"}),
        ("?kind=nonsense&status=nonsense&time=nonsense", {"manual one", "old one", "limited one"}),
        ("?time=between&since=yesterday&until=9999-99-99", {"manual one", "old one", "limited one"}),
        ("?time=between&until=9999-12-31", {"manual one", "old one", "limited one"}),
    ],
)
def test_filters_stand_in_the_address(
    app: Flask, team: Team, admin: Browser, integration: uuid.UUID, case: tuple[str, set[str]]
) -> None:
    query, expected = case
    place = team.organization_id
    add_log(app, integration, place, check_type="manual", status="failure", error_message="manual one")
    add_log(app, integration, place, status="limited", error_message="limited one")
    add_log(app, integration, place, status="failure", error_message="old one", checked_at=NOON - timedelta(days=4))
    with time_machine.travel(NOON, tick=False):
        admin.sign_in(team.admin)
        for path in (f"/admin/health-logs{query}", f"/admin/integrations/{integration}/logs{query}"):
            text = words(admin.get(path))
            assert {each for each in ("manual one", "old one", "limited one") if each in text} == expected


def test_two_dates_are_days_where_the_viewer_is(app: Flask) -> None:
    team = make_team(app, "Sydney branch", time_zone="Australia/Sydney")
    integration = make_integration(app, team.owner)
    # 5 March begins in Sydney at 13:00 UTC of the day before.
    for hour, text in ((12, "still the fourth"), (13, "first of the fifth")):
        add_log(app, integration, team.organization_id, error_message=text, checked_at=NOON.replace(day=4, hour=hour))
    text = words(Browser(app, team.admin).get("/admin/health-logs?time=between&since=2026-03-05&until=2026-03-05"))
    assert "first of the fifth" in text
    assert "still the fourth" not in text


def test_pages_by_key_show_every_log_once_also_when_times_are_equal(
    app: Flask, team: Team, admin: Browser, integration: uuid.UUID
) -> None:
    for number in range(60):
        add_log(app, integration, team.organization_id, error_message=f"number {number:03}.")
    seen: list[str] = []
    path = "/admin/health-logs?status=success"
    for _ in range(3):
        answer = admin.get(path, target="more-logs")
        seen += re.findall(r"number (\d{3})\.", answer.text)
        more = re.search(r'href="(/admin/health-logs\?[^"]*cursor=[^"]+)"', answer.text)
        path = more.group(1).replace("&amp;", "&") if more else ""
    assert path == ""
    assert seen == [f"{number:03}" for number in reversed(range(60))]


@pytest.mark.parametrize("cursor", ["x", "%00", "e30", "WyJub3BlIiwibm9wZSJd", "A" * 5000])
def test_a_cursor_that_is_none_is_not_found(admin: Browser, integration: uuid.UUID, cursor: str) -> None:
    assert admin.get(f"/admin/health-logs?cursor={cursor}").status_code == 404


def test_the_logs_of_another_organization_do_not_exist(app: Flask, team: Team, integration: uuid.UUID) -> None:
    add_log(app, integration, team.organization_id, error_message="ours alone")
    stranger = Browser(app, make_team(app, "Southline").admin)
    assert stranger.get(f"/admin/integrations/{integration}/logs").status_code == 404
    assert "ours alone" not in stranger.get("/admin/health-logs").text


def test_errors_are_shown_as_text_and_search_keeps_what_was_typed(
    app: Flask, team: Team, admin: Browser, integration: uuid.UUID
) -> None:
    hostile = "<script>alert(1)</script>"
    add_log(app, integration, team.organization_id, status="failure", error_message=hostile, error_code=hostile)
    answer = admin.get("/admin/health-logs", query_string={"q": hostile})
    assert hostile not in answer.text
    assert answer.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2


def test_empty_pages_say_why(admin: Browser, integration: uuid.UUID) -> None:
    assert "No checks yet" in words(admin.get("/admin/health-logs"))
    filtered = words(admin.get("/admin/health-logs?status=failure"))
    assert "No checks match" in filtered
    assert "Clear filters" in filtered


def test_logs_of_a_deleted_integration_keep_its_name(app: Flask, team: Team, admin: Browser) -> None:
    gone = make_integration(app, team.owner, "Closed branch", deleted_at=NOON, enabled=False)
    add_log(app, gone, team.organization_id)
    assert "Closed branch (deleted)" in words(admin.get("/admin/health-logs"))
