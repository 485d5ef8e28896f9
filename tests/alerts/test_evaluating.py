"""Alerts open once for a cause, on the edge, and resolve by themselves; whoever looks, and whatever the clock does."""

import logging
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from portal import clock
from portal.alerts import evaluating
from portal.alerts.models import UNTIL_IT_RECOVERS, AlertChange
from portal.database import db, on_wake, reading, unit_of_work
from portal.health import service as health
from portal.integrations import queries, service
from portal.integrations.models import Integration
from portal.jobs import Scheduler
from tests.alerts.kit import alerts, change, kinds, look, only, unproved, unreached, works
from tests.support.integrations import Mail, add_integration, failing, make_integration, passed, refused
from tests.support.people import Team, make_team
from tests.test_queries import plan

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_an_alert_says_what_failed_since_when_what_it_means_and_what_to_do(app: Flask, team: Team) -> None:
    since = NOW - timedelta(minutes=3)
    integration = make_integration(app, team.admin, **unreached(failing_since=since, error_code="T1"))
    make_integration(app, team.admin, "Fine")
    assert look(app) == 1
    found = only(app)
    assert (found.rule, found.severity, found.state) == ("integration_down", "critical", "open")
    assert (found.organization_id, found.integration_id) == (team.organization_id, integration)
    assert found.title == "Email relay (SMTP): timed out"
    assert (found.message, found.hint, found.code) == ("No answer within 15 s.", "Check the password.", "T1")
    assert found.impact == "Emails not sending"
    assert (found.since, found.opened_at, found.occurrences) == (since, NOW, 1)
    with app.app_context(), reading() as session:
        written = session.scalars(select(AlertChange)).one()
    assert (written.kind, written.at, written.alert_id, written.handled_at) == ("opened", NOW, found.id, None)


def test_it_opens_on_the_edge_alone_and_resolves_by_itself(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    integration = make_integration(app, team.admin, **unreached())
    assert look(app) == 1
    time.shift(timedelta(hours=5))
    assert look(app) == 0, "nothing changed"
    change(app, integration, **works())
    assert look(app) == 1
    found = only(app)
    assert (found.state, found.resolution, found.resolved_at) == ("resolved", "recovered", clock.now())
    assert look(app) == 0
    assert kinds(app) == ["opened", "resolved"]


def test_the_words_follow_the_cause_and_stay_one_alert(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin, **unreached())
    look(app)
    first = only(app)
    change(app, integration, **failing("login failed"))
    assert look(app) == 1
    found = only(app)
    assert (found.id, found.state) == (first.id, "open")
    assert (found.title, found.code) == ("Email relay (SMTP): re-authenticate, login failed", "535")
    assert kinds(app) == ["opened", "changed"]
    change(app, integration, error_message="The server refused the login again.")
    assert look(app) == 1
    assert only(app).message == "The server refused the login again."
    assert kinds(app) == ["opened", "changed"], "another sentence about the same fault is no news"


@SQLITE
@pytest.mark.parametrize(("minutes", "occurrences"), [(9, [2]), (11, [1, 1])])
def test_what_is_back_soon_is_the_same_alert(
    app: Flask, team: Team, time: time_machine.Traveller, minutes: int, occurrences: list[int]
) -> None:
    integration = make_integration(app, team.admin, **unreached())
    look(app)
    change(app, integration, **works())
    look(app)
    time.shift(timedelta(minutes=minutes))
    change(app, integration, **unreached())
    assert look(app) == 1
    found = alerts(app)
    assert [each.occurrences for each in found] == occurrences
    assert (found[-1].state, found[-1].resolved_at, found[-1].resolution) == ("open", None, "")
    assert kinds(app) == ["opened", "resolved", "reopened" if occurrences == [2] else "opened"]


@SQLITE
@pytest.mark.parametrize(("until", "left"), [(UNTIL_IT_RECOVERS, False), (NOW + timedelta(hours=8), True)])
def test_an_alert_that_comes_back_is_unseen_and_keeps_a_mute_for_some_hours(
    app: Flask, team: Team, until: datetime, left: bool
) -> None:
    integration = make_integration(app, team.admin, **unreached())
    look(app)
    with app.app_context(), unit_of_work() as session:
        row = session.merge(only(app))
        row.state, row.acknowledged_at, row.acknowledged_by, row.muted_until = "acknowledged", NOW, "Dana", until
    change(app, integration, **works())
    look(app)
    change(app, integration, **unreached())
    look(app)
    found = only(app)
    assert (found.state, found.acknowledged_at, found.acknowledged_by) == ("open", None, "")
    assert found.muted_until == (until if left else None)


@SQLITE
def test_it_ends_as_what_happened_to_the_integration(app: Flask, team: Team) -> None:
    ids = {
        name: make_integration(app, team.admin, name, **failing()) for name in ("Off", "Gone", "Saved again", "Mended")
    }
    assert look(app) == 4
    with app.app_context(), unit_of_work():
        place = team.organization_id
        service.set_enabled(integration=queries.get(organization_id=place, integration_id=ids["Off"]), enabled=False)
        service.delete(integration=queries.get(organization_id=place, integration_id=ids["Gone"]))
    change(app, ids["Saved again"], **unproved())
    change(app, ids["Mended"], **works())
    assert look(app) == 4
    ends = {each.integration_id: each.resolution for each in alerts(app)}
    assert ends == {
        ids["Off"]: "disabled", ids["Gone"]: "removed", ids["Saved again"]: "changed", ids["Mended"]: "recovered",
    }  # fmt: skip


@SQLITE
def test_a_clock_that_is_set_back_breaks_nothing(app: Flask, team: Team, time: time_machine.Traveller) -> None:
    integration = make_integration(app, team.admin, **unreached())
    look(app)
    time.move_to(NOW - timedelta(days=1))
    assert look(app) == 0
    change(app, integration, **works())
    look(app)
    found = only(app)
    assert (found.state, found.resolved_at) == ("resolved", NOW), "its history does not run backwards"
    change(app, integration, **unreached())
    look(app)
    assert kinds(app, only(app).id) == ["opened", "resolved", "reopened"]


def test_of_many_who_look_at_once_one_opens_and_one_resolves(app: Flask, team: Team) -> None:
    ids = [make_integration(app, team.admin, f"Relay {number}", **failing()) for number in range(5)]

    def all_at_once() -> int:
        ready, counts = threading.Barrier(4), Counter[int]()

        def run() -> None:
            with app.app_context():
                ready.wait()
                counts[evaluating.evaluate()] += 1
                db.session.remove()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sum(counts.values()) == 4, "nobody failed"
        return sum(found * times for found, times in counts.items())

    assert all_at_once() == 5
    for each in ids:
        change(app, each, **works())
    assert all_at_once() == 5
    assert Counter(kinds(app)) == {"opened": 5, "resolved": 5}


def test_a_finding_that_is_gone_when_its_turn_comes_opens_nothing(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a look that waited for another would open what that one has just resolved."""
    integration = make_integration(app, team.admin, **failing())
    first = evaluating._difference
    looks: list[object] = []

    def meanwhile(settled: bool, organization_ids: object) -> object:
        found = first(settled, organization_ids)  # type: ignore[arg-type]
        looks.append(found)
        if len(looks) == 1:
            db.session.remove()
            change(app, integration, **works())
        return found

    monkeypatch.setattr(evaluating, "_difference", meanwhile)
    assert look(app) == 0
    assert (len(looks), alerts(app)) == (2, [])


def test_five_hundred_at_once_are_a_few_statements(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        ids = [add_integration(team.admin, f"Relay {number}", **failing()).id for number in range(500)]
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert look(app) == 500
        opening = len(statements)
        for each in (ids[:250], ids[250:]):
            with app.app_context(), unit_of_work() as session:
                for row in session.scalars(select(Integration).where(Integration.id.in_(each))):
                    for name, value in works().items():
                        setattr(row, name, value)
        statements.clear()
        assert look(app) == 500
        resolving = len(statements)
    finally:
        with app.app_context():
            event.remove(db.engine, "before_cursor_execute", note)
    assert opening < 60
    assert resolving < 60
    assert Counter(kinds(app)) == {"opened": 500, "resolved": 500}


@SQLITE
def test_a_row_that_no_rule_can_read_keeps_nobody_elses_alerts_back(
    app: Flask, team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    others = [team, *(make_team(app, f"Southline {number}") for number in range(4))]
    for each in others:
        make_integration(app, each.admin, **failing())
    broken = make_team(app, "Broken")
    make_integration(app, broken.admin, **failing(), capabilities=["unheard-of"])
    with caplog.at_level(logging.ERROR, logger="portal.alerts"):
        assert look(app) == len(others)
        assert look(app) == 0
    assert {each.organization_id for each in alerts(app)} == {each.organization_id for each in others}
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"the alerts of organization {broken.organization_id} cannot be brought up to date"] * 2
    assert "unheard-of" in caplog.text


@SQLITE
def test_a_provider_that_only_another_version_has_is_called_as_it_is_stored(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, "Relay", **unreached(), provider="unheard-of")
    assert (look(app), only(app).title) == (1, "Relay (unheard-of): timed out")


@SQLITE
def test_a_database_that_does_not_answer_is_no_organizations_fault(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def gone(_settled: bool, organization_ids: object) -> None:
        looks.append(organization_ids)
        raise OperationalError("SELECT", None, OSError("gone"))

    monkeypatch.setattr(evaluating, "_difference", gone)
    with pytest.raises(OperationalError):
        look(app)
    assert looks == [None]


def test_a_look_that_finds_nothing_new_writes_nothing_and_scans_no_table(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        for number in range(600):
            add_integration(team.admin, f"Relay {number}", **(failing() if number == 7 else {}))
    look(app)
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        found = plan(app, evaluating.evaluate)
        event.remove(db.engine, "before_cursor_execute", note)
    assert not [each for each in statements if each.startswith(("INSERT", "UPDATE"))]
    assert "ix_integrations_in_error" in found
    assert "SCAN integrations" not in found.replace("SCAN integrations USING INDEX ix_integrations_in_error", "")
    assert "Seq Scan on integrations" not in found


@SQLITE
def test_each_organization_has_its_own_alerts(app: Flask, team: Team) -> None:
    other = make_team(app, "Southline")
    for each in (team, other):
        make_integration(app, each.admin, **failing())
    assert look(app) == 2
    assert {each.organization_id for each in alerts(app)} == {team.organization_id, other.organization_id}


@SQLITE
def test_a_check_that_turns_an_integration_wakes_the_look_at_once(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    woken: list[uuid.UUID] = []
    off = on_wake(evaluating.WAKE, lambda: woken.append(integration))
    try:
        for report in (refused(), refused(), passed()):
            mail.report = report
            with app.app_context():
                with reading():
                    row = queries.get(organization_id=team.organization_id, integration_id=integration)
                health.check_now(integration=row, asked_by="x")
            woken.append(uuid.UUID(int=0))
    finally:
        off()
    assert [each.int != 0 for each in woken] == [False, True, False, True, False], "by the second failure, and the end"


@SQLITE
def test_the_scheduler_looks(app: Flask) -> None:
    jobs = {job.name: job for job in Scheduler(app).jobs}
    assert (jobs["alerts"].seconds, jobs["alerts"].topic) == (5, evaluating.WAKE)
    assert "audit-watch" in jobs
