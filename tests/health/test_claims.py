"""Claiming due checks: each goes to one worker, and a worker that dies leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from portal import clock
from portal.database import unit_of_work
from portal.health import checks
from portal.health.checks import LEASE, Claim
from portal.integrations.models import CheckKind, Integration
from portal.settings import Settings
from tests.support.integrations import Mail, due, load, logs, make_integration
from tests.support.people import Team


def claim(app: Flask, limit: int = 10) -> list[Claim]:
    with app.app_context():
        return checks.claim_due(limit)


def test_only_what_is_due_enabled_and_there_is_claimed_oldest_first(app: Flask, team: Team) -> None:
    now = clock.now()
    late = make_integration(app, team.owner, "Late", next_check_at=now - timedelta(minutes=9))
    soon = make_integration(app, team.owner, "Just due", next_check_at=now)
    make_integration(app, team.owner, "Later", next_check_at=now + timedelta(minutes=1))
    make_integration(app, team.owner, "Off", enabled=False, next_check_at=now)
    make_integration(app, team.owner, "Gone", deleted_at=now, next_check_at=now)
    assert [each.integration_id for each in claim(app, 1)] == [late]
    assert [each.integration_id for each in claim(app)] == [soon]
    assert claim(app) == []


def test_many_workers_at_once_get_each_check_once(app: Flask, team: Team) -> None:
    for number in range(40):
        make_integration(app, team.owner, f"Mail {number}", password="", **due())
    barrier = threading.Barrier(6)

    def work(_: int) -> list[Claim]:
        barrier.wait()
        found: list[Claim] = []
        while batch := claim(app, 3):
            found += batch
        return found

    with ThreadPoolExecutor(6) as pool:
        claims = [each for found in pool.map(work, range(6)) for each in found]
    assert len(claims) == 40
    assert len({each.integration_id for each in claims}) == 40


def test_a_claim_that_was_never_finished_is_due_again_when_its_lease_ends(app: Flask, team: Team) -> None:
    make_integration(app, team.owner, **due())
    first = claim(app)
    assert claim(app) == []
    with time_machine.travel(clock.now() + LEASE + timedelta(seconds=1)):
        second = claim(app)
    assert [each.integration_id for each in second] == [each.integration_id for each in first]
    assert second[0].token != first[0].token


def test_the_worker_that_lost_its_claim_records_nothing(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, **due())
    (first,) = claim(app)
    with time_machine.travel(clock.now() + LEASE + timedelta(seconds=1)):
        (second,) = claim(app)
    with app.app_context():
        assert checks.run(first) is None
    assert load(app, integration).check_token == second.token
    assert logs(app) == []


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted_at": clock.now()}, {"check_token": None}])
def test_what_changed_during_a_check_wins(app: Flask, team: Team, mail: Mail, change: dict[str, object]) -> None:
    integration = make_integration(app, team.owner, **due())
    (held,) = claim(app)

    def meanwhile() -> None:
        with app.app_context(), unit_of_work() as session:
            session.execute(update(Integration).where(Integration.id == integration).values(**change))

    mail.meanwhile = meanwhile
    with app.app_context():
        assert checks.run(held) is None
    assert len(mail.probed) == 1
    assert load(app, integration).last_health_check is None
    assert logs(app) == []


def test_a_person_takes_a_check_over_that_is_under_way(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.owner, **due())
    (scheduled,) = claim(app)
    with app.app_context():
        mine = checks.claim_one(integration, kind=CheckKind.MANUAL, asked_by="Dana")
        assert mine is not None
        assert checks.run(mine) is not None
        assert checks.run(scheduled) is None
    assert [each.check_type for each in logs(app)] == ["manual"]


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted_at": clock.now()}])
def test_what_is_off_or_gone_cannot_be_claimed_by_a_person(app: Flask, team: Team, change: dict[str, Any]) -> None:
    integration = make_integration(app, team.owner, **change)
    with app.app_context():
        assert checks.claim_one(integration, kind=CheckKind.MANUAL, asked_by="Dana") is None
    assert load(app, integration).next_check_at is None


HANGING_CHECK = """
    import ipaddress, sys
    from pathlib import Path
    from portal import create_app, keyring
    from portal.health import checks
    from portal.settings import Settings

    app = create_app(Settings(instance_dir=Path({folder!r}), database_url={url!r}, secret_key="x", master_keys={keys!r},
                              allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),)))
    with app.app_context():
        (claim,) = checks.claim_due(5)
        print("claimed", flush=True)
        checks.run(claim)
"""


def test_a_process_killed_in_the_middle_of_a_check_leaves_nothing_stuck(
    app: Flask, team: Team, settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never greets
        config = {"host": "127.0.0.1", "port": silent.getsockname()[1], "security": "none", "from_email": "a@b.example"}
        integration = make_integration(app, team.owner, password="", config=config, **due())
        script = HANGING_CHECK.format(
            folder=str(settings.instance_dir), url=settings.database_url, keys=settings.master_keys
        )
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "claimed\n"
            silent.settimeout(30)
            connection, _ = silent.accept()  # the check is under way
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            connection.close()
    assert load(app, integration).check_token is not None
    assert claim(app) == []
    with time_machine.travel(clock.now() + LEASE + timedelta(seconds=1)), app.app_context():
        (again,) = checks.claim_due(5)
        report = checks.run(again)
    assert report is not None
    after = load(app, integration)
    assert (after.check_token, after.error_count, after.error_class) == (None, 1, "unreachable")
    assert [each.status for each in logs(app)] == ["failure"]
