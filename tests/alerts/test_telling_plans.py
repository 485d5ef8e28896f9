"""Queries of those who tell people of alerts use an index on both databases: the plans say so."""

import re

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from portal.alerts import channels, notification_queries, notification_retention, notifying
from portal.alerts.models import Alert
from portal.alerts.notification_models import AlertChannel, Notification
from portal.database import db, reading, unit_of_work
from tests.alerts.telling_kit import first_channel, notifications, notify, open_alert, prefer
from tests.support.people import Team
from tests.test_queries import plan, read

MANY = 2000


def grow(app: Flask, team: Team) -> None:
    """Fill the tables as years would: everything was told long ago."""
    prefer(app, team, group_wait_seconds=0)
    open_alert(app, team)
    notify(app)
    with app.app_context(), unit_of_work() as session:
        new = "gen_random_uuid()" if session.get_bind().dialect.name == "postgresql" else "lower(hex(randomblob(16)))"
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"  # noqa: S608
        for table, fresh in (("notifications", "id"), ("alert_changes", "id")):
            columns = [each.name for each in db.metadata.tables[table].columns]
            values = [new if each == fresh else each for each in columns]
            session.execute(text(
                f"INSERT INTO {table} ({', '.join(columns)}) {numbers} SELECT {', '.join(values)} "  # noqa: S608
                f"FROM n, (SELECT * FROM {table} LIMIT 1) AS one"
            ))  # fmt: skip
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()


def test_growing_queries_use_their_index(app: Flask, team: Team) -> None:
    grow(app, team)
    organization = team.organization_id
    with app.app_context(), reading() as session:
        alert = session.query(Alert).one()
    channel = first_channel(app, team)
    one = notifications(app)[0]
    for do in (
        notifying.look,
        read(lambda: notification_queries.listed(organization_id=organization)),
        read(lambda: notification_queries.of_alert(alert)),
        read(lambda: notification_queries.last_of([channel])),
        read(lambda: notification_queries.messages(one)),
        read(lambda: channels.listed(organization_id=organization)),
    ):
        found = plan(app, do)
        scans = re.findall(r"(?:SCAN|Seq Scan on) (?:notifications|alert_changes)(?! USING)[^\n]*", found)
        assert not scans, found


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_channels_were_told_last_is_read_at_once(app: Flask, team: Team) -> None:
    grow(app, team)
    organization = team.organization_id
    with app.app_context(), unit_of_work():
        never = channels.create(organization_id=organization, draft=channels.Draft(name="Never told"))
    with app.app_context(), reading() as session:
        found = [first_channel(app, team), session.get_one(AlertChannel, never.id)]
        newest = session.scalar(select(Notification.id).order_by(Notification.id.desc()).limit(1))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    with app.app_context(), reading():
        event.listen(db.engine, "before_cursor_execute", note)
        last = notification_queries.last_of(found)
        event.remove(db.engine, "before_cursor_execute", note)
    assert {each: told.row.id for each, told in last.items()} == {found[0].id: newest}
    assert len([each for each in statements if each.startswith("SELECT")]) == 2, "theirs, and how their messages stand"


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_retention_finds_the_oldest_by_their_ids(app: Flask, team: Team) -> None:
    grow(app, team)
    assert "ix_notifications_of_organization" in plan(app, notification_retention.tidy)
