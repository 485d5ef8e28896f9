"""Reading the audit trail: one page of entries that match, newest first, and all of them for an export."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, or_, select

from portal.audit.chain import chain_of
from portal.audit.models import AuditEntry, AuditHead
from portal.audit.verification import BATCH
from portal.database import db

PAGE: Final = 25
LAST: Final = 2**63
"""One more than the highest number that a database keeps."""


@dataclass(frozen=True)
class Filters:
    """What to show; an empty field leaves nothing out."""

    group: str = ""
    """The part of the action before the dot."""
    actor: str = ""
    """Part of the name of who did it, or of the address it came from."""
    target: str = ""
    """Part of the name of what changed, or its id."""
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""


@dataclass(frozen=True)
class EntryPage:
    """A page of entries, newest first."""

    entries: list[AuditEntry]
    older: int | None
    """Number of the last entry here, where the next page goes on; none on the last page."""


def list_entries(
    *, organization_id: uuid.UUID | None, filters: Filters, before: int | None = None, limit: int = PAGE
) -> EntryPage:
    """Return one page of an organization's trail.

    Pages go by time and number, so each is as fast as the first. A text is looked for entry by entry.

    Args:
        organization_id: whose trail; None is the installation's.
        filters: what to show.
        before: the number of the last entry of the page before; none for the newest.
        limit: entries in a page.
    """
    chain = chain_of(organization_id)
    last = db.session.scalar(_moment(chain, before)) if before and 0 < before < LAST else None
    rows = list(db.session.scalars(page_query(chain, filters, last, before, limit)))
    return EntryPage(rows[:limit], rows[limit - 1].seq if len(rows) > limit else None)


def page_query(
    chain: uuid.UUID, filters: Filters, at: datetime | None, before: int | None, limit: int = PAGE
) -> Select[AuditEntry]:
    """Return the query of a page, and of one entry more, which tells whether there is another page.

    Args:
        chain: whose entries.
        filters: what to show.
        at: the moment of the last entry of the page before; none for the newest page.
        before: that entry's number.
        limit: entries in a page.
    """
    entry = AuditEntry
    wanted = select(entry).where(entry.chain == chain, *_conditions(filters))
    if at:
        wanted = wanted.where(entry.at <= at, or_(entry.at < at, and_(entry.at == at, entry.seq < before)))
    return wanted.order_by(entry.at.desc(), entry.seq.desc()).limit(limit + 1)


def count_all(organization_id: uuid.UUID | None) -> int:
    """Return how many entries a trail has; the head of the chain knows."""
    return db.session.scalar(select(AuditHead.seq).where(AuditHead.chain == chain_of(organization_id))) or 0


def every_entry(chain: uuid.UUID, filters: Filters) -> Iterator[AuditEntry]:
    """Yield the matching entries of a chain, oldest first, reading them in batches."""
    entry, after = AuditEntry, 0
    wanted = select(entry).where(entry.chain == chain, *_conditions(filters)).order_by(entry.seq).limit(BATCH)
    while rows := db.session.scalars(wanted.where(entry.seq > after)).all():
        yield from rows
        after = rows[-1].seq
        db.session.expunge_all()


def _moment(chain: uuid.UUID, seq: int) -> Select[datetime]:
    return select(AuditEntry.at).where(AuditEntry.chain == chain, AuditEntry.seq == seq)


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    entry = AuditEntry
    if filters.group:
        yield entry.action.startswith(f"{filters.group}.", autoescape=True)
    if filters.actor:
        named = entry.actor_name.icontains(filters.actor, autoescape=True)
        yield or_(named, entry.ip.startswith(filters.actor, autoescape=True))
    if filters.target:
        named = entry.target_name.icontains(filters.target, autoescape=True)
        yield or_(named, entry.target_id == filters.target)
    if filters.since:
        yield entry.at >= filters.since
    if filters.until:
        yield entry.at < filters.until
