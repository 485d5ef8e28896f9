"""Health check all: one run at a time, counted from what really happened."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.database import new_id, reading, unit_of_work
from portal.health import checks
from portal.health import service as health
from portal.health.models import HealthCheckRun
from portal.health.service import RUN_IS_SHOWN, RUN_LASTS, Progress
from portal.integrations import service
from portal.integrations.models import Integration
from portal.providers.base import Outcome
from tests.support.integrations import Mail, due, load, logs, make_integration, passed, refused, trail
from tests.support.people import Browser, Team, make_team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


def check_all(app: Flask, team: Team) -> HealthCheckRun:
    with app.app_context(), unit_of_work():
        return health.check_all(organization_id=team.organization_id, asked_by="Marcus Oyelaran")


def work(app: Flask, limit: int = 100) -> None:
    """Run what is due."""
    with app.app_context():
        for claim in checks.claim_due(limit):
            checks.run(claim)


def progress(app: Flask, team: Team) -> Progress | None:
    with app.app_context(), reading():
        return health.shown_progress(organization_id=team.organization_id)


def counts(found: Progress | None) -> tuple[int, int, int, int, int]:
    assert found is not None
    return found.total, found.done, found.passed, found.failed, found.remaining


def test_every_enabled_integration_is_checked_and_counted(app: Flask, team: Team, mail: Mail) -> None:
    ids = [make_integration(app, team.admin, f"Relay {number}") for number in range(3)]
    make_integration(app, team.admin, "Off", enabled=False)
    make_integration(app, team.admin, "Gone", deleted_at=START)
    make_integration(app, make_team(app, "Southgate").admin, "Theirs")
    run = check_all(app, team)
    assert counts(progress(app, team)) == (3, 0, 0, 0, 3)
    work(app, 1)
    mail.report = refused()
    work(app, 1)
    assert counts(progress(app, team)) == (3, 2, 1, 1, 1)
    mail.report = passed()
    work(app)
    assert counts(progress(app, team)) == (3, 3, 2, 1, 0)
    found = logs(app)
    assert {each.integration_id for each in found} == set(ids)
    assert {(each.check_type, each.run_id) for each in found} == {("manual", run.id)}
    [entry] = trail(app, "health.check_all")
    assert entry.after == {"integrations": 3}


def test_a_limited_check_counts_as_passed_since_it_is_no_outage(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin)
    check_all(app, team)
    mail.report = refused(Outcome.RATE_LIMITED)
    work(app)
    assert counts(progress(app, team)) == (1, 1, 1, 0, 0)


def test_a_second_call_joins_the_run_that_is_under_way(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin)
    first = check_all(app, team)
    assert check_all(app, team).id == first.id
    work(app)
    assert check_all(app, team).id != first.id
    assert len(trail(app, "health.check_all")) == 2


def test_of_eight_people_who_press_at_once_one_starts_the_run(app: Flask, team: Team) -> None:
    for number in range(4):
        make_integration(app, team.admin, f"Relay {number}")
    ready = threading.Barrier(8)

    def press(_number: int) -> uuid.UUID:
        ready.wait(timeout=30)
        return check_all(app, team).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(press, range(8)))) == 1
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(HealthCheckRun)) == 1


def test_it_does_not_wait_for_ever_on_checks_that_end_at_the_same_time(app: Flask, team: Team, mail: Mail) -> None:
    """A check holds its integration and then refers to the organization; a run does it the other way round."""
    for number in range(6):
        make_integration(app, team.admin, f"Relay {number}", **due())
    with app.app_context():
        claims = checks.claim_due(6)
    ready = threading.Barrier(7)

    def finish(number: int) -> None:
        ready.wait(timeout=30)
        if number == 6:
            check_all(app, team)
            return
        with app.app_context():
            checks.run(claims[number])

    with ThreadPoolExecutor(7) as pool:
        list(pool.map(finish, range(7)))
    work(app)
    assert counts(progress(app, team))[4] == 0


def test_what_is_disabled_or_deleted_meanwhile_is_not_waited_for(app: Flask, team: Team, mail: Mail) -> None:
    ids = [make_integration(app, team.admin, f"Relay {number}") for number in range(3)]
    check_all(app, team)
    with app.app_context(), unit_of_work() as session:
        service.set_enabled(integration=session.get_one(Integration, ids[0]), enabled=False)
        service.delete(integration=session.get_one(Integration, ids[1]))
    assert counts(progress(app, team)) == (3, 2, 0, 0, 1)
    work(app)
    assert counts(progress(app, team)) == (3, 3, 1, 0, 0)


def test_a_check_under_way_is_asked_for_anew_and_its_old_answer_dropped(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due())
    with app.app_context():
        [under_way] = checks.claim_due(1)
        run = check_all(app, team)
        assert checks.run(under_way) is None
    work(app)
    assert [each.run_id for each in logs(app)] == [run.id]
    assert load(app, integration).next_check_run_id is None


def test_a_check_by_hand_counts_for_the_run_that_waits_for_it(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    check_all(app, team)
    with app.app_context():
        with reading() as session:
            row = session.get_one(Integration, integration)
        health.check_now(integration=row, asked_by="Dana Whitfield")
    assert counts(progress(app, team)) == (1, 1, 1, 0, 0)


@SQLITE
def test_a_run_is_shown_while_it_lasts_and_shortly_after(app: Flask, team: Team, mail: Mail) -> None:
    with time_machine.travel(START, tick=False) as time:
        make_integration(app, team.admin)
        check_all(app, team)
        time.shift(RUN_IS_SHOWN * 10)
        assert counts(progress(app, team)) == (1, 0, 0, 0, 1)
        work(app)
        assert progress(app, team) is None
        time.move_to(START + RUN_IS_SHOWN - timedelta(seconds=1))
        assert counts(progress(app, team)) == (1, 1, 1, 0, 0)


@SQLITE
def test_a_run_that_never_ended_does_not_block_the_button_for_ever(app: Flask, team: Team) -> None:
    with time_machine.travel(START, tick=False) as time:
        make_integration(app, team.admin)
        lost = check_all(app, team)
        time.shift(RUN_LASTS)
        assert progress(app, team) is None
        assert check_all(app, team).id != lost.id


@SQLITE
def test_the_dashboard_shows_it_live(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    for number in range(2):
        make_integration(app, team.admin, f"Relay {number}")
    assert admin.post("/admin/integrations/check-all", target="board").status_code in (200, 204)
    board = admin.get("/admin/integrations", target="board")
    assert "Checking 2 integrations" in words(board)
    assert "0 of 2 done, 0 passed, 0 failed" in words(board)
    assert "Queued" in words(board)
    assert "every 2s" in board.text
    work(app)
    board = admin.get("/admin/integrations", target="board")
    assert "Checked 2 integrations" in words(board)
    assert "2 of 2 done, 2 passed, 0 failed" in words(board)
    assert "every 5s" in board.text


@SQLITE
def test_without_script_the_dashboard_says_that_it_started(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    answer = admin.post("/admin/integrations/check-all")
    assert answer.headers["Location"] == "/admin/integrations"
    assert "Checking 1 integration." in words(admin.get("/admin/integrations"))


@SQLITE
def test_with_nothing_enabled_it_says_so(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin, enabled=False)
    admin.post("/admin/integrations/check-all")
    assert "Nothing to check" in words(admin.get("/admin/integrations"))


def test_a_lost_worker_only_delays_a_run(app: Flask, team: Team, mail: Mail) -> None:
    with time_machine.travel(START, tick=False) as time:
        make_integration(app, team.admin)
        check_all(app, team)
        with app.app_context():
            assert len(checks.claim_due(1)) == 1
        time.shift(checks.LEASE)
        work(app)
        assert [each.status for each in logs(app)] == ["success"]
        time.move_to(START)
        assert counts(progress(app, team)) == (1, 1, 1, 0, 0)


@SQLITE
def test_ids_of_runs_are_not_confused(app: Flask, team: Team) -> None:
    with app.app_context(), reading():
        run = HealthCheckRun(
            id=new_id(), organization_id=team.organization_id, total=5, started_by="x", started_at=START
        )
        assert counts(health.progress(run)) == (5, 5, 0, 0, 0)
