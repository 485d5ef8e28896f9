"""What a check stores: state, error in words, log; and what people may ask for."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from portal import clock
from portal.audit import access
from portal.database import reading, unit_of_work
from portal.health import checks, service
from portal.health.models import HealthCheckRun
from portal.integrations import calls
from portal.integrations import service as integrations
from portal.integrations.models import CheckKind, Condition, Integration, IntegrationSecret, Status
from portal.providers.base import Outcome
from tests.support.integrations import (
    CANARY,
    Mail,
    due,
    load,
    logs,
    make_integration,
    passed,
    refused,
    trail,
    unverified,
)
from tests.support.people import Team, make_team


def check_due(app: Flask) -> int:
    with app.app_context():
        claims = checks.claim_due(50)
        for each in claims:
            checks.run(each)
        return len(claims)


def test_a_passed_check_resolves_and_is_logged_with_its_steps(app: Flask, team: Team, mail: Mail) -> None:
    long_ago = clock.now() - timedelta(hours=3)
    broken: dict[str, Any] = {
        "status": Status.ERROR,
        "error_count": 4,
        "failing_since": long_ago,
        "error_message": "No answer.",
    }
    integration = make_integration(app, team.owner, **broken, **due(CheckKind.AUTO))
    check_due(app)
    after = load(app, integration)
    assert (after.status, after.condition, after.error_count) == (Status.ACTIVE, None, 0)
    assert (after.failing_since, after.error_message, after.check_token) == (None, None, None)
    assert (after.last_health_check_status, after.last_health_check_ms, after.last_sync_ok) == ("success", 84, True)
    (log,) = logs(app)
    assert (log.check_type, log.status, log.response_time_ms) == ("auto", "success", 84)
    assert [step["name"] for step in log.detail["steps"]] == ["DNS", "Login"]
    assert log.detail["recovered_after"] == 4


def test_the_second_failure_after_half_a_minute_makes_it_an_error_in_words(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, **due())
    mail.report = refused()
    start = clock.now()
    with time_machine.travel(start, tick=False) as moment:
        check_due(app)
        assert load(app, integration).status == Status.ACTIVE
        moment.shift(29)
        assert check_due(app) == 0
        moment.shift(2)
        assert check_due(app) == 1
    after = load(app, integration)
    assert (after.status, after.condition, after.failing_since) == (Status.ERROR, Condition.REAUTH, start)
    assert (after.error_title, after.error_code) == ("login failed", "535 5.7.8")
    assert after.error_message == "The server refused the login."
    assert [each.check_type for each in logs(app)] == ["scheduled", "auto"]


def test_being_limited_is_logged_as_such_and_waits_as_long_as_the_provider_asks(
    app: Flask, team: Team, mail: Mail
) -> None:
    integration = make_integration(app, team.owner, **due())
    mail.report = refused(Outcome.RATE_LIMITED, "asked to slow down", retry_after=1800.0)
    now = clock.now()
    check_due(app)
    after = load(app, integration)
    assert (after.status, after.condition, after.last_sync_ok) == (Status.ACTIVE, Condition.LIMITED, True)
    assert after.next_check_at is not None
    assert after.next_check_at >= now + timedelta(seconds=1800)
    assert logs(app)[0].status == "limited"


def test_an_unverified_integration_becomes_active_by_its_first_success(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, **unverified(), **due(CheckKind.AUTO))
    mail.report = refused()
    check_due(app)
    assert (load(app, integration).status, load(app, integration).condition) == ("inactive", "unverified")
    mail.report = passed()
    with time_machine.travel(clock.now() + timedelta(seconds=31)):
        check_due(app)
    assert (load(app, integration).status, load(app, integration).condition) == ("active", None)


def test_the_next_check_comes_after_the_interval_give_or_take_a_tenth(app: Flask, team: Team, mail: Mail) -> None:
    ids = [
        make_integration(app, team.owner, f"Mail {n}", password="", health_check_interval_minutes=10, **due())
        for n in range(12)
    ]
    with time_machine.travel(clock.now(), tick=False):
        check_due(app)
        waits = {(load(app, each).next_check_at or clock.now()) - clock.now() for each in ids}
    assert all(timedelta(minutes=9) <= wait <= timedelta(minutes=11) for wait in waits)
    assert len(waits) == 12


def test_the_check_gets_the_opened_secret_and_its_use_is_recorded(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, **due())
    check_due(app)
    assert mail.probed[0]["password"] == CANARY
    with app.app_context(), reading():
        use = access.last_use(integration)
    assert use is not None
    assert (use.purpose, use.actor_name) == ("Health check", "Portal")
    assert CANARY not in str([(each.detail, each.error_message) for each in logs(app)])


def test_no_transaction_is_open_while_the_provider_is_called(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.owner, **due())
    mail.meanwhile = lambda: make_integration(app, team.owner, "Another writer", password="")
    assert check_due(app) == 1
    assert len(logs(app)) == 1


def test_a_call_inside_a_transaction_is_refused(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner)
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Integration, integration)
        with pytest.raises(RuntimeError, match="transaction"):
            calls.prepare(row, {}).probe()


def test_a_disabled_integration_is_not_checked_on_request_either(app: Flask, team: Team, mail: Mail) -> None:
    integration = load(app, make_integration(app, team.owner, enabled=False, status=Status.INACTIVE))
    with app.app_context(), pytest.raises(service.Disabled):
        service.check_now(integration=integration, asked_by="Dana")
    assert mail.probed == []


def test_people_who_wait_for_providers_cannot_take_every_thread(app: Flask, team: Team, mail: Mail) -> None:
    integration = load(app, make_integration(app, team.owner))
    with app.app_context():
        places = [calls.place() for _ in range(calls.WAITING)]
        for each in places:
            each.__enter__()
        try:
            with pytest.raises(calls.TooBusy):
                service.check_now(integration=integration, asked_by="Dana")
        finally:
            for each in places:
                each.__exit__(None, None, None)
        assert service.check_now(integration=integration, asked_by="Dana") is not None


def start_run(app: Flask, team: Team) -> HealthCheckRun:
    with app.app_context(), unit_of_work():
        return service.check_all(organization_id=team.organization_id, asked_by="Dana Whitfield")


def progress(app: Flask, run: HealthCheckRun) -> service.Progress:
    with app.app_context(), reading():
        return service.progress(run)


def test_check_all_asks_for_every_enabled_integration_and_counts_how_far_it_is(
    app: Flask, team: Team, mail: Mail
) -> None:
    for name in ("One", "Two", "Three"):
        make_integration(app, team.owner, name, next_check_at=clock.now() + timedelta(hours=1))
    make_integration(app, team.owner, "Off", enabled=False)
    run = start_run(app, team)
    assert (run.total, progress(app, run).done) == (3, 0)
    with app.app_context():
        first, *rest = checks.claim_due(10)
        checks.run(first)
    assert (progress(app, run).done, progress(app, run).passed) == (1, 1)
    mail.report = refused()
    with app.app_context():
        for each in rest:
            checks.run(each)
    after = progress(app, run)
    assert (after.done, after.passed, after.failed, after.remaining) == (3, 1, 2, 0)
    assert {each.check_type for each in logs(app)} == {"manual"}
    assert len(trail(app, "health.check_all")) == 1


def test_a_second_check_all_joins_the_one_that_runs(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.owner)
    first = start_run(app, team)
    assert start_run(app, team).id == first.id
    check_due(app)
    assert start_run(app, team).id != first.id


def test_what_is_switched_off_during_check_all_counts_as_done(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner)
    run = start_run(app, team)
    with app.app_context(), unit_of_work() as session:
        integrations.set_enabled(integration=session.get_one(Integration, integration), enabled=False)
    assert (progress(app, run).done, progress(app, run).remaining) == (1, 0)


def test_check_all_of_nothing_is_harmless(app: Flask, team: Team) -> None:
    run = start_run(app, team)
    assert (run.total, progress(app, run).remaining) == (0, 0)


def test_check_all_leaves_other_organizations_alone(app: Flask, team: Team, mail: Mail) -> None:
    other = make_team(app, "Southline")
    theirs = make_integration(app, other.owner, next_check_at=None)
    start_run(app, team)
    assert load(app, theirs).next_check_run_id is None


def test_two_people_press_check_all_at_once_and_one_run_starts(app: Flask, team: Team) -> None:
    make_integration(app, team.owner)
    barrier = threading.Barrier(4)
    found: list[HealthCheckRun] = []

    def press() -> None:
        barrier.wait()
        found.append(start_run(app, team))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.id for each in found}) == 1


def test_a_secret_that_cannot_be_opened_is_said_in_words_and_blocks_nothing(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner)
    with app.app_context(), unit_of_work() as session:
        session.execute(update(IntegrationSecret).values(sealed=b"\x01" + bytes(60)))
    run = start_run(app, team)
    check_due(app)
    assert progress(app, run).remaining == 0
    after = load(app, integration)
    assert (after.error_title, after.check_token) == ("stored secret unreadable", None)
    assert "Enter it again" in (after.error_hint or "")
    assert mail.probed == []
