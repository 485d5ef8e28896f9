"""The runner and the scheduler: bounded, woken at once, unharmed by a broken check, and stopped without losing one."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask

from portal import clock, database
from portal.database import unit_of_work
from portal.health import checks
from portal.health.checks import Claim
from portal.health.runner import CheckRunner
from portal.integrations import drafts, forms, service
from portal.integrations.models import Condition
from portal.jobs import Job, Scheduler
from portal.providers import catalogue
from portal.providers.base import Report
from tests.support.integrations import Mail, add_integration, due, load, logs, make_integration, posted
from tests.support.people import Team

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
    woken = threading.Semaphore(0)
    runner = CheckRunner(app, places=2, woken=woken.release)
    assert tick(app, runner) == 2
    gate.wait_for(2)
    assert tick(app, runner) == 0, "a tick never waits and never claims what it cannot start"
    gate.open.set()
    for _ in range(2):
        assert woken.acquire(timeout=PATIENCE)
    assert tick(app, runner) == 2
    runner.drain()
    assert tick(app, runner) == 1
    runner.drain()
    runner.stop()
    assert len(logs(app)) == 5
    assert len(mail.probed) == 5


def test_a_broken_check_is_logged_and_ends_no_other(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = many(app, team, 4)
    real = checks.run

    def run(claim: Claim) -> Report | None:
        if claim.integration_id == ids[1]:
            raise LookupError("broken inside the portal")
        return real(claim)

    monkeypatch.setattr(checks, "run", run)
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


def test_after_a_stop_nothing_is_claimed(app: Flask, team: Team, mail: Mail) -> None:
    many(app, team, 1)
    runner = CheckRunner(app, places=1, woken=lambda: pytest.fail("nobody is there to be woken"))
    runner.stop()
    assert tick(app, runner) == 0


@pytest.fixture
def scheduler(app: Flask) -> Iterator[Scheduler]:
    """The scheduler of one process after its first look; further ones come by being woken alone."""
    scheduler = Scheduler(app)
    looked = threading.Event()
    checking, *others = scheduler.jobs

    def look() -> None:
        checking.run()
        looked.set()

    scheduler.jobs = (replace(checking, seconds=3600, run=look), *others)
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
    monkeypatch.setattr(scheduler._checks, "_places", 2)
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
