"""Reading integrations: one, some, how many of each kind. Always within one organization."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, case, func, literal, select, tuple_

from portal.database import db
from portal.integrations.listing import LONG_AGO, NAME, PAGE, STATUS_FILTERS
from portal.integrations.models import Integration, Status
from portal.paging import Page, counting, cursor_moment, decode_cursor, encode_cursor
from portal.plans import aside
from portal.prepared import Prepared

FAILING_SINCE = func.coalesce(Integration.failing_since, LONG_AGO, type_=Integration.failing_since.type)


class NotFound(Exception):
    """The organization has no such integration; whether another one has it is not said."""


@dataclass(frozen=True)
class Stats:
    """How many integrations an organization has, and how they are."""

    total: int
    active: int
    error: int
    disabled: int
    waiting: int
    """Enabled but not yet verified."""


def _live(organization_id: uuid.UUID) -> Select[Integration]:
    return select(Integration).where(Integration.organization_id == organization_id, Integration.deleted_at.is_(None))


def get(*, organization_id: uuid.UUID, integration_id: uuid.UUID, lock: bool = False) -> Integration:
    """Return one integration of the organization.

    Args:
        organization_id: whose.
        integration_id: which.
        lock: whether it is about to be changed, so that changes come one after the other.

    Raises:
        NotFound: the organization has none with this id, or it was deleted.
    """
    found = db.session.scalar(_ONE_LOCKED if lock else _ONE, {"of": organization_id, "which": integration_id})
    if found is None:
        raise NotFound
    return found


def stats(*, organization_id: uuid.UUID) -> Stats:
    """Count the organization's integrations by how they are."""
    # Nearly all are active: to count the others takes far less work than to tell all of them apart.
    [(total, others, error, disabled, waiting)] = _STATS.all(lambda *row: row, of=organization_id)
    return Stats(total=total, active=total - others, error=error, disabled=disabled, waiting=waiting)


def _number(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    mine = (Integration.organization_id == bindparam("of", type_=Integration.organization_id.type),)
    query = select(func.count()).select_from(Integration).where(*mine, Integration.deleted_at.is_(None), *conditions)
    return query.scalar_subquery()


def _is_one_of(*states: Status) -> ColumnElement[bool]:
    return Integration.status.in_([literal(each, Integration.status.type) for each in states])


_ANY: Final = _is_one_of(*Status)
"""True of all; said so that an index that begins with the status leads to what it says next."""
_STATS: Final = Prepared(
    select(
        _number(),
        _number(_is_one_of(Status.INACTIVE, Status.ERROR)),
        _number(STATUS_FILTERS["error"]),
        _number(_ANY, STATUS_FILTERS["disabled"]),
        _number(_ANY, STATUS_FILTERS["unverified"]),
    )
)


# Made once: every page and call about an integration begins with it.
_ONE: Final = select(Integration).where(
    Integration.organization_id == bindparam("of"),
    Integration.deleted_at.is_(None),
    Integration.id == bindparam("which"),
)
_ONE_LOCKED: Final = _ONE.with_for_update()


def everything(*, organization_id: uuid.UUID) -> Sequence[Integration]:
    """Return all integrations of the organization by name."""
    return db.session.scalars(_live(organization_id).order_by(NAME, Integration.id)).all()


def of_provider(*, organization_id: uuid.UUID, provider: str, lock: bool = False) -> Sequence[Integration]:
    """Return the organization's integrations of one provider by name; `lock` as for get."""
    query = _live(organization_id).where(Integration.provider == provider).order_by(NAME, Integration.id)
    return db.session.scalars(query.with_for_update() if lock else query).all()


def failing_page(*, organization_id: uuid.UUID, cursor: str = "", limit: int = PAGE) -> Page[Integration]:
    """Return one page of the integrations in error, the longest failing first.

    Raises:
        ValueError: the cursor is not one of this list.
    """
    query = _live(organization_id).where(Integration.status == Status.ERROR, Integration.enabled)
    key = tuple_(FAILING_SINCE, Integration.id)
    if cursor:
        since, row_id = decode_cursor(cursor, 2)
        types = [FAILING_SINCE.type, Integration.id.type]
        query = query.where(key > tuple_(cursor_moment(since), uuid.UUID(row_id), types=types))
    rows = db.session.scalars(query.order_by(FAILING_SINCE, Integration.id).limit(limit + 1)).all()
    items = list(rows[:limit])
    last = items[-1] if len(rows) > limit else None
    return Page(items, encode_cursor(last.failing_since or LONG_AGO, last.id) if last else None)


def connected(*, organization_id: uuid.UUID) -> dict[str, tuple[int, int]]:
    """Return, by provider, how many integrations there are and how many of them are disabled."""
    query = (
        select(Integration.provider, func.count(), func.sum(case((Integration.enabled, 0), else_=1)))
        .where(Integration.organization_id == organization_id, Integration.deleted_at.is_(None))
        .group_by(Integration.provider)
    )
    return {slug: (count, disabled) for slug, count, disabled in db.session.execute(query)}


def names(*, organization_id: uuid.UUID, ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, bool]]:
    """Return name and whether it still exists, by id; deleted integrations keep their names in the logs."""
    query = select(Integration.id, Integration.name, Integration.deleted_at.is_(None)).where(
        aside(Integration.organization_id) == organization_id, Integration.id.in_(ids)
    )
    return {row_id: (name, bool(live)) for row_id, name, live in db.session.execute(query)} if ids else {}


def taken_names(*, organization_id: uuid.UUID, provider: str) -> set[str]:
    """Return the names of a provider's integrations, as they are compared."""
    query = select(Integration.name_key).where(
        Integration.organization_id == organization_id,
        Integration.provider == provider,
        Integration.deleted_at.is_(None),
    )
    return set(db.session.scalars(query))


def _counted(condition: ColumnElement[bool]) -> Select[int]:
    """Return the statement that counts integrations of the organization that is given as `of`."""
    mine = Integration.organization_id == bindparam("of", type_=Integration.organization_id.type)
    return counting(select(Integration).where(mine, Integration.deleted_at.is_(None), condition))


SANDBOXED: Final = _counted(Integration.sandbox.expression)
"""Counts those that point at the sandbox."""
FAILING: Final = _counted(STATUS_FILTERS["error"])
"""Counts those in error."""
