"""Idempotency keys: what an API token was answered under a key of its own is kept for a day, and answered again.

The answer is stored by the transaction that does the work. So a process that dies leaves neither behind, and there is
no key that waits for an answer which never comes.
"""

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select, tuple_

from portal import clock
from portal.accounts.errors import KeyInUseError, KeyReusedError
from portal.accounts.models import IdempotencyKey
from portal.database import db

LASTS: Final = timedelta(hours=24)
"""How long the same key means the same request."""
LONGEST: Final = 255
"""Characters of a key."""
MOST_AT_ONCE: Final = 5000
"""Keys that one transaction deletes."""
_under_way: set[tuple[uuid.UUID, str]] = set()
_lock = threading.Lock()


@contextmanager
def alone(*, token_id: uuid.UUID, key: str) -> Iterator[None]:
    """Hold a key within this process, around the unit of work: whoever comes second is told so, and waits for no lock.

    That nothing is done twice does not depend on it.

    Raises:
        KeyInUseError: another request of this process holds it.
    """
    place = (token_id, key)
    with _lock:
        if place in _under_way:
            raise KeyInUseError
        _under_way.add(place)
    try:
        yield
    finally:
        with _lock:
            _under_way.remove(place)


def earlier(*, token_id: uuid.UUID, key: str, fingerprint: bytes) -> tuple[Any, int] | None:
    """Return what was answered under this key, with its status; None where it is new. Runs inside a unit of work.

    The key stays with this unit of work until it ends.

    Args:
        token_id: whose key it is: two applications may choose the same one.
        key: as the application sent it.
        fingerprint: of what it asks for.

    Raises:
        KeyInUseError: another request with this key is under way.
        KeyReusedError: it stood for another request.
    """
    _hold(token_id, key)
    row = db.session.get(IdempotencyKey, (token_id, key))
    if row is None:
        return None
    if row.created_at <= clock.now() - LASTS:
        db.session.delete(row)
        db.session.flush()
        return None
    if row.fingerprint != fingerprint:
        raise KeyReusedError
    return row.answer, row.status


def keep(*, token_id: uuid.UUID, key: str, fingerprint: bytes, answer: Any, status: int) -> None:
    """Store what is answered under a key. Runs inside the unit of work that does what was asked for."""
    db.session.add(
        IdempotencyKey(
            token_id=token_id, key=key, fingerprint=fingerprint, answer=answer, status=status, created_at=clock.now()
        )
    )
    db.session.flush()


def purge() -> int:
    """Delete keys that mean nothing any more, MOST_AT_ONCE at most; returns how many. Runs inside a unit of work."""
    place = (IdempotencyKey.token_id, IdempotencyKey.key)
    old = select(*place).where(IdempotencyKey.created_at <= clock.now() - LASTS).limit(MOST_AT_ONCE)
    found = db.session.execute(
        delete(IdempotencyKey).where(tuple_(*place).in_(old)), execution_options={"synchronize_session": False}
    )
    return int(getattr(found, "rowcount", 0))


def _hold(token_id: uuid.UUID, key: str) -> None:
    """Let no other process of a PostgreSQL database work under this key; SQLite has one writer anyway."""
    if db.session.get_bind().dialect.name != "postgresql":
        return
    digest = hashlib.sha256(token_id.bytes + key.encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    if not db.session.scalar(select(func.pg_try_advisory_xact_lock(number))):
        raise KeyInUseError
