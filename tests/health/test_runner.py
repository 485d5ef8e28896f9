"""The runner and the scheduler: bounded, woken by commits, undisturbed by one broken row, stopping without loss."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.database import on_wake, unit_of_work
from portal.health.runner import CheckRunner
from portal.integrations import service
from portal.integrations.models import Integration
from portal.jobs import Scheduler
from tests.support.integrations import Mail, due, load, logs, make_integration
from tests.support.people import Team

PATIENCE = 20.0
"""Seconds after which a test that waits has failed."""


@pytest.fixture
def runner(app: Flask) -> Iterator[CheckRunner]:
    made = CheckRunner(app, places=2)
    yield made
    made.stop()


def tick(app: Flask, runner: CheckRunner) -> int:
    with app.app_context():
        return runner.tick()


def test_it_starts_no_more_than_it_has_places(app: Flask, team: Team, mail: Mail, runner: CheckRunner) -> None:
    for number in range(5):
        make_integration(app, team.owner, f"Mail {number}", **due())
    gate = threading.Event()
    mail.meanwhile = lambda: gate.wait(PATIENCE)
    assert tick(app, runner) == 2
    assert tick(app, runner) == 0
    gate.set()
    runner.drain(PATIENCE)
    assert tick(app, runner) == 2
    runner.drain(PATIENCE)
    assert len(logs(app)) == 4


def test_a_broken_row_does_not_keep_the_others_from_being_checked(
    app: Flask, team: Team, mail: Mail, runner: CheckRunner, caplog: pytest.LogCaptureFixture
) -> None:
    broken = make_integration(app, team.owner, "Broken", provider="gone", **due())
    sound = make_integration(app, team.owner, "Sound", **due())
    assert tick(app, runner) == 2
    runner.drain(PATIENCE)
    assert [each.integration_id for each in logs(app)] == [sound]
    assert f"check of integration {broken} failed inside the portal" in caplog.text
    assert load(app, broken).next_check_at is not None


def test_stopping_returns_what_has_not_started_and_waits_for_what_has(app: Flask, team: Team, mail: Mail) -> None:
    runner = CheckRunner(app, places=1)
    make_integration(app, team.owner, "Running", **due())
    gate, running = threading.Event(), threading.Event()

    def slow() -> None:
        running.set()
        gate.wait(PATIENCE)

    mail.meanwhile = slow
    assert tick(app, runner) == 1
    assert running.wait(PATIENCE)
    waiting = make_integration(app, team.owner, "Waiting", **due())
    runner._places = 2  # one more is claimed than there are threads, as when a check has just ended
    assert tick(app, runner) == 1
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    gate.set()
    stopping.join(PATIENCE)
    assert [each.status for each in logs(app)] == ["success"]
    returned = load(app, waiting)
    assert returned.check_token is None
    with app.app_context():
        assert CheckRunner(app).tick() == 1  # due at once for the next process


def test_a_save_is_checked_at_once_because_its_commit_wakes_the_scheduler(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, enabled=False)
    checked = threading.Event()
    mail.meanwhile = checked.set
    scheduler = Scheduler(app)
    scheduler.jobs = tuple(replace(job, seconds=3600) for job in scheduler.jobs)  # so that no tick does it
    scheduler.start()
    try:
        with app.app_context(), unit_of_work() as session:
            service.set_enabled(integration=session.get_one(Integration, integration), enabled=True)
        assert checked.wait(PATIENCE)
    finally:
        scheduler.stop()


def _fail_after_enabling(integration: uuid.UUID) -> None:
    with unit_of_work() as session:
        service.set_enabled(integration=session.get_one(Integration, integration), enabled=True)
        raise ZeroDivisionError


def test_a_rolled_back_save_wakes_nobody(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, enabled=False)
    woken: list[bool] = []
    off = on_wake(service.WAKE, lambda: woken.append(True))
    with app.app_context(), pytest.raises(ZeroDivisionError):
        _fail_after_enabling(integration)
    off()
    assert woken == []
