"""What is said of checks that did not pass, each text once, so that a search reads these and not every log."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.database import connection, db, reading, unit_of_work
from portal.health.models import WITHOUT_WORDS, HealthLog, HealthWords, LogStatus
from portal.prepared import Prepared

AHEAD: Final = timedelta(days=1)
"""How far `until` runs ahead: so often a text that comes all the time is written."""
BATCH: Final = 200
"""Logs that one transaction catches up with, so that nobody waits for it."""
_NO_SYNC: Final = {"synchronize_session": False}
_SAID: Final = ("error_class", "error_code", "error_message")
_APART: Final = "\x1f"
"""Between class, code and message: web.listing.searched() takes it out of what is looked for."""


def of(organization_id: uuid.UUID, *said: str | None) -> tuple[uuid.UUID, str]:
    """Return the words of a check, and their id.

    Args:
        organization_id: whose.
        said: class, code and message of the error.
    """
    words = _APART.join([each or "" for each in said])
    return uuid.UUID(bytes=blake2b(organization_id.bytes + words.encode(), digest_size=16).digest()), words


def note(logs: Sequence[dict[str, Any]]) -> None:
    """Give each log that did not pass its `words_id`, the others None, and keep words that are new.

    Runs inside a unit of work.

    Args:
        logs: as they are stored, by the names of their columns.
    """
    said: dict[uuid.UUID, dict[str, Any]] = {}
    for log in logs:
        log["words_id"] = None
        if log["status"] != LogStatus.SUCCESS:
            key, words = of(log["organization_id"], *[log[name] for name in _SAID])
            log["words_id"] = key
            until = max(log["checked_at"], said[key]["until"]) if key in said else log["checked_at"]
            said[key] = {"organization_id": log["organization_id"], "id": key, "said": words, "until": until}
    if said:
        _keep(said)


def catch_up() -> int:
    """Note the words of logs that have none yet: of before there were any, or of an older portal that still ran.

    Owns its transactions.

    Returns:
        How many logs there were.
    """
    row, total = HealthLog, 0
    columns = (
        row.id, row.organization_id, row.status, row.error_class, row.error_code, row.error_message, row.checked_at,
    )  # fmt: skip
    query = select(*columns).where(WITHOUT_WORDS).limit(BATCH).with_for_update(skip_locked=True)
    while True:
        with unit_of_work() as session:
            logs = [dict(each) for each in session.execute(query).mappings()]
            if logs:
                note(logs)
                session.execute(update(row), [{"id": each["id"], "words_id": each["words_id"]} for each in logs])
        total += len(logs)
        if len(logs) < BATCH:
            return total


def forget(organization_id: uuid.UUID, before: datetime) -> int:
    """Delete the words that no log from a moment on has. Owns its transactions.

    Returns:
        How many texts went.
    """
    row, total = HealthWords, 0
    old = (row.organization_id == organization_id, row.until < before)
    while True:
        with reading() as session:
            found = session.scalars(select(row.id).where(*old).limit(BATCH)).all()
        if found:
            with unit_of_work() as session:  # unless they were said again meanwhile
                session.execute(delete(row).where(*old, row.id.in_(found)), execution_options=_NO_SYNC)
        total += len(found)
        if len(found) < BATCH:
            return total


def all_noted(organization_id: uuid.UUID) -> bool:
    """Return whether the words of every log are noted, so that nothing is missed by looking through them."""
    return not _MISSING.all(int, of=organization_id)


def _keep(said: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
    """Store words that are not stored yet, and move those on that were not said for long."""
    row = HealthWords
    organizations = {each["organization_id"] for each in said.values()}
    query = select(row.id, row.until).where(row.organization_id.in_(organizations), row.id.in_(said))
    known: dict[uuid.UUID, datetime] = dict(db.session.execute(query).all())
    late = [
        {**each, "until": each["until"] + AHEAD}
        for key, each in sorted(said.items())  # always in the same order, as all that locks rows
        if key not in known or known[key] < each["until"]
    ]
    if late:
        db.session.execute(_KEEP[connection().dialect.name], late)


def _keeping(dialect_insert: Any) -> Any:
    # The database itself makes the letters small, as it does with what is looked for.
    fresh = dialect_insert(HealthWords.__table__).values(words=func.lower(bindparam("said")))
    later = fresh.excluded.until
    return fresh.on_conflict_do_update(
        index_elements=["organization_id", "id"], set_={"until": later}, where=HealthWords.until < later
    )


_KEEP: Final = {"sqlite": _keeping(sqlite.insert), "postgresql": _keeping(postgresql.insert)}
_MINE: Final = HealthLog.organization_id == bindparam("of", type_=HealthLog.organization_id.type)
# In the order of its index: PostgreSQL believes that there are many, and would read the table until it meets one.
_MISSING: Final = Prepared(
    select(literal_column("1")).select_from(HealthLog).where(_MINE, WITHOUT_WORDS).order_by(HealthLog.words_id).limit(1)
)
