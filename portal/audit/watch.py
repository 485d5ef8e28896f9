"""Watches over the audit trail: the newest part of each chain every few minutes, all of it once a day."""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.audit.chain import HEADS
from portal.audit.models import INSTALLATION, AuditCheck
from portal.audit.verification import Verification, verify
from portal.database import db, reading, unit_of_work

EVERY: Final = timedelta(minutes=5)
"""Time between two looks at a chain."""
WHOLE_EVERY: Final = timedelta(days=1)
BROKEN_EVERY: Final = timedelta(hours=1)
"""Only a look at the whole chain says that a broken one is mended, for example by a backup."""
NEWEST: Final = 200
"""Entries at the end of a chain that are looked at in between."""
MOST: Final = 50
"""Chains of one look."""

log = logging.getLogger("portal.audit")
TABLE: Final = AuditCheck.metadata.tables[AuditCheck.__tablename__]


def look() -> int:
    """Verify the chains that are due. Owns its transactions; of several processes one takes each chain.

    Returns:
        How many chains were looked at.
    """
    with reading():
        missing, due = _missing(), _due(clock.now())
    if missing:
        due = [*_begin(missing), *due]
    return sum(_verify(chain) for chain in due[:MOST])


def note(organization_id: uuid.UUID | None, found: Verification) -> None:
    """Keep what a look at a whole chain found, whoever asked for it. Runs inside a unit of work."""
    _keep(organization_id or INSTALLATION, found, whole=True, now=clock.now())


def broken() -> Sequence[AuditCheck]:
    """Return the chains that were found broken and not yet whole again."""
    return db.session.scalars(select(AuditCheck).where(AuditCheck.ok.is_(False))).all()


def _missing() -> list[uuid.UUID]:
    """Return the chains that were never looked at."""
    known = select(TABLE.c.chain).where(TABLE.c.chain == HEADS.c.chain)
    return list(db.session.scalars(select(HEADS.c.chain).where(~known.exists()).limit(MOST)))


def _due(now: datetime) -> list[uuid.UUID]:
    # A moment further ahead than a look can be comes from a clock that was set back since.
    late = or_(TABLE.c.due_at <= now, TABLE.c.due_at > now + EVERY)
    return list(db.session.scalars(select(TABLE.c.chain).where(late).order_by(TABLE.c.due_at).limit(MOST)))


def _begin(chains: Sequence[uuid.UUID]) -> Sequence[uuid.UUID]:
    rows = [{"chain": each, "ok": True, "first_bad_seq": None, "reason": "", "due_at": clock.now()} for each in chains]
    with unit_of_work() as session:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(TABLE).on_conflict_do_nothing(), rows)
    return chains


def _verify(chain: uuid.UUID) -> bool:
    """Look at one chain, unless another process does; its lease is the time until the next look."""
    now = clock.now()
    with unit_of_work() as session:
        free = or_(TABLE.c.due_at <= now, TABLE.c.due_at > now + EVERY)
        claim = update(TABLE).where(TABLE.c.chain == chain, free).values(due_at=now + EVERY)
        row = session.execute(claim.returning(TABLE.c.ok, TABLE.c.whole_at)).one_or_none()
    if row is None:
        return False
    pause = WHOLE_EVERY if row.ok else BROKEN_EVERY
    whole = row.whole_at is None or not now - pause < row.whole_at <= now
    with reading():
        found = verify(None if chain == INSTALLATION else chain, newest=None if whole else NEWEST)
    with unit_of_work():
        _keep(chain, found, whole=whole, now=now)
    return True


def _keep(chain: uuid.UUID, found: Verification, *, whole: bool, now: datetime) -> None:
    values: dict[str, Any] = {"whole_at": now} if whole else {}
    if whole or not found.ok:  # a good end proves nothing about what was found broken before
        values |= {"ok": found.ok, "first_bad_seq": found.first_bad_seq, "reason": found.reason}
    if not found.ok:
        log.error("the audit trail of %s is broken at entry %s: %s", chain, found.first_bad_seq, found.reason)
    if values:
        db.session.execute(update(TABLE).where(TABLE.c.chain == chain).values(**values))
