"""Prepared statements: types converted as SQLAlchemy does, on both databases, and errors as it raises them."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from portal.database import connection, db, new_id, unit_of_work
from portal.prepared import Prepared
from portal.webhooks.models import Event
from tests.support.people import Team

COLUMNS = (
    "id",
    "organization_id",
    "event_id",
    "event_type",
    "source",
    "body",
    "decisions",
    "occurred_at",
    "accepted_at",
)
INSERT = Prepared(insert(Event), inserts=COLUMNS)
READ = Prepared(
    select(Event.id, Event.event_id, Event.body, Event.decisions, Event.occurred_at)
    .where(Event.organization_id == bindparam("of", type_=Event.organization_id.type))
    .order_by(Event.id)
)
WRITTEN = bindparam("written", "job.closed", Event.event_type.type, literal_execute=True)
CLOSED = Prepared(
    select(Event.event_id).where(
        Event.event_type == WRITTEN, Event.organization_id == bindparam("of", type_=Event.organization_id.type)
    )
)
MOVE = Prepared(update(Event).where(Event.id == bindparam("which")).values(event_type=bindparam("to"), source="portal"))
AT = datetime(2026, 3, 1, 10, 30, 0, 123456, tzinfo=timezone(timedelta(hours=10)))


def row(team: Team, event_id: str) -> dict[str, object]:
    return {
        "id": new_id(), "organization_id": team.organization_id, "event_id": event_id, "event_type": "job.created",
        "source": "api", "body": b"\x00\xff", "decisions": {"ü": [event_id, None]}, "occurred_at": AT,
        "accepted_at": AT,
    }  # fmt: skip


def test_what_goes_in_comes_out(app: Flask, team: Team) -> None:
    rows = [row(team, "one"), row(team, "two")]
    with app.app_context(), unit_of_work():
        INSERT.many(rows)
        INSERT.many([])
        MOVE.many([{"which": each["id"], "to": "job.closed"} for each in rows])
        found = READ.all(lambda *columns: columns, of=team.organization_id)
        stored = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert found == [(each["id"], each["event_id"], b"\x00\xff", each["decisions"], AT) for each in rows]
    assert all(isinstance(each[0], uuid.UUID) and each[4].tzinfo is UTC for each in found)
    assert [(each.event_type, each.source, each.occurred_at) for each in stored] == [("job.closed", "portal", AT)] * 2


def test_a_value_that_is_written_into_the_text_stands_there(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        INSERT.many([row(team, "one"), row(team, "two") | {"event_type": "job.closed"}])
        assert CLOSED.all(str, of=team.organization_id) == ["two"]
        compiled = CLOSED._for(connection())
    assert "event_type = 'job.closed'" in compiled.text
    assert compiled.names == ["of"]


@pytest.mark.parametrize("count", [63, 64, 131])
def test_any_number_of_rows_goes_in(app: Flask, team: Team, count: int) -> None:
    """SQLite gets many in one statement, and the rest in smaller ones."""
    rows = [row(team, f"event_{number}") for number in range(count)]
    with app.app_context(), unit_of_work():
        INSERT.many(rows)
        found = READ.all(lambda *columns: columns, of=team.organization_id)
    assert [each[:2] for each in found] == [(each["id"], each["event_id"]) for each in rows]


def test_texts_of_many_rows_are_stored_as_they_are(app: Flask, team: Team) -> None:
    """Many rows go to PostgreSQL as arrays, in which some characters have a meaning."""
    texts = ['a"\\ {,}\n', "NULL", "", " ü'\\x41"]
    with app.app_context(), unit_of_work():
        INSERT.many([row(team, each) | {"event_type": each} for each in texts])
        assert db.session.scalars(select(Event.event_type).order_by(Event.id)).all() == texts


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_the_driver_comes_as_sqlalchemys(app: Flask, team: Team, count: int) -> None:
    rows = [row(team, f"{number or 'one'}") for number in range(count)]
    with app.app_context():
        with unit_of_work():
            INSERT.many([row(team, "one")])
        with unit_of_work(), pytest.raises(IntegrityError) as caught:
            INSERT.many(rows)
    assert "ü" not in str(caught.value), "values stay out of the text"


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_text_that_is_too_long_is_an_error_and_never_cut(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work(), pytest.raises(DataError):
        INSERT.many([row(team, "one"), row(team, "two") | {"source": "x" * 21}])
