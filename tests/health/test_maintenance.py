"""Maintenance: planned, started, ended; what fails in it changes nothing, and what still fails after it is seen."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal import clock
from portal.accounts.models import Organization
from portal.database import reading, unit_of_work
from portal.health import checks, maintenance, metrics, rollups
from portal.health.maintenance import NotFound
from portal.health.windows import Plan, Repeats
from portal.integrations import presenting
from portal.integrations.drafts import Invalid
from portal.integrations.models import Integration, Status
from tests.support.integrations import Mail, due, failing, load, logs, make_integration, passed, refused, trail
from tests.support.people import Browser, Team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def relay(app: Flask, team: Team) -> uuid.UUID:
    """An integration that works and is due for a check."""
    return make_integration(app, team.admin, **due())


def change(app: Flask, integration: uuid.UUID, do: Callable[..., Any], **more: Any) -> Any:
    """Let somebody change an integration."""
    with app.app_context(), unit_of_work() as session:
        return do(integration=session.get_one(Integration, integration), **more)


def start(app: Flask, integration: uuid.UUID, hours: int = 1) -> None:
    change(app, integration, maintenance.start, hours=hours, reason="Move of the server", zone="UTC", by="Noor")


def plan(app: Flask, integration: uuid.UUID, begin: datetime, end: datetime, *, weekly: bool = False) -> uuid.UUID:
    times = Plan(begin, end, Repeats.WEEKLY if weekly else Repeats.ONCE)
    return change(app, integration, maintenance.plan, times=times, reason="", by="Noor").id  # type: ignore[no-any-return]


def check(app: Flask) -> None:
    """Run the one check that is due, or will be next."""
    with app.app_context():
        claims = checks.claim_due(10)
        assert len(claims) == 1
        checks.run(claims[0])


def advance(app: Flask) -> int:
    with app.app_context():
        return maintenance.advance()


def word(app: Flask, integration: uuid.UUID) -> str:
    with app.app_context():
        return presenting.settled_word(load(app, integration))


def test_what_fails_in_maintenance_is_logged_and_changes_nothing(
    app: Flask, mail: Mail, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    start(app, relay)
    assert word(app, relay) == "Maintenance"
    mail.report = refused()
    for _ in range(3):
        check(app)
        stored = load(app, relay)
        assert (stored.status, stored.error_count, stored.error_message, stored.failing_since) == (
            "active",
            0,
            None,
            None,
        )
        assert stored.next_check_at is not None
        wait = stored.next_check_at - clock.now()
        assert timedelta(minutes=2) < wait < timedelta(minutes=8), "no second look in 30 s"
        time.move_to(stored.next_check_at)
    found = logs(app)
    assert [log.status for log in found] == ["failure"] * 3
    assert all(log.detail["maintenance"] and log.error_message for log in found)


def test_what_still_fails_at_its_end_is_an_outage_at_once(
    app: Flask, mail: Mail, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    start(app, relay)
    mail.report = refused()
    check(app)
    time.move_to(START + HOUR - timedelta(seconds=1))
    assert advance(app) == 0
    time.shift(timedelta(seconds=1))
    assert word(app, relay) == "Active"  # to the moment, before any job looked
    assert advance(app) == 1
    check(app)
    stored = load(app, relay)
    assert (stored.status, stored.failing_since) == (Status.ERROR, START + HOUR)
    assert "maintenance" not in logs(app)[-1].detail
    assert (stored.maintenance_until, advance(app)) == (None, 0)


def test_what_works_again_at_its_end_was_never_down(
    app: Flask, mail: Mail, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    start(app, relay)
    mail.report = refused()
    check(app)
    time.shift(timedelta(minutes=20))
    change(app, relay, maintenance.end_now)
    mail.report = passed()
    check(app)
    stored = load(app, relay)
    assert (stored.status, stored.error_count, stored.failing_since) == (Status.ACTIVE, 0, None)
    time.shift(timedelta(minutes=10))
    with app.app_context(), reading():
        found = metrics.of(integration=load(app, relay), window="24h")
    assert (found.uptime_pct, found.observed_seconds, found.maintenance_seconds) == (100, 600, 1200)
    assert (found.checks, found.failures) == (1, 0)
    time.shift(timedelta(hours=2))
    with app.app_context():
        rollups.fold_due()
        with reading():
            folded = metrics.of(integration=load(app, relay), window="7d")
    assert (folded.maintenance_seconds, folded.uptime_pct) == (1200, 100)


def test_an_outage_from_before_goes_on_and_a_success_ends_it(app: Flask, team: Team, mail: Mail) -> None:
    relay = make_integration(app, team.admin, **due(), **failing())
    start(app, relay)
    mail.report = refused()
    check(app)
    assert (load(app, relay).status, load(app, relay).error_count) == (Status.ERROR, 2)
    mail.report = passed()
    with app.app_context(), unit_of_work() as session:
        session.get_one(Integration, relay).next_check_at = clock.now()
    check(app)
    assert load(app, relay).status == Status.ACTIVE


def test_a_planned_window_begins_by_itself(
    app: Flask, mail: Mail, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    plan(app, relay, START + HOUR, START + 2 * HOUR)
    assert word(app, relay) == "Active"
    time.shift(HOUR)
    mail.report = refused()
    check(app)  # no job has run
    assert (word(app, relay), load(app, relay).error_count) == ("Maintenance", 0)


def test_a_weekly_window_comes_again_and_can_be_ended_for_this_week(
    app: Flask, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    plan(app, relay, START, START + HOUR, weekly=True)
    time.shift(timedelta(minutes=10))
    change(app, relay, maintenance.end_now)
    assert word(app, relay) == "Active"
    week = timedelta(days=7)
    assert load(app, relay).maintenance_from == START + week
    time.move_to(START + week + HOUR)
    assert advance(app) == 1
    assert load(app, relay).maintenance_from == START + 2 * week
    with app.app_context(), reading():
        found = maintenance.between([relay], START - week, START + 2 * week)
    assert found[relay] == ((START, START + timedelta(minutes=10)), (START + week, START + week + HOUR))


def test_what_is_ended_before_clocks_change_keeps_its_time_of_day_after_it(
    app: Flask, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    time.move_to(datetime(2026, 3, 22, 1, 10, tzinfo=UTC))
    begin = clock.now()
    times = Plan(begin, begin + HOUR, Repeats.WEEKLY, "Europe/Berlin")  # 02:10 to 03:10
    change(app, relay, maintenance.plan, times=times, reason="", by="Noor")
    change(app, relay, maintenance.end_now)
    with app.app_context(), reading():
        found = maintenance.between([relay], begin + HOUR, begin + timedelta(days=15))[relay]
    march, april = datetime(2026, 3, 29, 1, 10, tzinfo=UTC), datetime(2026, 4, 5, 0, 10, tzinfo=UTC)
    assert found == ((march, march + HOUR), (april, april + HOUR))


def test_a_window_that_is_removed_stays_where_it_was(
    app: Flask, relay: uuid.UUID, time: time_machine.Traveller
) -> None:
    running, later = plan(app, relay, START, START + HOUR), plan(app, relay, START + 2 * HOUR, START + 3 * HOUR)
    change(app, relay, maintenance.remove, window_id=later)
    time.shift(timedelta(minutes=5))
    change(app, relay, maintenance.remove, window_id=running)
    assert (word(app, relay), load(app, relay).next_check_at) == ("Active", clock.now())
    with app.app_context(), reading():
        assert maintenance.between([relay], START, START + 9 * HOUR) == {
            relay: ((START, START + timedelta(minutes=5)),)
        }
    with pytest.raises(NotFound):
        change(app, relay, maintenance.remove, window_id=running)
    with pytest.raises(NotFound):
        change(app, relay, maintenance.end_now)
    assert [entry.action.rpartition("_")[2] for entry in trail(app) if "maintenance" in entry.action] == [
        "planned", "planned", "removed", "removed",
    ]  # fmt: skip


def test_windows_that_overlap_are_one(app: Flask, relay: uuid.UUID) -> None:
    plan(app, relay, START, START + HOUR)
    plan(app, relay, START + HOUR / 2, START + 2 * HOUR)
    assert load(app, relay).maintenance_until == START + 2 * HOUR


@SQLITE
@pytest.mark.parametrize(
    ("stretch", "weekly", "field"),
    [
        ((-HOUR, HOUR), False, "starts_at"),
        ((HOUR, HOUR), False, "ends_at"),
        ((HOUR, HOUR + timedelta(days=31)), False, "ends_at"),
        ((HOUR, HOUR + timedelta(hours=25)), True, "ends_at"),
        ((timedelta(days=400), timedelta(days=401)), False, "starts_at"),
    ],
)
def test_times_out_of_bounds_are_refused(
    app: Flask, relay: uuid.UUID, stretch: tuple[timedelta, timedelta], weekly: bool, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        plan(app, relay, START + stretch[0], START + stretch[1], weekly=weekly)
    assert set(refused.value.errors) == {field}
    assert load(app, relay).maintenance_from is None


@SQLITE
def test_a_disabled_or_deleted_integration_is_not_checked_at_the_end(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    off = make_integration(app, team.admin, "Off", enabled=False, status=Status.INACTIVE)
    gone = make_integration(app, team.admin, "Gone")
    for each in (off, gone):
        start(app, each)
    with app.app_context(), unit_of_work() as session:
        session.get_one(Integration, gone).deleted_at = START
    time.shift(HOUR)
    assert advance(app) == 2
    assert {load(app, each).next_check_at for each in (off, gone)} == {None}


@SQLITE
def test_a_person_plans_in_the_zone_of_the_organization(app: Flask, admin: Browser, relay: uuid.UUID) -> None:
    with app.app_context(), unit_of_work() as session:
        session.get_one(Organization, load(app, relay).organization_id).time_zone = "Europe/Berlin"
    here = f"/admin/integrations/{relay}/maintenance"
    form = {"repeats": "weekly", "starts_at": "2025-11-23T02:00", "ends_at": "2025-11-23T03:30", "reason": "<Backup>"}
    assert admin.post(here, {**form, "ends_at": "2025-11-23T01:00"}).status_code == 422
    assert admin.post(here, form).status_code in (302, 303)
    assert load(app, relay).maintenance_from == datetime(2025, 11, 23, 1, 0, tzinfo=UTC)
    shown = admin.get(here).text
    assert "&lt;Backup&gt;" in shown
    assert "Every week" in shown
    assert admin.post(f"{here}/start", {"hours": "9"}).status_code == 400
    admin.post(f"{here}/start", {"hours": "4"})
    assert load(app, relay).maintenance_until == START + 4 * HOUR
    detail = admin.get(f"/admin/integrations/{relay}").text
    assert "In maintenance until" in detail
    listed = admin.get("/admin/integrations?status=maintenance").text
    assert f"row-{relay}" in listed
    admin.post(f"{here}/end")
    assert f"row-{relay}" not in admin.get("/admin/integrations?status=maintenance").text
    assert "In maintenance until" not in admin.get(f"/admin/integrations/{relay}").text
