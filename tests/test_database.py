"""The database: transactions that lose nothing and wait for nobody, wake-ups, moments, pages by key."""

import base64
import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import DateTime, func, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from portal import clock, database
from portal.accounts.models import Organization, ThrottleBucket
from portal.database import (
    connection,
    db,
    glancing,
    in_transaction,
    new_id,
    on_wake,
    reading,
    unit_of_work,
    wake_after_commit,
)
from portal.integrations.models import Integration
from portal.paging import decode_cursor, encode_cursor
from portal.prepared import Prepared
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
THREADS, TIMES = 8, 12


def put(app: Flask, level: float = 0) -> None:
    """Store the one row that these tests change."""
    with app.app_context(), unit_of_work() as session:
        session.merge(ThrottleBucket(key="counter", level=level, updated_at=clock.now()))


def counted(app: Flask) -> float | None:
    with app.app_context(), reading() as session:
        return session.scalar(select(ThrottleBucket.level).where(ThrottleBucket.key == "counter"))


def add_one(app: Flask) -> None:
    """Read first and write later: what loses updates wherever it can."""
    with app.app_context(), unit_of_work() as session:
        query = select(ThrottleBucket).where(ThrottleBucket.key == "counter").with_for_update()
        row = session.scalars(query).one()
        row.level += 1


def in_threads(work: Callable[[int], object], count: int = THREADS) -> list[object]:
    """Run the work in so many threads at the same moment; an error in one is raised here."""
    ready = threading.Barrier(count)

    def start(number: int) -> object:
        ready.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return [each.result(timeout=60) for each in [pool.submit(start, number) for number in range(count)]]


def add_often(app: Flask) -> None:
    for _ in range(TIMES):
        add_one(app)


def test_no_update_is_lost_and_nobody_finds_the_database_locked(app: Flask) -> None:
    put(app)
    in_threads(lambda _: add_often(app))
    assert counted(app) == THREADS * TIMES


def test_a_unit_of_work_commits_at_its_end_and_gives_the_connection_back(app: Flask) -> None:
    with app.app_context():
        with unit_of_work() as session:
            session.add(ThrottleBucket(key="counter", level=3, updated_at=clock.now()))
            session.flush()
            assert in_transaction()
        assert not in_transaction()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert counted(app) == 3


def test_an_error_rolls_back_and_gives_the_connection_back(app: Flask) -> None:
    put(app, 1)

    def break_off() -> None:
        with unit_of_work() as session:
            session.get_one(ThrottleBucket, "counter").level = 99
            session.flush()
            raise LookupError

    with app.app_context():
        with pytest.raises(LookupError):
            break_off()
        assert not in_transaction()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert counted(app) == 1


def test_a_refused_commit_leaves_the_next_transaction_whole(app: Flask) -> None:
    put(app, 1)
    with app.app_context():
        with pytest.raises(IntegrityError), unit_of_work() as session:
            session.add(Integration(organization_id=uuid.uuid4(), provider="smtp", type="email", name="x", name_key="x",
                                    created_at=clock.now(), updated_at=clock.now()))  # fmt: skip
        with unit_of_work() as session:
            session.get_one(ThrottleBucket, "counter").level = 2
    assert counted(app) == 2


@SQLITE
@pytest.mark.parametrize("inner", [unit_of_work, reading])
@pytest.mark.parametrize("outer", [unit_of_work, reading])
def test_transactions_are_not_nested(app: Flask, outer: Callable[[], object], inner: Callable[[], object]) -> None:
    with app.app_context(), outer() as session:  # type: ignore[attr-defined]
        session.scalar(select(literal(1)))
        with pytest.raises(RuntimeError, match="already under way"), inner():  # type: ignore[attr-defined]
            pytest.fail("a transaction was opened inside another")
        assert session.scalar(select(literal(1))) == 1, "the outer one goes on"


def test_the_connection_used_last_is_the_next_since_its_cache_is_the_fresh_one(app: Flask) -> None:
    with app.app_context():
        first, last = db.engine.connect(), db.engine.connect()
        fresh = last.connection.driver_connection
        first.close()
        last.close()
        with db.engine.connect() as found:
            assert found.connection.driver_connection is fresh


def test_reading_changes_nothing(app: Flask) -> None:
    put(app, 1)
    with app.app_context(), reading() as session:
        session.get_one(ThrottleBucket, "counter").level = 2
        session.flush()
    assert counted(app) == 1


def test_readers_do_not_wait_for_a_writer_and_keep_to_what_was_committed(app: Flask) -> None:
    put(app, 1)
    with app.app_context(), unit_of_work() as session:
        session.get_one(ThrottleBucket, "counter").level = 2
        session.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(counted, app).result(timeout=5) == 1
    assert counted(app) == 2


@SQLITE
def test_pages_open_while_somebody_writes(app: Flask, admin: Browser) -> None:
    with app.app_context(), unit_of_work() as session:
        session.merge(ThrottleBucket(key="counter", level=2, updated_at=clock.now()))
        session.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(admin.get, "/admin/integrations").result(timeout=8).status_code == 200


def test_waiting_workers_are_woken_after_the_commit_and_see_what_it_wrote(app: Flask) -> None:
    seen: list[float | None] = []
    off = on_wake("tests", lambda: seen.append(ThreadPoolExecutor(1).submit(counted, app).result(timeout=10)))
    try:
        with app.app_context(), unit_of_work() as session:
            session.merge(ThrottleBucket(key="counter", level=5, updated_at=clock.now()))
            wake_after_commit("tests")
            session.flush()
            assert seen == []
        assert seen == [5]
        with app.app_context(), unit_of_work() as session:
            session.scalar(select(literal(1)))
        assert seen == [5], "a commit that did not ask wakes nobody"
    finally:
        off()


@SQLITE
def test_nobody_is_woken_by_what_was_rolled_back_or_after_having_left(app: Flask) -> None:
    woken: list[str] = []
    off = on_wake("tests", lambda: woken.append("woken"))

    def break_off() -> None:
        with unit_of_work() as session:
            session.scalar(select(literal(1)))
            wake_after_commit("tests")
            raise LookupError

    with app.app_context():
        with pytest.raises(LookupError):
            break_off()
        with unit_of_work() as session:
            session.scalar(select(literal(1)))
        off()
        with unit_of_work() as session:
            wake_after_commit("tests")
            session.scalar(select(literal(1)))
    assert woken == []


SYDNEY = timezone(timedelta(hours=11))
MOMENT = datetime(2025, 11, 21, 23, 30, 0, 123456, tzinfo=SYDNEY)


def test_a_moment_comes_back_in_utc_to_the_microsecond(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        session.add(ThrottleBucket(key="moment", level=0, updated_at=MOMENT))
    with app.app_context(), reading() as session:
        found = session.scalars(select(ThrottleBucket.updated_at).where(ThrottleBucket.key == "moment")).one()
        later = select(ThrottleBucket.key).where(ThrottleBucket.updated_at > MOMENT - timedelta(microseconds=1))
        assert session.scalars(later).all() == ["moment"]
        assert session.scalars(select(ThrottleBucket.key).where(ThrottleBucket.updated_at > MOMENT)).all() == []
    assert found == MOMENT
    assert found.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(app: Flask) -> None:
    with app.app_context(), pytest.raises(StatementError, match="needs a time zone"), unit_of_work() as session:
        session.add(ThrottleBucket(key="moment", level=0, updated_at=datetime(2025, 1, 1)))  # noqa: DTZ001


@SQLITE
def test_sqlite_is_set_up_to_lose_nothing(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in names}
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_rows_go_with_their_organization(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    with app.app_context(), unit_of_work() as session:
        session.execute(text("DELETE FROM organizations"))
    with app.app_context(), reading() as session:
        assert session.get(Integration, integration) is None
        assert session.scalar(select(text("count(*)")).select_from(text("integration_secrets"))) == 0
        assert session.scalars(select(Organization)).all() == []


def test_ids_made_later_sort_later() -> None:
    made = [new_id() for _ in range(200)]
    assert made == sorted(made)
    assert {each.version for each in made} == {7}


def test_a_cursor_carries_the_key_of_a_row() -> None:
    row = new_id()
    cursor = encode_cursor(MOMENT, row, "Ärger/+?&=#")
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor, 3) == [MOMENT.isoformat(), str(row), "Ärger/+?&=#"]


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


NOW = "2025-11-21T10:00:00+00:00"
SOME = str(uuid.UUID(int=7))
HOSTILE = [
    "x",
    "%00",
    "é",
    "=" * 50,
    "A" * 5000,
    base64.urlsafe_b64encode(b"[" * 60_000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    packed({}),
    packed([]),
    packed(None),
    packed(["a"]),
    packed([NOW]),
    packed([NOW, SOME, SOME]),
    packed([1, 2]),
    packed([None, SOME]),
    packed([[NOW], SOME]),
    packed([NOW, "not an id"]),
    packed(["not a moment", SOME]),
    packed(["2025-11-21T10:00:00", SOME]),
    packed(["2025-11-21", SOME]),
    packed(["0001-01-01T00:00:00+14:00", SOME]),
    packed(["9999-12-31T23:59:59-14:00", SOME]),
    packed(["9" * 400, SOME]),
    packed(["\x00", SOME]),
    packed(["\ud800", SOME]),
]


@pytest.mark.parametrize(
    "cursor", ["x", "A" * 5000, packed({}), packed(["a"]), packed([1, 2]), packed([NOW, SOME, SOME])]
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of its kinds, the pages treat them alike
        decode_cursor(cursor, 2)


def test_a_hostile_cursor_finds_no_page(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    for path in ("/admin/health-logs?", "/admin/integrations?sort=last_sync&"):
        for cursor in HOSTILE:
            assert admin.get(f"{path}cursor={cursor}").status_code == 404, (path, cursor[:60])


NAMED = [packed(["a\x00b", SOME]), packed(["\ud800", SOME]), packed(["a", SOME, SOME]), packed(["a"])]
PROVIDERS = [packed(["a\x00b", "b", SOME]), packed(["a", "\udfff", SOME]), packed(["a", "b", "c"]), packed(["a", SOME])]
SEVERITIES = [packed([value, "a", SOME]) for value in ("x", "9" * 400, "1e3", "", "-1", "٣", str(10**30))]


@pytest.mark.parametrize(("sort", "cursors"), [("name", NAMED), ("provider", PROVIDERS), ("status", SEVERITIES)])
def test_a_hostile_cursor_of_a_sorted_list_finds_no_page(
    app: Flask, team: Team, admin: Browser, sort: str, cursors: list[str]
) -> None:
    make_integration(app, team.admin)
    for cursor in cursors:
        answer = admin.get(f"/admin/integrations?sort={sort}&cursor={cursor}")
        assert answer.status_code == 404, (sort, cursor)


def test_types_of_moments_are_all_the_projects_own() -> None:
    """A plain DateTime would lose the zone on SQLite without a word."""
    plain = [
        f"{table.name}.{column.name}"
        for table in db.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, DateTime)
    ]
    assert plain == []


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_connection_that_died_while_it_lay_idle_is_made_anew(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
    with app.app_context():
        with reading() as session:
            died = session.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(**db.engine.dialect.create_connect_args(db.engine.url)[1], autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (died,))
        with reading() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) != died


PID = Prepared(select(func.pg_backend_pid()))
WRONG = Prepared(select(literal_column("1 / 0")))


def driver() -> Any:
    """Return PostgreSQL's own connection of the transaction or glance under way."""
    return connection().connection.driver_connection


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_glance_begins_no_transaction_and_leaves_its_connection_as_it_was(app: Flask) -> None:
    with app.app_context():
        for statement in (PID, WRONG):
            with suppress(DBAPIError), glancing():
                used = driver()
                statement.all(int)
                assert used.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert not used.autocommit
        with reading() as session:
            assert session.scalar(text("SELECT 1")) == 1
            assert driver().info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_glance_at_a_database_that_is_gone_ends_in_its_error(app: Flask) -> None:
    def glance() -> None:
        with glancing():
            [here] = PID.all(int)
            with psycopg.connect(**db.engine.dialect.create_connect_args(db.engine.url)[1], autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (here,))
            PID.all(int)

    with app.app_context(), pytest.raises(OperationalError):
        glance()
