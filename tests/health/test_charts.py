"""Strip and chart: states of bars, lines with gaps, the axis, the sentences that say the same; pages show them."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from portal import clock
from portal.database import unit_of_work
from portal.health import charts, metrics
from portal.health.figures import Figures, bucket
from portal.health.models import HealthLog
from portal.web.filters import duration
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def fine(milliseconds: int = 80, *, count: int = 10, failures: int = 0, down: float = 0) -> Figures:
    return Figures(count, failures, 3600, down, Counter({bucket(milliseconds): count}))


def test_a_bar_says_how_bad_a_day_was_and_the_label_says_it_in_words() -> None:
    days = [None, Figures(), fine(), fine(failures=1, down=300), fine(failures=9, down=3601)]
    strip = charts.strip(days)
    assert strip.bars == ["none", "none", "ok", "warn", "err"]
    assert strip.label == (
        "Last 5 days: 1 day without failure, 1 day with some failures, 1 day down over 1 hour, 2 days without data"
    )


def test_a_row_says_its_uptime_or_that_there_is_none() -> None:
    assert charts.mini(["none", "warn"], 99.0).words == "99.00% up over 2 days"
    assert charts.mini(["none", "none"], None).uptime == ""


def test_a_line_is_broken_where_nothing_is_known() -> None:
    hours = [NOW.replace(minute=0) - timedelta(hours=back) for back in (5, 4, 2)]
    found = charts.chart([(at, fine(100)) for at in hours], window="24h", now=NOW)
    assert found is not None
    assert found.width == 24
    assert [len(each.split()) for each in found.lines["p50"]] == [2, 2], "one stretch, and a stroke for a lone hour"
    assert found.lines["p50"][0].startswith("19,")
    assert [at for at, _ in found.rows] == hours[::-1]
    said = duration(fine(100).percentile(0.5))
    assert found.label == f"Response time over 24 hours: median {said}, 95th percentile {said}, at its highest {said}"


@pytest.mark.parametrize(("highest", "limit"), [(3, 4), (90, 160), (171, 200), (401, 800), (12_000, 16_000)])
def test_the_axis_ends_at_a_number_that_can_be_read(highest: int, limit: int) -> None:
    found = charts.chart([(NOW.replace(minute=0), fine(highest))], window="7d", now=NOW)
    assert found is not None
    assert found.limit_ms == limit


def test_without_a_check_that_passed_there_is_no_chart() -> None:
    failed = Figures(3, 3, 600, 600)
    assert charts.chart([(NOW.replace(minute=0), failed)], window="24h", now=NOW) is None


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("window", list(metrics.WINDOWS))
def test_the_page_shows_the_figures_of_the_window(app: Flask, team: Team, admin: Browser, window: str) -> None:
    integration = make_integration(app, team.admin)
    now = clock.now()
    # Not just before midnight, or the outage would belong to two days.
    failed = 60 if (now - timedelta(minutes=60)).date() == (now - timedelta(minutes=55)).date() else 70
    ids = {"organization_id": team.organization_id, "integration_id": integration, "check_type": "scheduled"}
    with app.app_context(), unit_of_work() as session:
        for minutes in range(5, 120, 5):
            at = now - timedelta(minutes=minutes)
            status = "failure" if minutes == failed else "success"
            session.add(HealthLog(checked_at=at, **ids, status=status, response_time_ms=80, detail={}))
    page = admin.get(f"/admin/integrations/{integration}?window={window}").text
    assert "95.65%" in page
    assert "5 min down" in page
    assert "1 of 23" in page
    assert re.search(r'aria-label="Last 90 days: .*1 day with some failures, 8[89] days without data"', page)
    assert "Show as a table" in page
    assert f"Response time over {charts.WORDS[window]}" in page


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_page_without_checks_says_so(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    page = admin.get(f"/admin/integrations/{integration}?window=nonsense").text
    assert "No data" in page
    assert "No check has passed in these 24 hours." in page
