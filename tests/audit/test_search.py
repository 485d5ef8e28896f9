"""Searching the trail: filters, pages by key, and a plan that stays fast."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from portal.audit import search, trail
from portal.audit.actor import Actor
from portal.audit.search import Filters, list_entries
from portal.database import db, reading, unit_of_work

ORGANIZATION, OTHER = uuid.UUID(int=11), uuid.UUID(int=12)
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def record(name: str, *, action: str = "integration.changed", who: str = "Dana", ip: str = "", **more: object) -> None:
    with unit_of_work():
        trail.record(
            action=action,
            organization_id=more.get("organization_id", ORGANIZATION),  # type: ignore[arg-type]
            target_type="integration",
            target_id=f"id-{name}",
            target_name=name,
            actor=Actor("user", None, who, ip),
        )


def names(filters: Filters = Filters(), before: int | None = None) -> list[str]:  # noqa: B008 - frozen
    with reading():
        return [
            entry.target_name
            for entry in list_entries(organization_id=ORGANIZATION, filters=filters, before=before).entries
        ]


def test_pages_show_every_entry_once_newest_first_and_only_ones_own() -> None:
    with time_machine.travel(START, tick=False), unit_of_work():  # all at one moment: their numbers decide
        for number in range(60):
            trail.record(action="a.b", organization_id=ORGANIZATION, target_type="t", target_name=str(number))
        trail.record(action="a.b", organization_id=OTHER, target_type="t", target_name="elsewhere")
        trail.record(action="a.b", organization_id=None, target_type="t", target_name="installation")
    seen: list[str] = []
    sizes: list[int] = []
    before = None
    while not sizes or before:
        with reading():
            found = list_entries(organization_id=ORGANIZATION, filters=Filters(), before=before)
        seen += [entry.target_name for entry in found.entries]
        sizes.append(len(found.entries))
        before = found.older
    assert sizes == [25, 25, 10]
    assert seen == [str(number) for number in reversed(range(60))]
    with reading():
        assert search.count_all(ORGANIZATION) == 60
        assert search.count_all(uuid.UUID(int=99)) == 0


def test_a_full_last_page_has_no_older_one() -> None:
    with unit_of_work():
        for number in range(25):
            trail.record(action="a.b", organization_id=ORGANIZATION, target_type="t", target_name=str(number))
    with reading():
        assert list_entries(organization_id=ORGANIZATION, filters=Filters()).older is None


def test_an_unknown_place_shows_the_first_page() -> None:
    record("only")
    assert names(before=4711) == ["only"]


def test_each_filter_leaves_out_what_does_not_match() -> None:
    with time_machine.travel(START, tick=False) as clock:
        record("Email relay", who="Dana Whitfield", ip="203.0.113.9")
        clock.shift(timedelta(hours=1))
        record("SMS 100%", who="Noor", action="integrationx.created")
        clock.shift(timedelta(hours=1))
        record("ÄRGER", who="Noor", action="member.created")
    assert names(Filters(group="integration")) == ["Email relay"]
    assert names(Filters(group="member")) == ["ÄRGER"]
    assert names(Filters(group="%")) == []
    assert names(Filters(actor="noor")) == ["ÄRGER", "SMS 100%"]
    assert names(Filters(actor="203.0.113")) == ["Email relay"]
    assert names(Filters(target="RELAY")) == ["Email relay"]
    assert names(Filters(target="id-Email relay")) == ["Email relay"]
    assert names(Filters(target="%")) == ["SMS 100%"]
    assert names(Filters(target="_")) == []
    assert names(Filters(since=START + timedelta(hours=1))) == ["ÄRGER", "SMS 100%"]
    assert names(Filters(until=START + timedelta(hours=1))) == ["Email relay"]
    assert names(Filters(actor="noor", group="member", since=START)) == ["ÄRGER"]


@pytest.mark.parametrize(
    "filters", [Filters(), Filters(since=START, until=START + timedelta(days=1)), Filters(group="x")]
)
def test_a_page_is_read_along_the_index_without_sorting(filters: Filters) -> None:
    with reading() as session:
        wanted = search.page_query(ORGANIZATION, filters, START, 7)
        compiled = wanted.compile(db.engine, compile_kwargs={"literal_binds": True})
        if db.engine.dialect.name == "sqlite":
            plan = str(session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all())
        else:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
            plan = str(session.execute(text(f"EXPLAIN {compiled}")).all())
    assert "ix_audit_entries_chain_at_seq" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
