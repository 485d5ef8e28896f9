"""Claims: each due check goes to one worker, whoever asks at the same time, and comes back when that one dies."""

import signal
import socket
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.database import new_id, reading, unit_of_work
from portal.health import checks
from portal.health.checks import LEASE, Claim
from portal.integrations.calls import DEADLINE
from portal.integrations.models import CheckKind, Integration, Status
from portal.settings import Settings
from tests.conftest import MASTER_KEYS
from tests.support.integrations import Mail, add_integration, due, load, logs, make_integration
from tests.support.people import Team, make_team
from tests.support.plans import without_sorts_and_hashes
from tests.support.processes import running, script

START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


def many(app: Flask, team: Team, count: int) -> set[uuid.UUID]:
    """Store so many integrations that are due."""
    with app.app_context(), unit_of_work():
        return {add_integration(team.admin, f"Relay {number}", **due()).id for number in range(count)}


def claim(app: Flask, limit: int) -> list[Claim]:
    with app.app_context():
        return checks.claim_due(limit)


def test_the_longest_due_come_first_and_no_more_than_asked_for(app: Flask, team: Team) -> None:
    now = clock.now()
    with app.app_context(), unit_of_work():
        ids = [
            add_integration(team.admin, f"Relay {late}", next_check_at=now - timedelta(seconds=late)).id
            for late in (5, 30, 10, 20, 1, 25, 15)
        ]
    by_age = [ids[place] for place in (1, 5, 3, 6, 2, 0, 4)]
    assert {each.integration_id for each in claim(app, 3)} == set(by_age[:3])
    assert {each.integration_id for each in claim(app, 2)} == set(by_age[3:5])
    assert {each.integration_id for each in claim(app, 100)} == set(by_age[5:])
    assert claim(app, 100) == []


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_the_limit_holds_whatever_plan_postgresql_chooses(app: Flask, team: Team) -> None:
    """As a subquery of an update it would be run again for each row when there is nothing to sort or hash with."""
    many(app, team, 20)
    with without_sorts_and_hashes(app):
        assert len(claim(app, 3)) == 3


def test_a_claim_says_why_and_holds_the_row_for_its_lease(app: Flask, team: Team) -> None:
    run = new_id()
    with time_machine.travel(START, tick=False):
        integration = make_integration(app, team.admin, next_check_run_id=run, **due(CheckKind.MANUAL))
        [held] = claim(app, 10)
        stored = load(app, integration)
    assert (held.integration_id, held.kind, held.run_id) == (integration, "manual", run)
    assert (stored.check_token, stored.next_check_at) == (held.token, START + LEASE)
    assert timedelta(seconds=DEADLINE) * 2 < LEASE, "a check that runs must not lose its lease"


@pytest.mark.parametrize(
    "columns",
    [
        {"next_check_at": START + timedelta(microseconds=1)},
        {"next_check_at": None},
        {"next_check_at": START, "enabled": False},
        {"next_check_at": START, "deleted_at": START},
    ],
)
def test_what_is_not_due_disabled_or_deleted_is_left_alone(app: Flask, team: Team, columns: dict[str, Any]) -> None:
    with time_machine.travel(START, tick=False):
        integration = make_integration(app, team.admin, **columns)
        assert claim(app, 10) == []
        assert load(app, integration).check_token is None


def test_all_organizations_are_served(app: Flask, team: Team) -> None:
    other = make_team(app, "Southgate")
    ids = {make_integration(app, each.admin, **due()) for each in (team, other)}
    assert {each.integration_id for each in claim(app, 10)} == ids


def test_eight_threads_share_the_work_and_each_row_goes_to_one(app: Flask, team: Team) -> None:
    ids = many(app, team, 60)
    ready = threading.Barrier(8)

    def work(_number: int) -> list[uuid.UUID]:
        ready.wait(timeout=30)
        found: list[uuid.UUID] = []
        while True:
            claims = claim(app, 4)
            found += [each.integration_id for each in claims]
            if not claims and not left():
                return found

    def left() -> bool:
        with app.app_context(), reading() as session:
            return session.scalar(select(Integration.id).where(Integration.check_token.is_(None)).limit(1)) is not None

    with ThreadPoolExecutor(8) as pool:
        found = [each for part in pool.map(work, range(8)) for each in part]
    assert Counter(found) == dict.fromkeys(ids, 1)


CLAIMS = """
import sys
from portal import create_app
from portal.health import checks
from portal.settings import load

app = create_app(load())
print("ready", flush=True)
sys.stdin.readline()
with app.app_context():
    while claims := checks.claim_due(3):
        for each in claims:
            print(each.integration_id, flush=True)
"""


def environment(settings: Settings) -> dict[str, str]:
    """Variables for a process that works on the same database."""
    return {
        "PORTAL_INSTANCE_DIR": str(settings.instance_dir),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_SECRET_KEY": settings.secret_key,
        "PORTAL_MASTER_KEYS": MASTER_KEYS,
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def test_processes_share_the_work_and_each_row_goes_to_one(
    app: Flask, team: Team, settings: Settings, tmp_path: Path
) -> None:
    ids = many(app, team, 40)
    with running(script(CLAIMS), environment(settings), tmp_path) as other:
        other.wait_for("ready")
        other.tell("go")
        mine = []
        while claims := claim(app, 3):
            mine += [str(each.integration_id) for each in claims]
        assert other.end() == 0, other.complained
    found = mine + other.said[1:]
    assert Counter(found) == {str(each): 1 for each in ids}


def test_a_lease_that_ran_out_makes_the_check_due_again_under_another_token(app: Flask, team: Team) -> None:
    with time_machine.travel(START, tick=False) as time:
        make_integration(app, team.admin, **due())
        [lost] = claim(app, 1)
        time.shift(LEASE - timedelta(seconds=1))
        assert claim(app, 1) == []
        time.shift(timedelta(seconds=1))
        [again] = claim(app, 1)
    assert again.integration_id == lost.integration_id
    assert again.token != lost.token


KILLED = """
from portal import create_app
from portal.health import checks
from portal.settings import load

app = create_app(load())
with app.app_context():
    [claim] = checks.claim_due(1)
    checks.run(claim)
"""


def test_a_check_whose_process_is_killed_is_due_again_and_nothing_is_stuck(
    app: Flask, team: Team, settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = {"host": "127.0.0.1", "port": silent.getsockname()[1], "security": "starttls", "username": "portal"}
        config = {"preset": "custom", "from_email": "noreply@example.com", **here}
        integration = make_integration(app, team.admin, config=config, **due())
        with running(script(KILLED), environment(settings), tmp_path) as worker:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                worker.process.send_signal(signal.SIGKILL)
                assert worker.end() == -signal.SIGKILL
    stuck = load(app, integration)
    assert stuck.check_token is not None
    assert logs(app) == []
    assert claim(app, 10) == [], "its lease still runs"
    with time_machine.travel(clock.now() + LEASE + timedelta(seconds=1), tick=False):
        [again] = claim(app, 10)
        with pytest.MonkeyPatch.context() as patch:
            Mail().install(patch)
            with app.app_context():
                assert checks.run(again) is not None
    stored = load(app, integration)
    assert (stored.check_token, stored.status) == (None, Status.ACTIVE)
    assert stored.next_check_at is not None
    assert [each.status for each in logs(app)] == ["success"]
    with app.app_context():
        late = Claim(integration, stuck.check_token, "scheduled", None)
        assert checks.run(late) is None, "what the dead one held opens nothing any more"
