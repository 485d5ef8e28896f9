"""Queries on messages use an index on both databases: the plans say so."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from portal import clock
from portal.database import db, reading, unit_of_work
from portal.messaging import Channel, MessageStatus, carriers, claims, queries, queue, retention, service
from portal.messaging.models import Message
from portal.messaging.queries import MessageFilters
from tests.messaging.kit import Post
from tests.support.people import Team
from tests.test_queries import SEEDS, plan, read

COUNT = 4000


def grow(app: Flask, team: Team, post: Post) -> Message:
    """Fill the tables as years would; return one message."""
    carrier = post.carrier("a")
    with app.app_context(), unit_of_work() as session:
        made = queue(
            organization_id=team.organization_id, channel=Channel.EMAIL, to="d@example.org", text="x", purpose="alert"
        )
        statement, new, ago = SEEDS[session.get_bind().dialect.name]
        columns = ["organization_id", "channel", "direction", "purpose", "to_address", "subject", "text", "html",
                   "extra", "entity_type", "entity_id", "avoid", "provider_id", "rounds"]  # fmt: skip
        messages = {each: each for each in columns} | {
            "id": new, "status": "CASE WHEN i % 50 = 0 THEN 'failed' ELSE 'sent' END", "created_at": ago, "tries": "1",
            "due_at": f"CASE WHEN i % 100 = 0 THEN {ago} END", "expires_at": ago, "key": "'k' || i",
            "lease_until": f"CASE WHEN i % 400 = 0 THEN {ago} END",
        }  # fmt: skip
        fill(statement, "messages", messages, "messages")
        tries = {
            "id": new, "message_id": "messages.id", "number": "i", "integration_id": f"'{carrier.hex}'",
            "integration_name": "'a'", "provider": "'smtp'", "code": "''", "message": "''", "provider_id": "''",
            "started_at": ago, "retry_at": f"CASE WHEN i % 50 = 0 THEN {ago} END",
        }  # fmt: skip
        if session.get_bind().dialect.name == "postgresql":
            tries["integration_id"] = f"'{carrier}'::uuid"
        fill(statement, "message_tries", tries, "(SELECT id FROM messages WHERE key IS NULL) AS messages")
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    return made


def fill(statement: str, table: str, values: dict[str, str], source: str) -> None:
    """Insert COUNT rows made from those of the source."""
    filled = statement.format(table=table, columns=", ".join(values), values=", ".join(values.values()))
    db.session.execute(text(f"{filled}, {source}"), {"count": COUNT})


def test_growing_queries_use_their_index(app: Flask, team: Team, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 5)  # of so few rows it would read all to change a larger part
    monkeypatch.setattr(retention, "MOST_BATCHES", 2)
    one, organization = grow(app, team, post), team.organization_id
    anything, failed = MessageFilters(), MessageFilters(statuses=(MessageStatus.FAILED,))
    with app.app_context(), reading():
        after = queries.listed(organization_id=organization, filters=anything, limit=5).next_cursor or ""
    week = MessageFilters(since=clock.now() - timedelta(days=7), channel="email")

    def choose() -> object:
        with unit_of_work() as session:
            return carriers.choose(session.get_one(Message, one.id), tried=())

    def again() -> object:
        with unit_of_work():
            return queue(
                organization_id=organization, channel=Channel.EMAIL, to="d", text="x", purpose="alert", key="k1"
            )

    cases: dict[str, tuple[str, Callable[[], object]]] = {
        "claim what is due": ("ix_messages_due", lambda: claims.claim_due(5)),
        "what is lost": ("ix_messages_claimed", claims.give_up_lost),
        "the log": (
            "ix_messages_of_organization",
            read(lambda: queries.listed(organization_id=organization, filters=anything))),
        "the log, next page": (
            "ix_messages_of_organization",
            read(lambda: queries.listed(organization_id=organization, filters=anything, cursor=after))),
        "the log of a week": (
            "ix_messages_of_organization", read(lambda: queries.listed(organization_id=organization, filters=week))),
        "what failed": (
            "ix_messages_by_status", read(lambda: queries.listed(organization_id=organization, filters=failed))),
        "tries of a message": ("message_tries_",  # a unique one, which each database names in its own way
            read(lambda: queries.tries(one))),
        "pauses of a carrier": ("ix_message_tries_pauses", choose),
        "the same key": ("messages_", again),
        "bodies to wipe": ("messages", retention.tidy),
        "one": ("messages", read(lambda: service.get(organization_id=organization, message_id=one.id))),
    }  # fmt: skip
    missed = {}
    for name, (index, do) in cases.items():
        found = plan(app, do)
        whole = "SCAN messages\n" in f"{found}\n" or "Seq Scan on messages" in found
        if index not in found or whole:
            missed[name] = found
    assert missed == {}, missed
