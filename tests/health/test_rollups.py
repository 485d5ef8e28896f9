"""Rollups beside the raw logs: folded hour by hour, repeated without harm, read with what came since."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, insert, select

from portal.accounts import retention as kept
from portal.accounts.retention import MONTH, Retention
from portal.database import new_id, reading, unit_of_work
from portal.health import metrics, retention, rollups
from portal.health.models import HealthLog, HealthRollup, MaintenanceWindow, Span
from portal.integrations.models import Integration
from portal.progress import Progress
from tests.support.integrations import logs, make_integration
from tests.support.people import Team, make_team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOON = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def add(app: Flask, team: Team, integration: uuid.UUID, days: float, *, every: float = 20, seed: int = 1) -> list[int]:
    """Store logs of so many days up to now, one each so many minutes; return the times of those that passed."""
    chance, moment = random.Random(seed), NOON - timedelta(days=days)  # noqa: S311 - the same in every run
    rows: list[dict[str, Any]] = []
    while moment < NOON:
        failed = chance.random() < 0.1
        rows.append(
            {
                "id": new_id(), "organization_id": team.organization_id, "integration_id": integration, "detail": {},
                "check_type": "scheduled", "status": "failure" if failed else "success", "checked_at": moment,
                "response_time_ms": chance.randrange(20, 900),
            }
        )  # fmt: skip
        moment += timedelta(minutes=every)
    with app.app_context(), unit_of_work() as session:
        session.execute(insert(HealthLog), rows)
    return sorted(row["response_time_ms"] for row in rows if row["status"] == "success")


def fold_all(app: Flask) -> None:
    with app.app_context():
        while rollups.fold_due():
            pass


def figures(app: Flask, integration: uuid.UUID) -> dict[str, metrics.Metrics]:
    with app.app_context(), reading() as session:
        row = session.get_one(Integration, integration)
        found = {window: metrics.of(integration=row, window=window) for window in metrics.WINDOWS}
        parts = metrics.parts_of_all(integration=row)
    assert {window: metrics.total(of_window) for window, of_window in parts.items()} == found
    return found


def stored(app: Flask, span: Span) -> list[tuple[datetime, int, float]]:
    query = select(HealthRollup.start, HealthRollup.checks, HealthRollup.observed_ms).where(HealthRollup.span == span)
    with app.app_context(), reading() as session:
        return [(row[0], row[1], row[2] / 1000) for row in session.execute(query.order_by(HealthRollup.start))]


def test_figures_are_the_same_rolled_up_or_not(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    times = add(app, team, integration, days=9)
    raw = figures(app, integration)
    fold_all(app)
    assert figures(app, integration) == raw
    with app.app_context(), unit_of_work() as session:
        session.execute(delete(HealthLog).where(HealthLog.checked_at < NOON - timedelta(days=1)))
    assert figures(app, integration) == raw, "the logs may go"
    month = raw["30d"]
    assert month.checks == 9 * 72
    exact = times[round(0.95 * len(times)) - 1]
    assert month.p95_ms == pytest.approx(exact, rel=0.07)
    assert month.uptime_pct is not None
    assert 85 < month.uptime_pct < 95


def test_days_are_the_sum_of_their_hours_and_folding_again_changes_nothing(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=2, every=30)
    fold_all(app)
    once = stored(app, Span.HOUR), stored(app, Span.DAY)
    with app.app_context(), unit_of_work() as session:
        session.execute(delete(Progress))
    fold_all(app)
    assert (stored(app, Span.HOUR), stored(app, Span.DAY)) == once
    hours, days = once
    assert hours[-1][0] == NOON.replace(hour=11, minute=0)
    assert sum(each[1] for each in days) == sum(each[1] for each in hours)
    assert max(each[2] for each in hours) == 3600


def test_the_hour_that_has_just_ended_waits_for_checks_under_way(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=0.2)
    with time_machine.travel(NOON.replace(hour=13, minute=1), tick=False), app.app_context():
        rollups.fold_due()
        assert rollups.folded_until(team.organization_id) == NOON.replace(hour=12, minute=0)


def test_organizations_do_not_mix_and_old_rollups_go(app: Flask, team: Team) -> None:
    other = make_team(app, "Southgate")
    mine, theirs = make_integration(app, team.admin), make_integration(app, other.admin)
    add(app, team, mine, days=1)
    add(app, other, theirs, days=1, seed=2)
    fold_all(app)
    assert figures(app, mine) != figures(app, theirs)
    with time_machine.travel(NOON + Retention().rollups - timedelta(hours=6), tick=False), app.app_context():
        retention.tidy()
    assert min(each[0] for each in stored(app, Span.HOUR)) == NOON.replace(hour=7, minute=0)


def test_old_logs_go_once_they_are_rolled_up(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=33, every=240)
    with app.app_context():
        assert retention.tidy() == 0, "nothing is rolled up yet"
        while rollups.fold_due():
            pass
        before = figures(app, integration)["90d"]
        assert retention.tidy() == 3 * 6
        assert retention.tidy() == 0
    assert figures(app, integration)["90d"] == before


def test_each_organization_keeps_logs_and_rollups_as_long_as_it_says(app: Flask, team: Team) -> None:
    other = make_team(app, "Southgate")
    mine, theirs = make_integration(app, team.admin), make_integration(app, other.admin)
    values = {"logs_days": 5, "rollups_months": 4, "deliveries_days": 90, "bodies_days": 30}
    with app.app_context(), unit_of_work():
        kept.change(organization_id=team.organization_id, values=values)
    for owner, each in ((team, mine), (other, theirs)):
        add(app, owner, each, days=8, every=240)
    fold_all(app)
    with app.app_context():
        retention.tidy()
    assert [len([log for log in logs(app) if log.integration_id == each]) for each in (mine, theirs)] == [5 * 6, 8 * 6]
    with time_machine.travel(NOON + 5 * MONTH, tick=False), app.app_context():
        retention.tidy()
    with app.app_context(), reading() as session:
        assert set(session.scalars(select(HealthRollup.integration_id))) == {theirs}


def test_a_strip_has_a_bar_for_each_day_and_none_where_nothing_is_known(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=1.6)
    with app.app_context(), reading() as session:
        parts = metrics.parts_of_all(integration=session.get_one(Integration, integration))
    bars = [metrics.bar(each) for each in metrics.days(parts["90d"], count=5)]
    assert bars[:2] == ["none", "none"]
    assert set(bars[2:]) <= {"ok", "warn", "err"}


@SQLITE
def test_hours_that_were_folded_ahead_of_their_time_are_folded_again(app: Flask, team: Team) -> None:
    """The clock was a day ahead for a moment: what is checked on that day counts all the same."""
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=1)
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        fold_all(app)
    with app.app_context():
        assert rollups.fold_due() == 0
        assert rollups.folded_until(team.organization_id) == NOON.replace(hour=12, minute=0)
    before = stored(app, Span.HOUR)
    with app.app_context(), unit_of_work() as session:
        log = session.scalars(select(HealthLog).order_by(HealthLog.checked_at.desc()).limit(1)).one()
        log.checked_at = NOON + timedelta(hours=1)
    with time_machine.travel(NOON + timedelta(hours=2), tick=False):
        fold_all(app)
    found = {start: checks for start, checks, _ in stored(app, Span.HOUR)}
    assert found[NOON.replace(hour=13, minute=0)] == 1
    assert {start for start, *_ in before} <= found.keys()


@SQLITE
def test_a_clock_set_far_back_for_a_moment_takes_no_figures_away(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    add(app, team, integration, days=33, every=55)
    fold_all(app)
    with app.app_context():
        assert retention.tidy() > 0
    once = stored(app, Span.HOUR), stored(app, Span.DAY)
    with time_machine.travel(NOON - timedelta(days=60), tick=False), app.app_context():
        rollups.fold_due()
    fold_all(app)
    assert (stored(app, Span.HOUR), stored(app, Span.DAY)) == once


@SQLITE
def test_what_one_organization_has_stored_keeps_no_other_from_its_figures(
    app: Flask, team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_team(app, "Southgate")
    broken, fine = make_integration(app, team.admin), make_integration(app, other.admin)
    add(app, team, broken, days=0.2)
    add(app, other, fine, days=0.2)
    times = {"starts_at": NOON - timedelta(days=9), "ends_at": NOON - timedelta(days=8), "created_at": NOON}
    whose: dict[str, Any] = {"organization_id": team.organization_id, "integration_id": broken, "created_by": "Dana"}
    with app.app_context(), unit_of_work() as session:
        session.add(MaintenanceWindow(**whose, **times, repeats="weekly", zone="Nowhere/Land", reason=""))
    with caplog.at_level("ERROR", logger="portal.health"):
        fold_all(app)
    with app.app_context(), reading() as session:
        assert set(session.scalars(select(HealthRollup.integration_id))) == {fine}
    assert f"health logs of organization {team.organization_id} could not be rolled up" in caplog.text
