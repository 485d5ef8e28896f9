"""The queue: a message is stored with the change that asked for it, once for each key, and wakes the worker."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.database import on_wake, reading, unit_of_work
from portal.messaging import WAKE, Channel, Message, MessageStatus, queue
from tests.support.people import Team, make_team

NOW = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def standing_clock() -> Iterator[None]:
    """It stays nine o'clock."""
    with time_machine.travel(NOW, tick=False):
        yield


def put(organization_id: uuid.UUID, **changes: Any) -> Message:
    """Queue an email; a keyword changes it."""
    values = {"channel": Channel.EMAIL, "to": "dana@example.org", "subject": "Down", "text": "SMTP is down."}
    return queue(**{"organization_id": organization_id, "purpose": "alert", **values, **changes})


def test_a_message_waits_for_its_turn_and_expires_after_a_day(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        made = put(team.organization_id, avoid=[uuid.UUID(int=7)], entity=("alert", "a1"), extra={"url": "u"})
    with app.app_context(), reading() as session:
        stored = session.get_one(Message, made.id)
    assert (stored.status, stored.due_at) == (MessageStatus.QUEUED, NOW)
    assert stored.expires_at == NOW + timedelta(hours=24)
    assert (stored.avoid, stored.entity_type, stored.entity_id) == ([str(uuid.UUID(int=7))], "alert", "a1")
    assert (stored.direction, stored.tries, stored.key, stored.extra) == ("out", 0, None, {"url": "u"})


def test_what_is_to_be_sent_later_is_scheduled_and_lasts_a_day_from_then(app: Flask, team: Team) -> None:
    later = NOW + timedelta(hours=3)
    with app.app_context(), unit_of_work():
        made = put(team.organization_id, due_at=later)
        past = put(team.organization_id, due_at=NOW - timedelta(hours=3))
    assert (made.status, made.due_at, made.expires_at) == ("scheduled", later, later + timedelta(hours=24))
    assert (past.status, past.due_at) == ("queued", NOW), "what lies back is due now, not before what waits already"


def test_the_same_key_stores_one_message_for_each_organization(app: Flask, team: Team) -> None:
    other = make_team(app, "Southgate")
    with app.app_context(), unit_of_work():
        first = put(team.organization_id, key="alert:1:opened:dana")
        again = put(team.organization_id, key="alert:1:opened:dana", text="Something else.")
        theirs = put(other.organization_id, key="alert:1:opened:dana")
        none = {put(team.organization_id).id, put(team.organization_id).id}
    assert (again.id, again.text) == (first.id, "SMTP is down.")
    assert theirs.id != first.id
    assert len(none) == 2, "no key is not the same key"


def test_the_worker_is_woken_by_the_commit_and_not_by_a_rollback(app: Flask, team: Team) -> None:
    woken: list[str] = []
    off = on_wake(WAKE, lambda: woken.append("now"))
    try:
        with app.app_context():
            with unit_of_work() as session:
                put(team.organization_id)
                session.rollback()
            assert woken == []
            with unit_of_work():
                put(team.organization_id, key="k")
            with unit_of_work():
                put(team.organization_id, key="k")
    finally:
        off()
    assert woken == ["now"]
