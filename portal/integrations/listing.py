"""The list of integrations: narrowed, sorted, read by key. Always within one organization."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, false, func, or_, select, tuple_

from portal import clock
from portal.integrations.models import Condition, Integration, Status, is_within
from portal.paging import Page, counting, cursor_moment, decode_cursor, encode_cursor
from portal.prepared import Prepared
from portal.providers import catalogue

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 25


class Listed(NamedTuple):
    """An integration as lists show it. Open pages compare these to see whether there is anything new to show."""

    id: uuid.UUID
    provider: str
    type: str
    name: str
    name_key: str
    config: dict[str, Any]
    enabled: bool
    sandbox: bool
    status: str
    condition: str | None
    last_health_check: datetime | None
    last_health_check_status: str | None
    last_sync: datetime | None
    last_sync_ok: bool | None
    next_check_run_id: uuid.UUID | None
    check_token: uuid.UUID | None
    maintenance_from: datetime | None
    maintenance_until: datetime | None

    def in_maintenance(self, now: datetime) -> bool:
        """Return whether failed checks are expected at a moment, as Integration.in_maintenance() does."""
        return is_within(now, self.maintenance_from, self.maintenance_until)


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
NAME, PROVIDER = Integration.name_key.expression, Integration.provider.expression
SORTS = {
    "name": Sort(((NAME, str),)),
    "provider": Sort(((PROVIDER, str), (NAME, str))),
    "status": Sort(((SEVERITY, ("0", "1", "2", "3").index), (NAME, str))),
    "last_sync": Sort(((LAST_SYNC, cursor_moment),), descending=True),
}

_NOW: Final = bindparam("now", type_=Integration.maintenance_from.type)
STATUS_FILTERS: dict[str, ColumnElement[bool]] = {
    "active": Integration.status == Status.ACTIVE,
    "error": Integration.status == Status.ERROR,
    "disabled": Integration.enabled.is_(False),
    "unverified": (Integration.condition == Condition.UNVERIFIED) & Integration.enabled,
    "reauth": (Integration.condition == Condition.REAUTH) & Integration.enabled,
    "limited": (Integration.condition == Condition.LIMITED) & Integration.enabled,
    "maintenance": (
        (Integration.maintenance_from <= _NOW) & (Integration.maintenance_until > _NOW) & Integration.enabled
    ),
}


def search(
    *, organization_id: uuid.UUID, filters: Filters, sort: str = "name", cursor: str = "", limit: int = PAGE
) -> Page[Listed]:
    """Return one page of the organization's integrations.

    Raises:
        ValueError: the cursor is not one of this list.
    """
    asked = {"of": organization_id, "now": clock.now(), "most": limit + 1}
    rows = _rows(filters, sort, bool(cursor)).all(
        lambda *row: (Listed._make(row[: len(_COLUMNS)]), row[len(_COLUMNS) :]),
        **asked, **_start(SORTS[sort], cursor),
    )  # fmt: skip
    items = [item for item, _ in rows[:limit]]
    more = len(rows) > limit
    return Page(items, encode_cursor(*map(_part, rows[limit - 1][1]), items[-1].id) if more else None)


def count(*, organization_id: uuid.UUID, filters: Filters) -> int:
    """Return how many integrations the filters leave, up to paging.COUNT_LIMIT and one."""
    return next(iter(_number(filters).all(int, of=organization_id, now=clock.now())))


def _start(order: Sort, cursor: str) -> dict[str, Any]:
    """Return the key after which a page begins, by the names that it has in the statement."""
    if not cursor:
        return {}
    *parts, row_id = decode_cursor(cursor, len(order.key) + 1)
    values = [parse(part) for (_, parse), part in zip(order.key, parts, strict=True)] + [uuid.UUID(row_id)]
    return {f"after_{place}": value for place, value in enumerate(values)}


def _part(value: Any) -> datetime | str:
    return value if isinstance(value, datetime) else str(value)


_COLUMNS: Final = [getattr(Integration, name) for name in Listed._fields]
KEPT: Final = 128
"""Statements that are kept ready: what a list is narrowed to may be any text."""


@lru_cache(maxsize=KEPT)
def _rows(filters: Filters, sort: str, further: bool) -> Prepared:
    """Return the statement of a page; open pages ask for the same one again and again."""
    order = SORTS[sort]
    key = [*(column for column, _ in order.key), Integration.id.expression]
    named = (column.label(f"key_{place}") for place, column in enumerate(key[:-1]))
    query = _narrowed(select(*_COLUMNS, *named), filters)
    if further:
        after = tuple_(*(bindparam(f"after_{place}", type_=column.type) for place, column in enumerate(key)))
        query = query.where(tuple_(*key) < after if order.descending else tuple_(*key) > after)
    query = query.order_by(*(column.desc() if order.descending else column for column in key))
    return Prepared(query.limit(bindparam("most", type_=Integer)))


@lru_cache(maxsize=KEPT)
def _number(filters: Filters) -> Prepared:
    return Prepared(counting(_narrowed(select(Integration.id), filters)))


def _narrowed(query: Select[*tuple[Any, ...]], filters: Filters) -> Select[*tuple[Any, ...]]:
    mine = Integration.organization_id == bindparam("of", type_=Integration.organization_id.type)
    query = query.where(mine, Integration.deleted_at.is_(None))
    if filters.text:
        text = filters.text.casefold()
        of_provider = _is_of(each.slug for each in catalogue.all() if text in each.name.casefold())
        query = query.where(or_(Integration.name_key.contains(text, autoescape=True), of_provider))
    if filters.capability:
        able = _is_of(each.slug for each in catalogue.all() if filters.capability in each.capabilities)
        query = query.where(able)
    if filters.status:
        query = query.where(STATUS_FILTERS[filters.status])
    return query


def _is_of(slugs: Iterable[str]) -> ColumnElement[bool]:
    return or_(false(), *(Integration.provider == slug for slug in slugs))
