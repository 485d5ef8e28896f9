"""Whether checks are on time and whether anybody looks: on the dashboard, and for who supervises the process."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal import clock
from portal.database import reading, unit_of_work
from portal.health import pulse
from portal.health.pulse import Beat, Pulse, SchedulerTick
from tests.support.integrations import due, make_integration
from tests.support.people import Browser, Team

START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def read(app: Flask) -> Pulse:
    with app.app_context(), reading():
        return pulse.read()


def note(app: Flask, process: str = "") -> None:
    with app.app_context(), unit_of_work() as session:
        if process:
            session.add(SchedulerTick(process=process, at=clock.now()))
        else:
            pulse.note()


def test_it_says_how_late_checks_are_and_when_they_were_last_looked_for(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    assert read(app) == Pulse(late=timedelta(0), last_look=None, stale=True)
    note(app)
    make_integration(app, team.admin, **due())
    make_integration(app, team.admin, "Later", next_check_at=START + timedelta(minutes=9))
    time.shift(9)
    assert read(app).on_time
    time.shift(31)
    found = read(app)
    assert (found.late, found.last_look, found.stale, found.on_time) == (timedelta(seconds=40), START, False, False)
    time.shift(21)
    assert read(app).stale


def test_of_several_processes_the_last_look_counts_and_the_gone_are_forgotten(
    app: Flask, time: time_machine.Traveller
) -> None:
    note(app, "gone")
    time.shift(pulse.FORGOTTEN + timedelta(seconds=1))
    note(app)
    note(app)
    with app.app_context(), reading() as session:
        assert len(session.scalars(select(SchedulerTick)).all()) == 1
    assert read(app).last_look == clock.now()


def test_notes_from_before_the_clock_was_set_back_say_nothing_for_ever(
    app: Flask, time: time_machine.Traveller
) -> None:
    note(app, "gone")
    time.shift(timedelta(hours=-5))
    note(app)
    time.shift(pulse.STALE + timedelta(seconds=1))
    assert read(app).stale


@SQLITE
def test_the_dashboard_says_it(app: Flask, team: Team, admin: Browser, time: time_machine.Traveller) -> None:
    make_integration(app, team.admin, **due())
    note(app)
    assert "They are on time." in admin.get("/admin/integrations").text
    time.shift(40)
    shown = admin.get("/admin/integrations").text
    assert "Checks are late by 40 sec" in shown
    assert "They are on time." not in shown
    time.shift(timedelta(minutes=2))
    assert "Nothing is checked: no scheduler runs" in admin.get("/admin/integrations").text


@SQLITE
def test_a_supervisor_learns_whether_the_process_works(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "ok", "scheduler": "off"}, "it runs elsewhere, which is fine"
    beat = Beat(app)
    make_integration(app, team.admin, next_check_at=START - timedelta(seconds=90))
    answer = client.get("/readyz")
    facts = {"status": "ok", "scheduler": "running", "database": "ok", "checks_late_seconds": 90.0}
    assert (answer.status_code, answer.json) == (200, facts)
    beat.at -= pulse.STALE.total_seconds()
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json and answer.json["scheduler"]) == (503, "stalled")
    beat.beat()
    monkeypatch.setattr(pulse, "read", lambda: (_ for _ in ()).throw(OperationalError("away", None, Exception())))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json and answer.json["database"]) == (503, "unreachable")
    assert client.get("/healthz").status_code == 200
    beat.end()
    assert client.get("/healthz").json == {"status": "ok", "scheduler": "off"}
