"""Killed while deliveries fly, again and again: every event arrives, and what arrives twice carries the same id."""

import random
import signal
from collections import Counter
from pathlib import Path

from flask import Flask
from sqlalchemy import update

from portal import clock
from portal.database import unit_of_work
from portal.settings import Settings
from portal.webhooks.models import Delivery, DeliveryStatus
from tests.health.test_claims import environment
from tests.support.people import Team
from tests.support.processes import running, script
from tests.webhooks.kit import Receiver, deliveries, emit, make_webhook, until

WORKER = """
import sys, time
from portal import create_app
from portal.security.addresses import AddressPolicy
from portal.settings import load
from portal.webhooks.dispatcher import Dispatcher

settings = load()
app = create_app(settings)
dispatcher = Dispatcher(app, concurrency=16, policy=AddressPolicy(allowed=settings.allowed_networks))
dispatcher.start()
print("ready", flush=True)
sys.stdin.readline()
dispatcher.stop()
"""
EVENTS = 300
KILLS = 3


def let_leases_end(app: Flask) -> None:
    """Let the time pass after which what a dead process held is due again."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=clock.now()))


def test_nothing_is_lost_when_processes_are_killed(app: Flask, settings: Settings, team: Team, tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311 - the same kills in every run
    with Receiver().serving() as receiver:
        make_webhook(app, team.organization_id, receiver.url)
        emit(app, team.organization_id, count=EVENTS)
        for _ in range(KILLS):
            before = len(receiver.got)
            with running(script(WORKER), environment(settings), tmp_path) as worker:
                until(lambda before=before: len(receiver.got) > before + chance.randrange(40))  # type: ignore[misc]
                worker.process.send_signal(signal.SIGKILL)
                assert worker.end() == -signal.SIGKILL
            let_leases_end(app)
        with running(script(WORKER), environment(settings), tmp_path) as worker:
            until(lambda: all(each.due_at is None for each in deliveries(app)), seconds=30)
            worker.tell("stop")
            assert worker.end() == 0, worker.complained
    arrived = Counter(each.headers["webhook-id"] for each in receiver.got)
    bodies = {(each.headers["webhook-id"], each.body) for each in receiver.got}
    assert len(arrived) == len(bodies) == EVENTS, "an event was lost, or came with another body"
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.SUCCESS}
    # Shown by pytest -s and where the test fails.
    print(f"lost 0, sent again after {KILLS} kills: {len(receiver.got) - EVENTS} of {EVENTS}")  # noqa: T201
