"""Claims: each message goes to one worker; what a dead one held is tried again only if it was surely not sent."""

import signal
import socket
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.database import reading, unit_of_work
from portal.integrations.calls import DEADLINE
from portal.integrations.models import Integration
from portal.messaging import Message, MessageStatus, carriers, claims, mending, queue, sending
from portal.messaging.claims import LEASE, LOST, Claim
from portal.messaging.sending import DELAYS, LONGEST_DELAY
from portal.messaging.worker import MessageWorker
from portal.providers.base import Outcome
from portal.settings import Settings
from tests.messaging.kit import NOW, Post, ended
from tests.support.people import Team
from tests.support.plans import without_sorts_and_hashes
from tests.support.processes import running, script

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def claim(app: Flask, limit: int = 100) -> list[Claim]:
    with app.app_context():
        return claims.claim_due(limit)


def run(app: Flask, held: Claim) -> None:
    with app.app_context():
        sending.run(held)


def give_up_lost(app: Flask) -> int:
    with app.app_context():
        return claims.give_up_lost()


def many(app: Flask, team: Team, count: int) -> set[uuid.UUID]:
    with app.app_context(), unit_of_work():
        return {
            queue(organization_id=team.organization_id, channel="email", to="d@example.org", text="x", purpose="t").id  # type: ignore[arg-type]
            for _ in range(count)
        }


def test_the_longest_due_come_first_and_no_more_than_asked_for(app: Flask, post: Post) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        ids = [post.put(due_at=NOW + timedelta(seconds=late)) for late in (5, 1, 3)]
        assert claim(app) == []
        time.shift(timedelta(seconds=4))
        assert [each.message_id for each in claim(app, 1)] == [ids[1]]
        assert [each.message_id for each in claim(app)] == [ids[2]]
        time.shift(timedelta(seconds=1))
        assert [each.message_id for each in claim(app)] == [ids[0]]
    assert timedelta(seconds=DEADLINE) * 2 < LEASE, "a message that is being sent must not lose its lease"


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_the_limit_holds_whatever_plan_postgresql_chooses(app: Flask, team: Team) -> None:
    """As a subquery of an update it would be run again for each row when there is nothing to sort or hash with."""
    many(app, team, 20)
    with without_sorts_and_hashes(app):
        assert len(claim(app, 3)) == 3


def test_eight_threads_share_the_work_and_keep_to_the_limit(app: Flask, post: Post, team: Team) -> None:
    """Every message is handed over once, and a carrier with a limit gets no more, however many send at a time."""
    limited, free = post.carrier("a", max_per_hour=7), post.carrier("b")
    ready = threading.Barrier(8)

    def work(_number: int) -> list[uuid.UUID]:
        ready.wait(timeout=30)
        done: list[uuid.UUID] = []
        while found := claim(app, 2):
            for each in found:
                run(app, each)
                done.append(each.message_id)
        return done

    with time_machine.travel(NOW, tick=False), ThreadPoolExecutor(8) as pool:
        ids = many(app, team, 40)
        found = [each for part in pool.map(work, range(8)) for each in part]
        ready = threading.Barrier(1)  # while others hold rows, a thread may find none
        found += work(0)
    assert Counter(found) == dict.fromkeys(ids, 1)
    with app.app_context(), reading() as session:
        carried = Counter(session.scalars(select(Message.integration_id)))
    assert carried == {limited: 7, free: 33}


CLAIMS = """
import sys
from portal import create_app
from portal.messaging import claims
from portal.settings import load

app = create_app(load())
print("ready", flush=True)
sys.stdin.readline()
with app.app_context():
    while found := claims.claim_due(3):
        for each in found:
            print(each.message_id, flush=True)
"""


def environment(settings: Settings) -> dict[str, str]:
    """Variables for a process that works on the same database."""
    return {
        "PORTAL_INSTANCE_DIR": str(settings.instance_dir),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_SECRET_KEY": settings.secret_key,
        "PORTAL_MASTER_KEYS": settings.master_keys,
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def test_processes_share_the_work_and_each_message_goes_to_one(
    app: Flask, team: Team, settings: Settings, tmp_path: Path
) -> None:
    ids = many(app, team, 30)
    with running(script(CLAIMS), environment(settings), tmp_path) as other:
        other.wait_for("ready")
        other.tell("go")
        mine = []
        while found := claim(app, 3):
            mine += [str(each.message_id) for each in found]
        assert other.end() == 0, other.complained
    assert Counter(mine + other.said[1:]) == {str(each): 1 for each in ids}


KILLED = """
from portal import create_app, keyring
from portal.messaging import claims, sending
from portal.settings import load

app = create_app(load())
with app.app_context():
    keyring.load(app)
    [claim] = claims.claim_due(1)
    sending.run(claim)
"""


@SQLITE
def test_a_message_whose_process_is_killed_while_sending_is_unknown_and_not_sent_again(
    app: Flask, post: Post, settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = {"host": "127.0.0.1", "port": silent.getsockname()[1], "security": "starttls", "username": "portal"}
        carrier = post.carrier("a", config={"preset": "custom", "from_email": "a@example.com", **here})
        post.carrier("b")
        message = post.put()
        with running(script(KILLED), environment(settings), tmp_path) as worker:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                worker.process.send_signal(signal.SIGKILL)
                assert worker.end() == -signal.SIGKILL
    assert post.message(message).status == "sending"
    assert (post.work(), give_up_lost(app)) == (0, 0), "its lease still runs"
    with time_machine.travel(clock.now() + LEASE + timedelta(seconds=1), tick=False):
        assert give_up_lost(app) == 1
        assert give_up_lost(app) == 0
        assert post.work() == 0
        stored = post.message(message)
        assert (stored.status, stored.error_message, stored.due_at) == ("unknown", LOST, None)
        assert post.outcomes(message) == [("a", "unknown_outcome")]
    assert post.asked == []
    assert post.used(carrier) == 1


def test_a_worker_that_dies_before_it_began_loses_nothing(app: Flask, post: Post) -> None:
    post.carrier("a")
    with time_machine.travel(NOW, tick=False) as time:
        message = post.put()
        [dead] = claim(app)
        assert post.work() == 0
        time.shift(LEASE)
        assert give_up_lost(app) == 0, "nothing was being sent"
        [again] = claim(app)
        run(app, again)
        run(app, dead)
    assert (post.message(message).status, post.asked) == ("sent", ["a"])


@SQLITE
def test_between_two_carriers_a_dead_worker_loses_nothing_either(app: Flask, post: Post) -> None:
    """The first one surely did not send it, so that the next may, whoever asks it."""
    post.carrier("a")
    post.answers["a"] = ended(Outcome.UNREACHABLE)
    with time_machine.travel(NOW, tick=False) as time:
        message = post.put()
        [held] = claim(app)
        with app.app_context(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(carriers, "choose", _die_at_the_second(carriers.choose))
            with pytest.raises(KeyboardInterrupt):
                sending.run(held)
        assert post.message(message).status == "queued"
        assert post.work() == 0
        post.answers.clear()
        time.shift(LEASE)
        assert (give_up_lost(app), post.work()) == (0, 1)
    assert post.message(message).status == "sent"


def _die_at_the_second(choose: Any) -> Any:
    def dying(message: Message, *, tried: set[uuid.UUID]) -> Any:
        if tried:
            raise KeyboardInterrupt
        return choose(message, tried=tried)

    return dying


@SQLITE
def test_a_worker_that_was_only_slow_still_tells_the_truth(app: Flask, post: Post) -> None:
    carrier = post.carrier("a")
    with time_machine.travel(NOW, tick=False) as time:

        def stall(_name: str) -> None:
            time.shift(LEASE)
            assert give_up_lost(app) == 1

        post.meanwhile = stall
        message = post.put()
        post.work()
    stored = post.message(message)
    assert (stored.status, stored.error_message, stored.integration_id) == ("sent", None, carrier)
    assert post.outcomes(message) == [("a", "ok")]


@SQLITE
def test_an_integration_deleted_while_it_sends_changes_nothing_about_the_message(app: Flask, post: Post) -> None:
    carrier = post.carrier("a")

    def delete(_name: str) -> None:
        with app.app_context(), unit_of_work() as session:
            session.get_one(Integration, carrier).deleted_at = clock.now()

    post.meanwhile = delete
    message = post.put()
    post.work()
    assert (post.message(message).status, post.outcomes(message)) == ("sent", [("a", "ok")])


@SQLITE
def test_a_message_waits_longer_after_each_round_and_fails_when_it_expires(post: Post) -> None:
    post.carrier("a")
    post.carrier("b")
    post.answers = {"a": ended(Outcome.UNREACHABLE), "b": ended(Outcome.TIMEOUT)}
    with time_machine.travel(NOW, tick=False) as time:
        message = post.put(expires_at=NOW + timedelta(hours=2))
        for delay in (*DELAYS, LONGEST_DELAY):
            assert post.work() == 1
            due = post.message(message).due_at
            assert due == clock.now() + delay
            time.shift(delay - timedelta(seconds=1))
            assert post.work() == 0, "too early"
            time.shift(timedelta(seconds=1))
        post.work()
        stored = post.message(message)
        assert (stored.status, stored.due_at) == ("queued", NOW + timedelta(hours=2))
        assert post.asked == ["a", "b"] * 6
        time.move_to(NOW + timedelta(hours=2))
        post.work()
    stored = post.message(message)
    assert post.asked == ["a", "b"] * 6, "nothing is sent once it expired"
    assert (stored.status, stored.error_class, stored.due_at) == ("failed", "expired", None)
    assert stored.error_message == "It could not be sent in time. The last reason: It said timed out."
    assert [each.number for each in post.tries(message)] == list(range(1, 13))


@SQLITE
def test_a_clock_that_is_set_back_sends_nothing_twice(app: Flask, post: Post) -> None:
    post.carrier("a")
    with time_machine.travel(NOW, tick=False) as time:
        post.meanwhile = lambda _name: time.shift(timedelta(hours=-2))
        message = post.put()
        post.work()
        assert (post.work(), give_up_lost(app)) == (0, 0)
    assert (post.message(message).status, post.asked) == ("sent", ["a"])
    assert post.tries(message)[0].duration_ms == 0


def test_a_clock_that_is_set_back_puts_off_nothing_but_what_was_asked_for(app: Flask, post: Post) -> None:
    def mend() -> int:
        with app.app_context():
            return mending.mend_clock()

    day = timedelta(days=1)
    with time_machine.travel(NOW, tick=False) as time:
        fresh, scheduled = post.put(), post.put(due_at=NOW + 2 * day)
        waits = post.put(expires_at=NOW + 2 * day)
        post.work()
        assert mend() == 0, "they wait for a provider"
        claimed = post.put()
        with app.app_context():
            assert len(claims.claim_due(9)) == 1
        time.move_to(NOW - day)
        assert (mend(), mend()) == (3, 0)
        assert post.message(claimed).lease_until == NOW - day + LEASE
        carrier = post.carrier("a")
        post.work()
        assert [post.message(each).status for each in (fresh, waits, scheduled)] == ["sent", "sent", "scheduled"]
        time.shift(LEASE)
        post.work()
        assert (post.message(claimed).status, post.used(carrier)) == ("sent", 3)


@SQLITE
def test_a_pause_ends_when_the_clock_is_set_back_before_it_began(post: Post) -> None:
    post.carrier("a")
    with time_machine.travel(NOW, tick=False) as time:
        post.answers["a"] = ended(Outcome.RATE_LIMITED, retry_after=60)
        post.put()
        post.work()
        post.answers.clear()
        time.shift(timedelta(hours=-2))
        message = post.put()
        post.work()
    assert post.message(message).status == "sent"


@SQLITE
def test_the_worker_gives_back_what_it_has_not_begun(app: Flask, post: Post) -> None:
    post.carrier("a")
    began, go_on = threading.Event(), threading.Event()

    def wait(_name: str) -> None:
        began.set()
        go_on.wait(30)

    post.meanwhile = wait
    ids = [post.put(), post.put()]
    worker = MessageWorker(app, places=2)
    worker._pool._max_workers = 1  # two claims, and one thread for them
    with app.app_context():
        assert worker.tick() == 2
    assert began.wait(30)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    while claimed(app, ids[1]):
        stopping.join(0.01)
    go_on.set()
    stopping.join(30)
    with app.app_context():
        assert worker.tick() == 0
    assert [post.message(each).status for each in ids] == [MessageStatus.SENT, MessageStatus.QUEUED]
    assert [each.message_id for each in claim(app)] == [ids[1]]


def claimed(app: Flask, message_id: uuid.UUID) -> bool:
    with app.app_context(), reading() as session:
        return session.get_one(Message, message_id).claim_token is not None


@SQLITE
def test_what_fails_inside_the_portal_does_not_end_the_worker_and_shows_no_letter(
    app: Flask, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.carrier("a")

    def explode(_name: str) -> None:
        raise RuntimeError("a fault")

    post.meanwhile = explode
    message = post.put()
    worker = MessageWorker(app, places=1)
    with app.app_context():
        worker.tick()
    worker.drain(30)
    worker.stop()
    assert post.message(message).status == "sending", "its lease tells what is next"
    assert f"message {message} failed inside the portal" in caplog.text
    assert "dana" not in caplog.text
    assert "SMTP is down" not in caplog.text
