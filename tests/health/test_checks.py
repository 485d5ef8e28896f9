"""A check: what it finds is recorded under its token alone, and decides how the integration is."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.audit.models import CredentialAccess
from portal.database import in_transaction, new_id, reading, unit_of_work
from portal.health import checks
from portal.health import service as health
from portal.health.checks import LEASE, Claim
from portal.health.spreading import JITTER, phase
from portal.health.transitions import LEAST, RECHECK
from portal.integrations import queries, service
from portal.integrations.models import CheckKind, Condition, Integration, IntegrationSecret, Status
from portal.providers.base import Outcome, Report
from tests.support.integrations import (
    CANARY,
    Mail,
    due,
    failing,
    load,
    logs,
    make_integration,
    passed,
    refused,
    unverified,
)
from tests.support.people import Team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def check(app: Flask) -> Report | None:
    """Claim the one check that is due and run it."""
    with app.app_context():
        [claim] = checks.claim_due(10)
        return checks.run(claim)


def make_due(app: Flask, integration: uuid.UUID) -> None:
    with app.app_context(), unit_of_work() as session:
        session.get_one(Integration, integration).next_check_at = clock.now()


def change(app: Flask, integration: uuid.UUID, do: Callable[..., Any], **more: Any) -> None:
    """Let somebody change an integration through its service."""
    with app.app_context(), unit_of_work() as session:
        do(integration=session.get_one(Integration, integration), **more)


def test_a_check_that_passes_is_recorded_with_its_steps(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due(), **unverified())
    report = check(app)
    assert report is not None
    assert report.ok
    stored, [log] = load(app, integration), logs(app)
    assert (stored.status, stored.condition, stored.check_token) == (Status.ACTIVE, None, None)
    assert (stored.last_health_check, stored.last_health_check_status) == (START, "success")
    assert (stored.last_health_check_ms, stored.last_sync, stored.last_sync_ok) == (84, START, True)
    assert (log.integration_id, log.organization_id) == (integration, team.organization_id)
    assert (log.check_type, log.status, log.response_time_ms) == ("scheduled", "success", 84)
    assert (log.error_class, log.error_code, log.error_message) == (None, None, None)
    assert [step["name"] for step in log.detail["steps"]] == ["DNS", "Login"]
    assert mail.probed == [{**stored.config, "password": CANARY}]


def test_a_check_that_fails_is_recorded_in_words(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due())
    mail.report = refused()
    check(app)
    stored, [log] = load(app, integration), logs(app)
    assert (log.status, log.error_class, log.error_code) == ("failure", "auth_rejected", "535 5.7.8")
    assert log.error_message == "The server refused the login."
    assert (stored.error_title, stored.error_hint) == ("login failed", "Check user name and password.")
    assert (stored.status, stored.error_count, stored.failing_since) == (Status.ACTIVE, 1, START)
    assert (stored.next_check_at, stored.next_check_kind) == (START + RECHECK, CheckKind.AUTO)
    assert stored.last_sync_ok is False


def test_two_failures_are_an_error_since_the_first_and_one_success_clears_all(
    app: Flask, team: Team, mail: Mail, time: time_machine.Traveller
) -> None:
    integration = make_integration(app, team.admin, **due())
    mail.report = refused()
    check(app)
    time.shift(RECHECK)
    check(app)
    broken = load(app, integration)
    assert (broken.status, broken.condition, broken.error_count) == (Status.ERROR, Condition.REAUTH, 2)
    assert broken.failing_since == START
    mail.report = passed()
    time.shift(timedelta(hours=2))
    check(app)
    mended = load(app, integration)
    assert (mended.status, mended.condition, mended.error_count, mended.failing_since) == (Status.ACTIVE, None, 0, None)
    assert (mended.error_class, mended.error_title, mended.error_message, mended.error_hint) == (None, None, None, None)
    assert logs(app)[-1].detail["recovered_after"] == 2


def test_a_limit_is_no_outage_and_waits_as_long_as_asked(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due())
    mail.report = refused(Outcome.RATE_LIMITED, "rate limit", retry_after=3600)
    check(app)
    stored = load(app, integration)
    assert (stored.status, stored.condition, stored.error_count) == (Status.ACTIVE, Condition.LIMITED, 0)
    assert stored.next_check_at == START + timedelta(hours=1)
    assert stored.last_sync_ok is True
    assert [each.status for each in logs(app)] == ["limited"]


@pytest.mark.parametrize("minutes", [1, 60])
def test_the_next_check_comes_at_the_integrations_own_moment_of_the_interval(
    app: Flask, team: Team, mail: Mail, minutes: int
) -> None:
    interval = timedelta(minutes=minutes)
    ids = [
        make_integration(app, team.admin, f"Relay {number}", health_check_interval_minutes=minutes, **due())
        for number in range(4)
    ]
    with app.app_context():
        for claim in checks.claim_due(10):
            checks.run(claim)
    for each in ids:
        moment = load(app, each).next_check_at
        assert moment is not None
        assert interval * (LEAST - JITTER) <= moment - START <= interval * (1 + LEAST + JITTER)
        off = (moment - datetime(1970, 1, 1, tzinfo=UTC) - phase(each, interval)) % interval
        assert min(off, interval - off) <= interval * JITTER


@SQLITE
def test_no_transaction_is_open_while_the_provider_is_asked(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin, **due())
    seen: list[bool] = []
    mail.meanwhile = lambda: seen.append(in_transaction())
    check(app)
    assert seen == [False]


MEANWHILE: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "disabled": (service.set_enabled, {"enabled": False}),
    "deleted": (service.delete, {}),
}


@pytest.mark.parametrize("case", MEANWHILE)
def test_what_was_disabled_or_deleted_meanwhile_records_nothing(app: Flask, team: Team, mail: Mail, case: str) -> None:
    do, more = MEANWHILE[case]
    integration = make_integration(app, team.admin, **due())
    mail.report = refused()
    mail.meanwhile = lambda: change(app, integration, do, **more)
    assert check(app) is None
    stored = load(app, integration)
    assert logs(app) == []
    assert (stored.error_count, stored.last_health_check, stored.next_check_at) == (0, None, None)


def test_what_was_switched_off_and_on_meanwhile_is_checked_anew(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due())

    def off_and_on() -> None:
        for enabled in (False, True):
            change(app, integration, service.set_enabled, enabled=enabled)

    mail.meanwhile = off_and_on
    assert check(app) is None
    assert logs(app) == []
    mail.meanwhile = lambda: None
    assert check(app) is not None


def test_what_was_claimed_again_meanwhile_records_only_the_later_one(
    app: Flask, team: Team, mail: Mail, time: time_machine.Traveller
) -> None:
    """The first worker was so slow that its lease ran out; it comes back with an older truth."""
    integration = make_integration(app, team.admin, **due())
    with app.app_context():
        [slow] = checks.claim_due(1)
        time.shift(LEASE)
        [fast] = checks.claim_due(1)
        mail.report = refused()
        assert checks.run(slow) is None
        mail.report = passed()
        assert checks.run(fast) is not None
        assert checks.run(fast) is None, "a claim is used once"
    assert [each.status for each in logs(app)] == ["success"]
    assert load(app, integration).error_count == 0


@SQLITE
@pytest.mark.parametrize("columns", [{"enabled": False}, {"deleted_at": START}])
def test_a_claim_on_what_is_gone_asks_no_provider(app: Flask, team: Team, mail: Mail, columns: dict[str, Any]) -> None:
    token = new_id()
    integration = make_integration(app, team.admin, check_token=token, **columns)
    with app.app_context():
        assert checks.run(Claim(integration, token, "manual", None)) is None
        assert checks.run(Claim(new_id(), token, "manual", None)) is None
    assert mail.probed == []


def test_the_use_of_the_secret_is_recorded_by_the_hour(
    app: Flask, team: Team, mail: Mail, time: time_machine.Traveller
) -> None:
    integration = make_integration(app, team.admin, **due())
    for minutes in (0, 20, 60):
        time.move_to(START + timedelta(minutes=minutes))
        make_due(app, integration)
        check(app)
    with app.app_context(), reading() as session:
        rows = session.scalars(select(CredentialAccess).order_by(CredentialAccess.first_at)).all()
        assert [(row.purpose, row.actor_kind, row.count) for row in rows] == [
            ("Health check", "system", 2),
            ("Health check", "system", 1),
        ]


def test_a_secret_that_cannot_be_opened_is_a_failed_check_and_nothing_stays_stuck(
    app: Flask, team: Team, mail: Mail
) -> None:
    integration = make_integration(app, team.admin, **due())
    with app.app_context(), unit_of_work() as session:
        row = session.scalars(select(IntegrationSecret)).one()
        row.sealed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])
    report = check(app)
    assert report is not None
    assert not report.ok
    stored, [log] = load(app, integration), logs(app)
    assert (stored.check_token, stored.error_count) == (None, 1)
    assert log.error_message is not None
    assert "The stored secret cannot be opened" in log.error_message
    assert mail.probed == []


def check_now(app: Flask, integration: uuid.UUID, asked_by: str = "Marcus Oyelaran") -> Report | None:
    with app.app_context():
        with reading() as session:
            row = session.get_one(Integration, integration)
        return health.check_now(integration=row, asked_by=asked_by)


def test_a_check_by_hand_says_who_asked(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    report = check_now(app, integration)
    assert report is not None
    assert report.ok
    [log] = logs(app)
    assert (log.check_type, log.detail["asked_by"]) == ("manual", "Marcus Oyelaran")
    stored = load(app, integration)
    assert stored.check_token is None
    assert stored.next_check_at is not None


def test_a_check_by_hand_is_newer_than_one_under_way(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **due())
    with app.app_context():
        [scheduled] = checks.claim_due(1)
    assert check_now(app, integration) is not None
    with app.app_context():
        assert checks.run(scheduled) is None
    assert [each.check_type for each in logs(app)] == ["manual"]


@SQLITE
def test_a_disabled_one_is_not_checked_by_hand_either(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, enabled=False)
    with pytest.raises(health.Disabled):
        check_now(app, integration)
    assert (logs(app), mail.probed) == ([], [])


@pytest.mark.parametrize("case", MEANWHILE)
def test_one_that_was_disabled_or_deleted_before_the_click_arrived_is_left_alone(
    app: Flask, team: Team, mail: Mail, case: str
) -> None:
    do, more = MEANWHILE[case]
    integration = make_integration(app, team.admin)
    with app.app_context():
        with reading() as session:
            seen = session.get_one(Integration, integration)
        change(app, integration, do, **more)
        assert health.check_now(integration=seen, asked_by="Marcus Oyelaran") is None
    stored = load(app, integration)
    assert (stored.check_token, stored.next_check_at) == (None, None)
    assert mail.probed == []


@SQLITE
def test_an_unverified_one_stays_so_while_it_fails_and_becomes_active_by_its_first_success(
    app: Flask, team: Team, mail: Mail
) -> None:
    integration = make_integration(app, team.admin, **unverified())
    mail.report = refused()
    for _ in range(3):
        check_now(app, integration)
    stored = load(app, integration)
    assert (stored.status, stored.condition) == (Status.INACTIVE, Condition.UNVERIFIED)
    with app.app_context(), reading():
        assert queries.failing_page(organization_id=team.organization_id).items == []
    mail.report = passed()
    check_now(app, integration)
    assert load(app, integration).status == Status.ACTIVE


@SQLITE
def test_long_words_of_a_provider_are_cut_to_what_the_table_keeps(app: Flask, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin, **failing(), **due())
    report = refused(title="x" * 500)
    error = report.error
    assert error is not None
    long = type(error)(**{**error.__dict__, "message": "m" * 5000, "hint": "h" * 5000, "code": "c" * 500})
    mail.report = Report(steps=(), outcome=report.outcome, error=long, response_time_ms=1)
    check(app)
    [log] = logs(app)
    assert log.error_message is not None
    assert log.error_code is not None
    assert (len(log.error_message), len(log.error_code)) == (1000, 60)


def test_what_was_said_is_kept_where_somebody_will_ask(app: Flask, team: Team, mail: Mail) -> None:
    """Of a check that fails or that somebody asked for; not of the many that pass as ever."""
    integration = make_integration(app, team.admin, **due())
    check(app)
    with app.app_context():
        health.check_now(integration=load(app, integration), asked_by="Dana")
    mail.report = refused()
    make_due(app, integration)
    check(app)
    said = [{"way": "sent", "text": "AUTH PLAIN [redacted]"}]
    assert [log.detail.get("exchange") for log in logs(app)] == [None, said, said]
