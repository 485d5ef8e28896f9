"""Reading alerts: one, a page of them, how many. Always within one organization."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Integer, Select, bindparam, or_, select, tuple_

from portal.alerts.models import UNRESOLVED, Alert, AlertState, Severity
from portal.database import db
from portal.paging import Page, count_rows, counting, cursor_moment, decode_cursor, encode_cursor
from portal.prepared import Prepared

PAGE: Final = 25


class NotFound(Exception):
    """The organization has no such alert; whether another one has it is not said."""


@dataclass(frozen=True, kw_only=True)
class AlertFilters:
    """What the alerts are narrowed to; an empty text narrows nothing."""

    state: AlertState = AlertState.OPEN
    text: str = ""


def get(*, organization_id: uuid.UUID, alert_id: uuid.UUID, lock: bool = False) -> Alert:
    """Return one alert; `lock` where it is about to be changed.

    Raises:
        NotFound: the organization has none with this id.
    """
    query = select(Alert).where(Alert.organization_id == organization_id, Alert.id == alert_id)
    # With key_share nobody waits who only refers to the alert, as those do who tell people of many at once.
    found = db.session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound
    return found


def listed(*, organization_id: uuid.UUID, filters: AlertFilters, cursor: str = "", limit: int = PAGE) -> Page[Alert]:
    """Return one page of alerts: what is urgent and fails longest first; of resolved ones the last one first.

    Raises:
        ValueError: the cursor is not one of this list.
    """
    query = narrowed(organization_id, filters)
    if filters.state is AlertState.RESOLVED:
        return _resolved(query, cursor, limit)
    key = (Alert.severity, Alert.since, Alert.id)
    if cursor:
        severity, since, row_id = decode_cursor(cursor, 3)
        here, types = (severity, cursor_moment(since), uuid.UUID(row_id)), [each.type for each in key]
        query = query.where(tuple_(*key) > tuple_(*here, types=types))
    rows = db.session.scalars(query.order_by(*key).limit(limit + 1)).all()
    items = list(rows[:limit])
    last = items[-1] if len(rows) > limit else None
    return Page(items, encode_cursor(last.severity, last.since, last.id) if last else None)


def _resolved(query: Select[Alert], cursor: str, limit: int) -> Page[Alert]:
    key = (Alert.resolved_at, Alert.id)
    if cursor:
        at, row_id = decode_cursor(cursor, 2)
        here = tuple_(cursor_moment(at), uuid.UUID(row_id), types=[each.type for each in key])
        query = query.where(tuple_(*key) < here)
    rows = db.session.scalars(query.order_by(*(each.desc() for each in key)).limit(limit + 1)).all()
    items = list(rows[:limit])
    last = items[-1] if len(rows) > limit else None
    return Page(items, encode_cursor(last.resolved_at or last.opened_at, last.id) if last else None)


def narrowed(organization_id: uuid.UUID, filters: AlertFilters) -> Select[Alert]:
    """Return the query of all alerts that the filters leave."""
    query = select(Alert).where(*_in_state(organization_id, filters.state))
    if filters.text:
        columns = (Alert.title, Alert.message, Alert.impact, Alert.code)
        query = query.where(or_(*(each.icontains(filters.text, autoescape=True) for each in columns)))
    return query


def _in_state(organization_id: uuid.UUID, state: AlertState) -> list[ColumnElement[bool]]:
    resolved = Alert.resolved_at.is_not(None)
    where = [resolved] if state is AlertState.RESOLVED else [UNRESOLVED, Alert.state == state]
    return [Alert.organization_id == organization_id, *where]


def count(*, organization_id: uuid.UUID, filters: AlertFilters) -> int:
    """Return how many alerts the filters leave, up to paging.COUNT_LIMIT and one."""
    return count_rows(narrowed(organization_id, filters))


def critical(*, organization_id: uuid.UUID, limit: int) -> Sequence[Alert]:
    """Return the critical alerts that are not resolved, the longest failing first, those nobody knows of before all."""
    found: list[Alert] = []
    for state in (AlertState.OPEN, AlertState.ACKNOWLEDGED):
        if len(found) == limit:
            break
        asked = {"of": organization_id, "state": state, "most": limit - len(found)}
        found += db.session.scalars(_CRITICAL, asked)
    return found


def count_critical(*, organization_id: uuid.UUID) -> int:
    """Return how many critical alerts are not resolved."""
    return next(iter(_COUNT_CRITICAL.all(int, of=organization_id)))


# Made once, since every open page asks for it again and again.
_CRITICAL: Final = (
    select(Alert)
    .where(
        Alert.organization_id == bindparam("of"), UNRESOLVED, Alert.state == bindparam("state"),
        Alert.severity == Severity.CRITICAL,
    )
    .order_by(Alert.since, Alert.id)
    .limit(bindparam("most", type_=Integer))
)  # fmt: skip


def _counting(*states: AlertState) -> Select[int]:
    """Return the statement that counts critical alerts of the organization that is given as `of`."""
    mine = Alert.organization_id == bindparam("of", type_=Alert.organization_id.type)
    wanted = (mine, UNRESOLVED, Alert.severity == Severity.CRITICAL, or_(*(Alert.state == each for each in states)))
    return counting(select(Alert.id).where(*wanted))


CRITICAL_OPEN: Final = _counting(AlertState.OPEN)
"""Counts those that nobody has acknowledged."""
_COUNT_CRITICAL: Final = Prepared(_counting(AlertState.OPEN, AlertState.ACKNOWLEDGED))


def of_integration(*, organization_id: uuid.UUID, integration_id: uuid.UUID) -> Alert | None:
    """Return the alert of an integration that is not resolved."""
    return db.session.scalar(_OF_INTEGRATION, {"of": organization_id, "integration": integration_id})


_OF_INTEGRATION: Final = (
    select(Alert)
    .where(
        Alert.organization_id == bindparam("of"),
        Alert.integration_id == bindparam("integration", type_=Alert.id.type),
        UNRESOLVED,
    )
    .limit(1)
)
