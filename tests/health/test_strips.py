"""The strips of a list: what the database adds up is what the days say one by one."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import insert

from portal.database import reading, unit_of_work
from portal.health import charts, metrics, rollups, strips
from portal.health.figures import Figures
from portal.health.models import HealthRollup, Span
from portal.integrations import listing
from portal.integrations.listing import Filters
from tests.support.integrations import add_integration
from tests.support.people import Team
from tests.test_queries import plan, read

NOON = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
TODAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR_MS = metrics.DOWN_LONG * 1000


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def days(source: random.Random) -> dict[int, dict[str, Any]]:
    """Return rollups of some days by how many days ago they were, one of them before the strip, one after today."""
    return {
        ago: {
            "checks": 3,
            "failures": source.choice([0, 0, 1]),
            "observed_ms": source.choice([0, 1, 86_400_000]),
            "down_ms": source.choice([0, 0, 1, HOUR_MS, HOUR_MS + 1]),
        }
        for ago in range(-1, strips.DAYS + 1)
        if source.random() < 0.8
    }


def test_a_strip_is_what_its_days_say_one_by_one(app: Flask, team: Team) -> None:
    source, count = random.Random(5), rollups.ROUND + 2  # noqa: S311 - the same rows at each run
    last: dict[str, Any] = {"last_health_check": NOON, "last_health_check_status": "failure"}
    with app.app_context(), unit_of_work() as session:
        stored = {add_integration(team.admin, f"Relay {n}", **last).id: days(source) for n in range(count)}
        rows = [
            {"integration_id": each, "span": span, "start": TODAY - timedelta(days=ago), "histogram": {}, **row}
            for each, of_days in stored.items()
            for ago, row in of_days.items()
            for span in Span
        ]
        session.execute(insert(HealthRollup), rows)
    with app.app_context(), reading():
        listed = listing.search(organization_id=team.organization_id, filters=Filters(), limit=count).items
        found = strips.of(listed)
        assert strips.of(listed[:3]) == {each.id: found[each.id] for each in listed[:3]}
        assert strips.of([]) == {}
    assert len(found) == count
    for each, of_days in stored.items():
        assert found[each] == expected(of_days)
    assert {"none", "ok", "warn", "err"} == {bar for strip in found.values() for bar in strip.bars}


def expected(of_days: dict[int, dict[str, Any]]) -> charts.MiniStrip:
    whole, bars = Figures(), []
    for ago in range(strips.DAYS - 1, -1, -1):
        row = of_days.get(ago, {"checks": 0, "failures": 0, "observed_ms": 0, "down_ms": 0})
        day = Figures(row["checks"], row["failures"], row["observed_ms"] / 1000, row["down_ms"] / 1000)
        whole.add(day)
        bars.append(metrics.bar(day))
    bars[-1] = "warn" if bars[-1] == "none" else bars[-1]
    return charts.mini(bars, whole.uptime_pct)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_strips_are_read_by_the_key_of_their_rows(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        row = add_integration(team.admin)
    found = plan(app, read(lambda: strips.of([row])))
    assert "SEARCH health_rollups USING INDEX sqlite_autoindex_health_rollups_1" in found
    assert "TEMP B-TREE" not in found
