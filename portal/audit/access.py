"""Credential access: who used which integration's credentials, when and what for."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, insert, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.audit.actor import Actor, current_actor, origin
from portal.audit.models import CredentialAccess
from portal.audit.plain import clean
from portal.database import connection, db, new_id
from portal.prepared import Prepared

ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
PERSONS: Final = ("user", "command")
"""Kinds of actors whose uses are each a row; those of jobs and tokens are counted by the hour."""
PAGE: Final = 25

_TABLE: Final = CredentialAccess.metadata.tables[CredentialAccess.__tablename__]
_SLOT: Final = ("integration_id", "purpose", "actor_kind", "actor_name", "hour")
_LATEST: Final = ("last_at", "integration_name", "ip", "request_id")
"""What a counting row keeps of its latest use."""


@dataclass(frozen=True)
class LastUse:
    """The latest use of an integration's credentials."""

    at: datetime
    purpose: str
    actor_name: str


@dataclass(frozen=True)
class Used:
    """An integration whose credentials were opened."""

    organization_id: uuid.UUID
    integration_id: uuid.UUID
    name: str
    """Its name at this moment."""


@dataclass(frozen=True)
class AccessPage:
    """A page of the list, newest first."""

    rows: list[CredentialAccess]
    older: uuid.UUID | None
    """Where the next page starts; none on the last one."""


def record_use(
    *,
    organization_id: uuid.UUID,
    integration_id: uuid.UUID,
    integration_name: str,
    purpose: str,
    actor: Actor | None = None,
) -> None:
    """Record that one integration's credentials were opened, as record_uses does of many."""
    record_uses([Used(organization_id, integration_id, integration_name)], purpose=purpose, actor=actor)


def record_uses(used: Sequence[Used], *, purpose: str, actor: Actor | None = None) -> None:
    """Record that credentials were opened. It writes at once, into the running unit of work.

    Args:
        used: whose.
        purpose: what for, in words for people: "Health check".
        actor: who, where that is not who acts in this request or job.
    """
    who = actor or current_actor()
    rows = [_row(who, each.organization_id, each.integration_id, each.name, purpose) for each in used]
    if who.kind not in PERSONS:
        _count(rows)
    elif rows:
        db.session.execute(insert(_TABLE), rows)


def record_refusal(
    *,
    organization_id: uuid.UUID,
    integration_id: uuid.UUID,
    integration_name: str,
    purpose: str,
    actor: Actor | None = None,
) -> None:
    """Record that somebody wanted to use credentials and was refused; each time is a row.

    It writes into the running unit of work: where the refusal rolls that back, use one of its own. Arguments as for
    `record_use`.
    """
    row = _row(actor or current_actor(), organization_id, integration_id, integration_name, purpose)
    db.session.execute(insert(_TABLE).values({**row, "outcome": REFUSED}))


def last_use(integration_id: uuid.UUID) -> LastUse | None:
    """Return when, what for and by whom an integration's credentials were used last; refused attempts do not count."""
    wanted = (
        select(_TABLE.c.last_at, _TABLE.c.purpose, _TABLE.c.actor_name)
        .where(_TABLE.c.integration_id == integration_id, _TABLE.c.outcome == ALLOWED)
        .order_by(_TABLE.c.last_at.desc())
        .limit(1)
    )
    row = db.session.execute(wanted).one_or_none()
    return LastUse(*row) if row else None


def list_accesses(
    *,
    organization_id: uuid.UUID,
    before: uuid.UUID | None = None,
    place: tuple[datetime, uuid.UUID] | None = None,
    limit: int = PAGE,
) -> AccessPage:
    """Return one page of an organization's rows, newest first.

    Args:
        organization_id: whose.
        before: the last row of the page before; none for the newest.
        place: time and id of that row as they were, for callers who remember them: a row that counts moves up.
        limit: rows in a page.
    """
    table = CredentialAccess
    wanted = select(table).where(table.organization_id == organization_id)
    last = before and db.session.scalar(wanted.where(table.id == before))
    if last:
        place = (last.last_at, last.id)
    if place:
        at, row_id = place
        earlier = and_(table.last_at == at, table.id < row_id)
        wanted = wanted.where(table.last_at <= at, or_(table.last_at < at, earlier))
    rows = list(db.session.scalars(wanted.order_by(table.last_at.desc(), table.id.desc()).limit(limit + 1)))
    return AccessPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _row(
    actor: Actor, organization_id: uuid.UUID, integration_id: uuid.UUID, name: str, purpose: str
) -> dict[str, Any]:
    now, request = clock.now(), origin()
    return {
        "id": new_id(),
        "organization_id": organization_id,
        "integration_id": integration_id,
        "integration_name": clean(name, 200),
        "purpose": clean(purpose, 100),
        "outcome": ALLOWED,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": clean(actor.name, 200),
        "ip": clean(actor.ip or request.ip, 64),
        "request_id": clean(request.request_id, 64),
        "hour": None,
        "first_at": now,
        "last_at": now,
        "count": 1,
    }


def _count(rows: Sequence[dict[str, Any]]) -> None:
    """Add one to the rows of this hour, made where they are not there yet; one statement each, so that none is lost."""
    hours = [{**row, "hour": row["first_at"].replace(minute=0, second=0, microsecond=0)} for row in rows]
    _COUNT[connection().dialect.name].many(hours)


def _counting(dialect_insert: Any) -> Prepared:
    fresh = dialect_insert(_TABLE)
    new, old = fresh.excluded, _TABLE.c
    later = new.last_at >= old.last_at
    latest: dict[str, Any] = {name: case((later, new[name]), else_=old[name]) for name in _LATEST}
    count = old["count"] + literal_column("1")
    return Prepared(
        fresh.on_conflict_do_update(index_elements=_SLOT, set_={**latest, "count": count}),
        inserts=[column.name for column in _TABLE.c],
    )


_COUNT: Final = {"sqlite": _counting(sqlite.insert), "postgresql": _counting(postgresql.insert)}
