"""The database: declarative base, column types, the one committing construct, wake-ups and pages by key."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import uuid_utils
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import DateTime, Dialect, Engine, MetaData, TypeDecorator, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from portal import clock

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=67108864",
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


T = TypeVar("T")


IDLE_SECONDS = 5.0
"""A connection that was used more recently is taken to be alive without asking."""


class Base(DeclarativeBase):
    """Parent of every table; constraints have names, the same on both databases, so that migrations can use them."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(
    model_class=Base,
    session_options={"expire_on_commit": False, "autoflush": False},
    disable_autonaming=True,
)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware on the Python side, stored in UTC. SQLite has no zones, so they are put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values and convert to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """Return the conversion of each value: on SQLite straight to text, as SQLAlchemy writes it."""
        return _sqlite_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC value."""
        return value if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _sqlite_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(" ", "microseconds")


def new_id() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562): unique and ordered by time, so that rows made later sort later."""
    moment = clock.made_up()
    made = uuid_utils.uuid7(nanoseconds=int(moment.timestamp() * 1e9)) if moment else uuid_utils.uuid7()
    return uuid.UUID(int=made.int)


def first_id(moment: datetime, shift: timedelta = timedelta(0)) -> uuid.UUID:
    """Return the smallest id of a moment: the first 48 bits of a UUID version 7 are its milliseconds (RFC 9562).

    Args:
        moment: any, the first and last that there are too.
        shift: is added to it.
    """
    milliseconds = int((moment.timestamp() + shift.total_seconds()) * 1000)
    return uuid.UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


# A unit of work takes SQLite's write lock at its start: two that read first and write later would
# otherwise lose updates or fail at once. All else keeps to a snapshot and never waits for a writer.
_begin: ContextVar[str] = ContextVar("portal_begin", default="DEFERRED")


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)


@event.listens_for(Pool, "checkin")
def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


@event.listens_for(Pool, "checkout")
def _require_alive(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask whether a connection that lay idle is still alive: a database that was started again has forgotten it.

    SQLAlchemy asks each time, which costs a round trip for every transaction.
    """
    used = record.info.get("used")
    if used is None or time.monotonic() - used < IDLE_SECONDS or type(connection).__module__.startswith("sqlite3"):
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except connection.Error as error:  # as each driver's connection names it (PEP 249)
        raise DisconnectionError from error


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        try:
            connection.connection.cursor().execute(f"BEGIN {_begin.get()}")
        except sqlite3.Error as error:
            raise DBAPIError.instance("BEGIN", None, error, sqlite3.Error, dialect=connection.dialect) from error


@contextmanager
def unit_of_work() -> Iterator[scoped_session[FlaskSession]]:
    """Run one transaction: commit at the end, roll back on an error, and give the connection back in both cases.

    This is the only construct that commits. It must not be opened inside another one, and nothing inside it may
    call out to a network.

    Raises:
        RuntimeError: a transaction is already under way.
    """
    with _transaction("IMMEDIATE") as session:
        yield session
        session.commit()


@contextmanager
def reading() -> Iterator[scoped_session[FlaskSession]]:
    """Run one reading transaction, which never waits for a writer and is rolled back at the end."""
    with _transaction("DEFERRED") as session:
        yield session


@contextmanager
def glancing() -> Iterator[None]:
    """Run a prepared statement that reads, and commits nothing: without a session, which would cost more than it.

    Raises:
        RuntimeError: a transaction is already under way.
    """
    if in_transaction():
        raise RuntimeError("a transaction is already under way")
    with db.engine.connect() as opened:
        held, raw = _held.set([opened]), _of_server(opened)
        if raw:
            raw.autocommit = True  # a transaction around one statement would take two round trips
        try:
            yield
        finally:
            _held.reset(held)
            if raw and not raw.closed:
                raw.autocommit = False


def _of_server(opened: Connection) -> Any:
    """Return PostgreSQL's own connection; None of SQLite, which has no round trips."""
    return opened.connection.driver_connection if opened.dialect.name == "postgresql" else None


@contextmanager
def _transaction(begin: str) -> Iterator[scoped_session[FlaskSession]]:
    if in_transaction():
        raise RuntimeError("a transaction is already under way")
    token, held = _begin.set(begin), _held.set([])
    try:
        with _turn_to_write(db.engine) if begin == "IMMEDIATE" else nullcontext():
            try:
                yield db.session
            finally:
                db.session.remove()
    finally:
        _held.reset(held)
        _begin.reset(token)


# The connection of the transaction under way, once somebody asked for it.
_held: ContextVar[list[Connection] | None] = ContextVar("portal_connection", default=None)


def connection() -> Connection:
    """Return the connection of the transaction under way; many times faster than to ask the session each time."""
    held = _held.get()
    if held is None:
        return db.session.connection()
    if not held:
        held.append(db.session.connection())
    return held[0]


_writers: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
_writers_guard = threading.Lock()


def _turn_to_write(engine: Engine) -> AbstractContextManager[object]:
    """Return the lock that lets this process' threads write to SQLite one after the other; elsewhere none is needed.

    SQLite itself lets who comes second sleep up to a tenth of a second and look again, while others pass by.
    """
    if engine.dialect.name != "sqlite":
        return nullcontext()
    with _writers_guard:
        return _writers.setdefault(engine, threading.Lock())


def in_transaction() -> bool:
    """Return whether this thread's session holds a transaction, and with it a connection."""
    return db.session.registry.has() and db.session().in_transaction()


# Wake-ups: a commit tells whoever waits for new work, so that nobody has to poll fast. On PostgreSQL it tells other
# processes too, which hear it through portal.listening.
_listeners: dict[str, list[Callable[[], None]]] = {}
CHANNEL = "portal_wake"
PROCESS = uuid.uuid4().hex
"""Who we are in what we tell other processes."""


def on_wake(topic: str, callback: Callable[[], None]) -> Callable[[], None]:
    """Call `callback` after each commit that asked to wake `topic`; returns a function that ends that."""
    _listeners.setdefault(topic, []).append(callback)
    return lambda: _listeners[topic].remove(callback)


def wake_after_commit(topic: str) -> None:
    """Ask that those who wait for `topic` are called once this transaction is committed."""
    topics: set[str] = db.session().info.setdefault("wake", set())
    if topic not in topics:
        topics.add(topic)
        if connection().dialect.name == "postgresql":
            connection().exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, f"{PROCESS} {topic}"))


def wake(topic: str) -> None:
    """Call those who wait for `topic` in this process."""
    for callback in list(_listeners.get(topic, ())):
        callback()


def topics() -> list[str]:
    """Return what somebody in this process waits for."""
    return [topic for topic, callbacks in _listeners.items() if callbacks]


@event.listens_for(Session, "after_commit")
def _wake(session: Session) -> None:
    for topic in session.info.pop("wake", ()):
        wake(topic)


@event.listens_for(Session, "after_rollback")
def _forget_wake(session: Session) -> None:
    session.info.pop("wake", None)
