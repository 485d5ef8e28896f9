"""Killed at every commit and at random while events flow: what was promised arrives, what comes twice is the same.

An event is promised once the process that accepts it has its commit. The sender sends what was not promised again under
the same id, as an application would.
"""

import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import exists, select, update

from portal import clock
from portal.database import reading, unit_of_work
from portal.settings import Settings
from portal.webhooks.models import Delivery, DeliveryStatus
from portal.webhooks.retry import RetryPolicy
from tests.health.test_claims import environment
from tests.support.people import Team
from tests.support.processes import Process, running, script
from tests.webhooks.kit import Receiver, attempts, deliveries, make_webhook, reply, until

MOMENTS = ("before", "after")
WORKERS = 3
OFTEN = RetryPolicy(max_retries=10, first_delay=1, max_delay=1, jitter=False)
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
"""How long random kills go on in each of the long tests."""


@dataclass
class Chaos:
    """Events on their way, and the processes that carry them."""

    app: Flask
    team: Team
    receiver: Receiver
    nursery: Process
    promises: Path
    wanted: list[str] = field(default_factory=list)
    kills: int = 0
    refused: list[str] = field(default_factory=list)

    def events(self, number: int) -> list[str]:
        """Return ids to send: those that were never promised, and new ones."""
        new = [f"job-{len(self.wanted) + each}" for each in range(number)]
        self.wanted += new
        promised = self.promised()
        return [each for each in self.wanted if each not in promised]

    def promised(self) -> set[str]:
        return set(self.promises.read_text().split()) if self.promises.exists() else set()

    def start(self, **order: Any) -> int:
        """Start a process; returns its id."""
        order |= {"organization": str(self.team.organization_id), "promised": str(self.promises)}
        self.nursery.tell(json.dumps(order))
        return int(self.nursery.wait_for("started").split()[1])

    def end(self, pid: int) -> bool:
        """Wait for the end of a process; returns whether it was killed."""
        self.nursery.tell(json.dumps({"wait": pid}))
        code = int(self.nursery.wait_for("ended").split()[1])
        assert code in (0, -signal.SIGKILL), self.nursery.complained
        self.kills += code != 0
        return code != 0

    def stop(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        for pid in pids:
            assert not self.end(pid)

    def let_leases_end(self) -> None:
        """Let the time pass after which what a dead process held is due again. Nobody may be sending."""
        with self.app.app_context(), unit_of_work() as session:
            session.execute(update(Delivery).where(Delivery.lease_token.is_not(None)).values(due_at=clock.now()))

    def is_over(self) -> bool:
        with self.app.app_context(), reading() as session:
            return not session.scalar(select(exists().where(Delivery.due_at.is_not(None))))

    def finish(self, **more: Any) -> None:
        """Send and deliver what is left, undisturbed."""
        self.let_leases_end()
        assert not self.end(self.start(events=self.events(0), sends=True, ends=True, **more))

    def examine(self, *, lease: float = 45) -> str:
        """Fail if anything was lost or changed; returns the figures."""
        got = [(each.headers["webhook-id"], int(each.headers["X-Portal-Attempt"])) for each in self.receiver.got]
        arrived = {name for name, _ in got}
        lost = set(self.wanted) - arrived
        assert self.promised() == set(self.wanted)
        assert lost == set()
        bodies = {(each.headers["webhook-id"], each.body) for each in self.receiver.got}
        assert len(bodies) == len(arrived) == len(self.wanted), "one came with another body"
        assert all(json.loads(body)["data"] == {"of": name} for name, body in bodies)
        assert max(Counter(got).values()) == 1, "an attempt went out that was not counted before"
        rows = {each.id: each for each in deliveries(self.app)}
        assert len(rows) == len(self.wanted)
        assert {(each.due_at, each.lease_token) for each in rows.values()} == {(None, None)}, "one waits for ever"
        # What a process held when it died counts as an attempt, so bad luck can use them up; that is no loss.
        failed = [each for each in rows.values() if each.status is not DeliveryStatus.SUCCESS]
        assert {(each.status, each.attempt_number > OFTEN.max_retries) for each in failed} <= {
            (DeliveryStatus.DEAD, True)
        }
        self._examine_attempts(rows, timedelta(seconds=lease))
        again = len(got) - len(arrived) - len(self.refused)
        assert len(failed) <= len(self.refused), "without refusals nothing is given up"
        figures = {"kills": self.kills, "events": len(arrived), "lost": len(lost), "taken once more": again}
        return ", ".join(f"{name} {number}" for name, number in {**figures, "dead letters": len(failed)}.items())

    def _examine_attempts(self, rows: dict[Any, Delivery], lease: timedelta) -> None:
        tried = defaultdict(list)
        for each in sorted(attempts(self.app), key=lambda each: each.attempt_number):
            tried[each.delivery_id].append(each)
        assert tried.keys() == rows.keys()
        for delivery_id, mine in tried.items():
            assert mine[-1].attempt_number <= rows[delivery_id].attempt_number, "numbers were given twice"
            if rows[delivery_id].status is DeliveryStatus.SUCCESS:
                assert any(each.error_class is None for each in mine)
            for one, other in pairwise(mine):
                began = other.at - timedelta(milliseconds=other.duration_ms)
                if one.error_class is None:
                    held = one.at - timedelta(milliseconds=one.duration_ms) + lease
                    assert began >= held - timedelta(seconds=1), "sent again after a success whose lease had not ended"
                else:
                    assert began > one.at - timedelta(seconds=1), "attempts are not in their order"


@pytest.fixture
def chaos(app: Flask, settings: Settings, team: Team, tmp_path: Path) -> Iterator[Chaos]:
    with Receiver().serving() as receiver, nursery(settings, tmp_path) as process:
        make_webhook(app, team.organization_id, receiver.url, retry=OFTEN)
        yield Chaos(app, team, receiver, process, tmp_path / "promised")


@contextmanager
def nursery(settings: Settings, folder: Path) -> Iterator[Process]:
    program = script("from tests.webhooks.mortal import serve; serve()")
    with running(program, environment(settings), folder) as process:
        process.wait_for("ready")
        yield process
        assert process.process.stdin
        process.process.stdin.close()
        assert process.end() == 0, process.complained


def one_process(chaos: Chaos) -> None:
    """One process accepts and sends; it dies at its first commit, then at its second, and so on, until none is left."""
    for moment in MOMENTS:
        for number in count(1):
            order = {"dies": moment, "at": number, "sends": True, "ends": True}
            if not chaos.end(chaos.start(events=chaos.events(4), **order)):
                break
            chaos.let_leases_end()


def several_processes(chaos: Chaos, points: int) -> None:
    """Two of three workers live; the third, and who accepts, die at each of their first commits."""
    living = [chaos.start(sends=True) for _ in range(WORKERS - 1)]
    for moment in MOMENTS:
        for number in range(1, points + 1):
            mortal = chaos.start(sends=True, dies=moment, at=number)
            chaos.end(chaos.start(events=chaos.events(6), dies=moment, at=number))
            chaos.end(chaos.start(events=chaos.events(2)))
            assert chaos.end(mortal)
    chaos.stop(*living)


def killed_at_random(chaos: Chaos, rounds: Iterator[object], workers: int, chance: random.Random, **more: Any) -> None:
    """Kill processes at any moment, while others live on where there are several."""
    sending = [chaos.start(sends=True, **more) for _ in range(workers)]
    for _ in rounds:
        accepts = chaos.start(events=chaos.events(20), sends=workers == 0, **more)
        before, more_of_them = len(chaos.receiver.got), chance.randrange(12)
        until(lambda before=before, some=more_of_them: len(chaos.receiver.got) >= before + some or chaos.is_over())  # type: ignore[misc]
        time.sleep(chance.random() * 0.03)
        if sending and chance.random() < 0.7:
            os.kill(sending[0], signal.SIGKILL)
            assert chaos.end(sending.pop(0))
            sending.append(chaos.start(sends=True, **more))
        os.kill(accepts, signal.SIGKILL)
        chaos.end(accepts)
        if not sending:
            chaos.let_leases_end()
    chaos.stop(*sending)


def seeded() -> random.Random:
    return random.Random(4)  # noqa: S311 - the same kills in every run


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_nothing_is_lost_when_the_process_is_killed_at_any_commit(chaos: Chaos) -> None:
    one_process(chaos)
    killed_at_random(chaos, iter(range(2)), 0, seeded())
    chaos.finish()
    print(chaos.examine())  # noqa: T201 - shown by pytest -s and where the test fails


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_nothing_is_lost_when_one_of_three_workers_is_killed_at_any_commit(chaos: Chaos) -> None:
    several_processes(chaos, points=4)
    killed_at_random(chaos, iter(range(2)), WORKERS, seeded())
    chaos.finish()
    print(chaos.examine())  # noqa: T201


@pytest.mark.soak
@pytest.mark.timeout(60 + 4 * SOAK_SECONDS)
def test_nothing_is_lost_in_minutes_of_kills(chaos: Chaos, settings: Settings) -> None:
    """Every tenth attempt is refused, too; on PostgreSQL the living take over when leases end, which is soon here."""
    chance, lease = random.Random(), 3.0  # noqa: S311

    def answer(handler: BaseHTTPRequestHandler) -> None:
        refuses = chance.random() < 0.1
        chaos.refused += [handler.path] * refuses
        reply(handler, 500 if refuses else 200)

    chaos.receiver.answer = answer
    workers = WORKERS if "postgresql" in settings.database_url else 0
    if workers:
        several_processes(chaos, points=10)
    else:
        one_process(chaos)
    killed_at_random(chaos, for_seconds(SOAK_SECONDS), workers, chance, lease=lease)
    chaos.finish(lease=lease)
    print(f"{'PostgreSQL, three workers' if workers else 'SQLite, one process'}: {chaos.examine(lease=lease)}")  # noqa: T201


def for_seconds(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
