"""Reading integrations: one, a page of them, how many of each kind. Always within one organization."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from portal import clock
from portal.database import db
from portal.integrations.models import Condition, Integration, Status
from portal.paging import Page, count_rows, counting, cursor_moment, decode_cursor, encode_cursor
from portal.plans import aside
from portal.prepared import Prepared
from portal.providers import catalogue

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 25


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


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list of integrations is narrowed to; empty texts narrow nothing."""

    text: str = ""
    capability: str = ""
    status: str = ""

    def __bool__(self) -> bool:
        """Whether anything is narrowed."""
        return bool(self.text or self.capability or self.status)


@dataclass(frozen=True)
class Sort:
    """An order of the list: the expressions that make its key, which way, and how a cursor's text becomes a value."""

    key: tuple[tuple[ColumnElement[Any], Callable[[str], Any]], ...]
    descending: bool = False


SEVERITY = case(
    (Integration.status == Status.ERROR, 0),
    (Integration.condition.is_not(None) & Integration.enabled, 1),
    (Integration.enabled, 2),
    else_=3,
)
LAST_SYNC = func.coalesce(Integration.last_sync, LONG_AGO, type_=Integration.last_sync.type)
FAILING_SINCE = func.coalesce(Integration.failing_since, LONG_AGO, type_=Integration.failing_since.type)
NAME, PROVIDER = Integration.name_key.expression, Integration.provider.expression
SORTS = {
    "name": Sort(((NAME, str),)),
    "provider": Sort(((PROVIDER, str), (NAME, str))),
    "status": Sort(((SEVERITY, ("0", "1", "2", "3").index), (NAME, str))),
    "last_sync": Sort(((LAST_SYNC, cursor_moment),), descending=True),
}

NOW: BindParameter[datetime] = bindparam("now", callable_=clock.now, type_=Integration.maintenance_from.type)
"""The moment at which a query runs."""
STATUS_FILTERS: dict[str, ColumnElement[bool]] = {
    "active": Integration.status == Status.ACTIVE,
    "error": Integration.status == Status.ERROR,
    "disabled": Integration.enabled.is_(False),
    "unverified": (Integration.condition == Condition.UNVERIFIED) & Integration.enabled,
    "reauth": (Integration.condition == Condition.REAUTH) & Integration.enabled,
    "limited": (Integration.condition == Condition.LIMITED) & Integration.enabled,
    "maintenance": (Integration.maintenance_from <= NOW) & (Integration.maintenance_until > NOW) & Integration.enabled,
}


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
    query = _live(organization_id).where(Integration.id == integration_id)
    found = db.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound
    return found


def search(
    *, organization_id: uuid.UUID, filters: Filters, sort: str = "name", cursor: str = "", limit: int = PAGE
) -> Page[Integration]:
    """Return one page of the organization's integrations.

    Raises:
        ValueError: the cursor is not one of this list.
    """
    order = SORTS[sort]
    columns = [column for column, _ in order.key] + [Integration.id]
    query = _narrowed(_live(organization_id), filters)
    if cursor:
        parts = decode_cursor(cursor, len(columns))
        values = [parse(part) for (_, parse), part in zip(order.key, parts, strict=False)] + [uuid.UUID(parts[-1])]
        here, there = tuple_(*columns), tuple_(*values, types=[column.type for column in columns])
        query = query.where(here < there if order.descending else here > there)
    query = query.order_by(*(column.desc() if order.descending else column for column in columns))
    rows = db.session.execute(query.add_columns(*columns[:-1]).limit(limit + 1)).all()
    items = [row[0] for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items, encode_cursor(*map(_part, rows[limit - 1][1:]), items[-1].id) if more else None)


def _part(value: Any) -> datetime | str:
    return value if isinstance(value, datetime) else str(value)


def count(*, organization_id: uuid.UUID, filters: Filters) -> int:
    """Return how many integrations the filters leave, up to paging.COUNT_LIMIT and one."""
    return count_rows(_narrowed(_live(organization_id), filters))


def _narrowed(query: Select[Integration], filters: Filters) -> Select[Integration]:
    if filters.text:
        text = filters.text.casefold()
        slugs = [each.slug for each in catalogue.all() if text in each.name.casefold()]
        query = query.where(or_(Integration.name_key.contains(text, autoescape=True), Integration.provider.in_(slugs)))
    if filters.capability:
        slugs = [each.slug for each in catalogue.all() if filters.capability in each.capabilities]
        query = query.where(Integration.provider.in_(slugs))
    if filters.status:
        query = query.where(STATUS_FILTERS[filters.status])
    return query


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


def of_ids(*, organization_id: uuid.UUID, ids: Collection[uuid.UUID]) -> Sequence[Integration]:
    """Return those of the integrations that the organization has and that were not deleted."""
    mine = (aside(Integration.organization_id) == organization_id, Integration.deleted_at.is_(None))
    return db.session.scalars(select(Integration).where(Integration.id.in_(ids), *mine)).all() if ids else []


def taken_names(*, organization_id: uuid.UUID, provider: str) -> set[str]:
    """Return the names of a provider's integrations, as they are compared."""
    query = select(Integration.name_key).where(
        Integration.organization_id == organization_id,
        Integration.provider == provider,
        Integration.deleted_at.is_(None),
    )
    return set(db.session.scalars(query))


def count_sandbox(*, organization_id: uuid.UUID) -> int:
    """Return how many integrations point at the sandbox."""
    return next(iter(_SANDBOX.all(int, of=organization_id)))


def count_failing(*, organization_id: uuid.UUID) -> int:
    """Return how many integrations are in error."""
    return next(iter(_FAILING.all(int, of=organization_id)))


def _counted(condition: ColumnElement[bool]) -> Prepared:
    """Return the statement that counts integrations; every page asks for it."""
    mine = Integration.organization_id == bindparam("of", type_=Integration.organization_id.type)
    return Prepared(counting(select(Integration).where(mine, Integration.deleted_at.is_(None), condition)))


_SANDBOX: Final = _counted(Integration.sandbox.expression)
_FAILING: Final = _counted(STATUS_FILTERS["error"])
