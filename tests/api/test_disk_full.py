"""A disk without room: events are refused as a whole, none is half-written, and all goes on once there is room."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from portal import together
from portal.webhooks import events
from tests.api.conftest import Caller, Reply, make_token
from tests.support.disk import Disk, disk_of
from tests.support.people import Team
from tests.support.webhooks import make_webhook, stored_deliveries, stored_events

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SMALL = {"event": "job.created", "data": 1}
LARGE = {"event": "job.created", "data": "x" * 200_000}


@pytest.fixture
def disk(app: Flask) -> Iterator[Disk]:
    with disk_of(app) as disk:
        yield disk


@pytest.fixture
def send(app: Flask, team: Team) -> Caller:
    """An application that may send events, whose last use is noted."""
    make_webhook(app, team.admin)
    caller = Caller(app, token=make_token(app, team.admin, scopes=["events:write"]), root="/api/v1")
    caller("POST", "/events", {})
    return caller


def refused(answer: Reply) -> bool:
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"] == "Nothing was stored. Try again in a moment."
    return True


@pytest.mark.parametrize(
    ("path", "body"),
    [("/events", LARGE), ("/events/batch", {"events": [SMALL, SMALL, LARGE]})],
    ids=["single", "batch"],
)
def test_events_are_refused_whole_and_taken_again_when_there_is_room(
    app: Flask, send: Caller, disk: Disk, path: str, body: Any
) -> None:
    disk.full = True
    assert refused(send("POST", path, body, headers={"Idempotency-Key": "k"}))
    assert (stored_events(app), stored_deliveries(app)) == ([], [])
    disk.full = False
    assert send("POST", path, body, headers={"Idempotency-Key": "k"}).status_code == 202
    assert len(stored_events(app)) == len(stored_deliveries(app)) == len(body.get("events", [body]))


def test_events_that_share_a_commit_are_refused_one_by_one(
    app: Flask, team: Team, send: Caller, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is held until the others stand in line, so that the next commit is theirs together."""
    with app.app_context():
        line = together._line()
    accept, first = events.accept, threading.Event()

    def held(**wanted: Any) -> Any:
        if not first.is_set():
            first.set()
            while len(line._waiting) < 4:
                pass
            disk.full = True
        return accept(**wanted)

    monkeypatch.setattr(events, "accept", held)
    callers = [Caller(app, token=send.headers["Authorization"][7:], root="/api/v1") for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        leading = pool.submit(callers[0], "POST", "/events", SMALL)
        assert first.wait(20)
        answers = list(pool.map(lambda each: each("POST", "/events", LARGE), callers[1:]))
        assert leading.result(20).status_code == 202
    assert all(map(refused, answers))
    assert len(stored_events(app)) == len(stored_deliveries(app)) == 1
    disk.full = False
    assert send("POST", "/events", LARGE).status_code == 202
