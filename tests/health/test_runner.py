"""The runner and the scheduler: bounded, woken at once, unharmed by a broken check, and stopped without losing one."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal import clock, database
from portal.database import reading, unit_of_work
from portal.health import checks, recording
from portal.health import runner as runner_module
from portal.health.checks import LEASE, Ready
from portal.health.places import Places
from portal.health.recording import Finding
from portal.health.runner import CheckRunner
from portal.integrations import drafts, forms, service
from portal.integrations.models import CheckKind, Condition, Integration
from portal.jobs import Job, Scheduler
from portal.providers import catalogue
from portal.providers.base import CHECKS_AT_ONCE, Report
from tests.support.integrations import Mail, add_integration, due, load, logs, make_integration, posted
from tests.support.people import Team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PATIENCE = 30.0
"""Seconds to wait for what another thread does; reached only by a failure."""


class Gate:
    """Holds checks until it is opened, and counts how many wait at it."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self) -> None:
        """Wait here."""
        self.arrived.release()
        assert self.open.wait(PATIENCE)

    def wait_for(self, count: int) -> None:
        """Return once so many have arrived."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE)


@pytest.fixture
def gate(mail: Mail) -> Iterator[Gate]:
    """Holds every call to a provider."""
    gate = Gate()
    mail.meanwhile = gate
    yield gate
    gate.open.set()


def many(app: Flask, team: Team, count: int) -> list[uuid.UUID]:
    with app.app_context(), unit_of_work():
        return [add_integration(team.admin, f"Relay {number}", **due()).id for number in range(count)]


def tick(app: Flask, runner: CheckRunner) -> int:
    with app.app_context():
        return runner.tick()


def test_no_more_checks_run_at_once_than_there_are_places(app: Flask, team: Team, mail: Mail, gate: Gate) -> None:
    many(app, team, 5)
    runner = CheckRunner(app, places=2)
    assert tick(app, runner) == 2
    gate.wait_for(2)
    assert tick(app, runner) == 0, "a tick never waits, and claims none whose server may keep it waiting"
    gate.open.set()
    runner.drain()
    while tick(app, runner):
        runner.drain()
    runner.stop()
    assert len(logs(app)) == 5
    assert len(mail.probed) == 5


@SQLITE
def test_a_server_that_hangs_takes_its_own_places_alone(app: Flask, team: Team, mail: Mail, gate: Gate) -> None:
    """However many of its checks are due, and for how long: those of others come at once."""
    longer = clock.now() - timedelta(hours=1)
    with app.app_context(), unit_of_work():
        for number in range(40):
            add_integration(team.admin, f"Slow {number}", **{**due(), "next_check_at": longer}, check_group="smtp:slow")
        fast = {add_integration(team.admin, f"Fast {number}", **due(), check_group="smtp:fast").id for number in (1, 2)}
    runner = CheckRunner(app)
    assert tick(app, runner) == CHECKS_AT_ONCE + 2
    gate.wait_for(CHECKS_AT_ONCE + 2)
    with app.app_context(), reading() as session:
        held = set(session.scalars(select(Integration.id).where(Integration.check_token.is_not(None))))
    assert fast <= held
    assert tick(app, runner) == 0
    gate.open.set()
    runner.stop(PATIENCE)


@SQLITE
def test_what_somebody_waits_for_comes_before_what_is_overdue(app: Flask, team: Team, mail: Mail) -> None:
    longer = clock.now() - timedelta(hours=1)
    with app.app_context(), unit_of_work():
        for number in range(30):
            add_integration(team.admin, f"Late {number}", **{**due(), "next_check_at": longer})
        urgent = [add_integration(team.admin, kind, **due(kind)).id for kind in (CheckKind.MANUAL, CheckKind.AUTO)]
    with app.app_context():
        assert {each.integration_id for each in checks.claim_due(2)} == set(urgent)


@SQLITE
def test_what_was_missed_for_a_day_is_made_up_for_by_one_check_each(app: Flask, team: Team, mail: Mail) -> None:
    """And the next ones are spread over the interval again, though these came all together."""
    with app.app_context(), unit_of_work():
        for number in range(300):
            yesterday = {**due(), "next_check_at": clock.now() - timedelta(days=1)}
            add_integration(team.admin, f"Relay {number}", **yesterday, check_group=f"smtp:{number % 40}")
    runner = CheckRunner(app)
    while tick(app, runner):
        runner.drain()
    runner.stop()
    assert len(mail.probed) == 300
    with app.app_context(), reading() as session:
        moments = session.scalars(select(Integration.next_check_at)).all()
    minutes = Counter(int((each - clock.now()).total_seconds() // 60) for each in moments if each)
    assert set(minutes) <= set(range(1, 8))
    assert max(minutes.values()) < 300 / 5 * 1.6, "five minutes have about a fifth each"


@SQLITE
def test_an_answer_after_the_lease_counts_unless_another_worker_took_over(
    app: Flask, team: Team, mail: Mail, gate: Gate
) -> None:
    """A provider that answers late, of two whose leases ran out: one was claimed by another process meanwhile."""
    kept, taken = many(app, team, 2)
    runner = CheckRunner(app)
    tick(app, runner)
    gate.wait_for(2)
    with time_machine.travel(clock.now() + LEASE * 2):
        assert tick(app, runner) == 0, "what it checks itself it does not check twice at the same time"
        with app.app_context():
            assert checks.claim_one(taken, kind=CheckKind.SCHEDULED, asked_by="")
        gate.open.set()
        runner.stop(PATIENCE)
    assert [each.integration_id for each in logs(app)] == [kept]
    assert load(app, taken).check_token is not None


def test_what_is_gone_or_refused_holds_back_no_result_of_the_same_batch(
    app: Flask, team: Team, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = many(app, team, 5)
    runner = CheckRunner(app)
    tick(app, runner)
    gate.wait_for(5)
    with app.app_context(), unit_of_work() as session:
        service.delete(integration=session.get_one(Integration, ids[0]))
        session.delete(session.get_one(Integration, ids[1]))
    real = recording._log

    def log(finding: Finding, *rest: Any) -> dict[str, Any]:
        if finding.claim.integration_id == ids[2]:
            raise LookupError("this one cannot be written")
        return real(finding, *rest)

    monkeypatch.setattr(recording, "_log", log)
    gate.open.set()
    runner.stop(PATIENCE)
    assert sorted(each.integration_id for each in logs(app)) == ids[3:]
    assert f"what the check of integration {ids[2]} found is lost" in caplog.text


def test_results_wait_for_a_database_that_is_away(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(app, team, 3)
    runner = CheckRunner(app)
    tick(app, runner)
    runner._places.wait(PATIENCE)
    with monkeypatch.context() as away:
        away.setattr(recording, "_held", Mock(side_effect=OperationalError("away", None, Exception())))
        assert tick(app, runner) == 0
    assert logs(app) == []
    tick(app, runner)
    runner.stop()
    assert [each.status for each in logs(app)] == ["success"] * 3


def test_a_broken_check_is_logged_and_ends_no_other(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = many(app, team, 4)
    real = checks.probe

    def probe(ready: Ready) -> Report:
        if ready.claim.integration_id == ids[1]:
            raise LookupError("broken inside the portal")
        return real(ready)

    monkeypatch.setattr(checks, "probe", probe)
    runner = CheckRunner(app, places=2)
    for _ in range(4):
        tick(app, runner)
        runner.drain()
    runner.stop()
    assert {each.integration_id for each in logs(app)} == {*ids} - {ids[1]}
    assert f"check of integration {ids[1]} failed inside the portal" in caplog.text
    assert load(app, ids[1]).check_token is not None, "its lease brings it back"


def test_a_stop_waits_for_checks_under_way(app: Flask, team: Team, mail: Mail, gate: Gate) -> None:
    many(app, team, 2)
    runner = CheckRunner(app, places=2)
    tick(app, runner)
    gate.wait_for(2)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(runner.stop, PATIENCE)
        gate.open.set()
        stopped.result(timeout=PATIENCE)
    assert [each.status for each in logs(app)] == ["success", "success"]


def test_a_stop_does_not_wait_longer_than_it_may(app: Flask, team: Team, mail: Mail, gate: Gate) -> None:
    [integration] = many(app, team, 1)
    runner = CheckRunner(app, places=1)
    tick(app, runner)
    gate.wait_for(1)
    runner.stop(timeout=0.01)
    assert logs(app) == []
    assert load(app, integration).check_token is not None
    gate.open.set()
    runner.drain(PATIENCE)


def test_a_stop_gives_back_what_has_not_started(app: Flask, team: Team, mail: Mail) -> None:
    [integration] = many(app, team, 1)
    runner = CheckRunner(app, places=1)
    blocked = threading.Event()
    occupied = runner._pool.submit(blocked.wait, PATIENCE)
    assert tick(app, runner) == 1
    assert load(app, integration).check_token is not None
    runner.stop(timeout=0.01)
    stored = load(app, integration)
    assert stored.check_token is None
    assert stored.next_check_at is not None
    assert stored.next_check_at <= clock.now()
    blocked.set()
    occupied.result(timeout=PATIENCE)
    assert mail.probed == []
    with app.app_context():
        assert len(checks.claim_due(1)) == 1, "another process takes it at once"


@SQLITE
def test_a_check_that_waited_so_long_that_it_could_outlast_its_lease_is_not_begun(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LATEST_START", -1.0)
    [integration] = many(app, team, 1)
    runner = CheckRunner(app)
    assert tick(app, runner) == 1
    runner.drain()
    assert mail.probed == []
    assert load(app, integration).check_token is None
    monkeypatch.setattr(runner_module, "LATEST_START", 40.0)
    assert tick(app, runner) == 1, "it is due as before"
    runner.stop()


def test_after_a_stop_nothing_is_claimed(app: Flask, team: Team, mail: Mail) -> None:
    many(app, team, 1)
    runner = CheckRunner(app, places=1)
    runner.stop()
    assert tick(app, runner) == 0


@pytest.fixture
def scheduler(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """The scheduler of one process after its first look; further ones come by being woken alone."""
    monkeypatch.setattr(runner_module, "LOOK_EVERY", 3600.0)
    scheduler = Scheduler(app)
    looked, exchange = threading.Event(), scheduler._checks._exchange

    def look(**more: Any) -> int:
        try:
            return exchange(**more)
        finally:
            looked.set()

    scheduler._checks._exchange = look  # type: ignore[method-assign]
    scheduler.start()
    assert looked.wait(PATIENCE)
    yield scheduler
    scheduler.stop()


def save(app: Flask, team: Team) -> uuid.UUID:
    """Save a new integration, as the drawer does."""
    with app.app_context(), unit_of_work():
        provider = catalogue.get("smtp")
        draft = drafts.check(provider, forms.read(provider, posted()), None)
        made = service.create(
            organization_id=team.organization_id, user_id=team.admin.user_id, draft=draft, verified=False
        )
        return made.id


def test_a_save_is_checked_at_once_without_waiting_for_the_next_tick(
    app: Flask, team: Team, mail: Mail, scheduler: Scheduler
) -> None:
    checked = threading.Event()
    mail.meanwhile = checked.set
    integration = save(app, team)
    assert checked.wait(PATIENCE)
    scheduler._checks.drain(PATIENCE)
    assert load(app, integration).condition is None
    assert [each.check_type for each in logs(app)] == ["auto"]


def test_more_work_than_places_is_done_in_one_go(
    app: Flask, team: Team, mail: Mail, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place that becomes free asks for the next look."""
    done = threading.Semaphore(0)
    mail.meanwhile = done.release
    monkeypatch.setattr(scheduler._checks, "_places", Places(2))
    with app.app_context(), unit_of_work():
        for number in range(7):
            add_integration(team.admin, f"Relay {number}", **due())
        database.wake_after_commit(service.WAKE)
    for _ in range(7):
        assert done.acquire(timeout=PATIENCE)
    scheduler._checks.drain(PATIENCE)


def test_a_job_that_fails_is_logged_and_looked_at_again(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(app)
    looks = threading.Semaphore(0)

    def fail() -> None:
        looks.release()
        raise LookupError("a broken job")

    scheduler.jobs = (Job("broken", 0.01, fail),)
    scheduler.start()
    for _ in range(3):
        assert looks.acquire(timeout=PATIENCE)
    scheduler.stop()
    assert "job broken failed" in caplog.text
    assert "a broken job" in caplog.text


def test_a_stopped_scheduler_is_woken_by_nobody(app: Flask, team: Team, mail: Mail) -> None:
    before = len(database._listeners.get(service.WAKE, []))
    scheduler = Scheduler(app)
    scheduler.start()
    assert len(database._listeners[service.WAKE]) == before + 1
    scheduler.stop()
    assert len(database._listeners[service.WAKE]) == before
    integration = save(app, team)
    assert load(app, integration).condition == Condition.UNVERIFIED
    assert mail.probed == []


def test_two_schedulers_do_no_work_twice(app: Flask, team: Team, mail: Mail) -> None:
    """As two processes would."""
    done = threading.Semaphore(0)
    mail.meanwhile = done.release
    schedulers = [Scheduler(app) for _ in range(2)]
    for each in schedulers:
        each.start()
    ids = {make_integration(app, team.admin, f"Relay {number}", **due()) for number in range(12)}
    for _ in ids:
        assert done.acquire(timeout=PATIENCE)
    for each in schedulers:
        each.stop(PATIENCE)
    assert sorted(each.integration_id for each in logs(app)) == sorted(ids)
    assert len(mail.probed) == len(ids)
