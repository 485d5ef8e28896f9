"""What lists of deliveries and events are narrowed by, so that SQLite reads little though it has no statistics."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select

from portal.database import connection, db, first_id
from portal.plans import aside
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook

SLACK: Final = timedelta(hours=1)
"""How far the time inside an id may be from the one in the row."""
FEW: Final = 2000
"""Rows that are looked at so fast that no other index has to be thought of."""
_Given = dict[str, tuple[Any, Any]]


def conditions(
    organization_id: uuid.UUID, *, webhook_id: uuid.UUID | None, event_type: str, status: str,
    since: datetime | None, until: datetime | None,
) -> list[ColumnElement[bool]]:  # fmt: skip
    """Return the conditions for deliveries, so that the index in which they are few also gives their order."""
    given = _given(organization_id, webhook_id, event_type, status)
    times = between(Delivery.id, Delivery.created_at, since, until)
    ways = {name: _way(organization_id, given, name) for name in given or ("organization",)}
    way = _shortest(ways, times)
    others = [aside(column) == value for name, (column, value) in given.items() if name != way]
    return [*ways[way], *others, *times]


def _given(organization_id: uuid.UUID, webhook_id: uuid.UUID | None, event_type: str, status: str) -> _Given:
    """Return each column that is narrowed and what it has to be, those first that are likely to leave the fewest."""
    found: _Given = {}
    if status not in ("", DeliveryStatus.SUCCESS):
        found["status"] = Delivery.status, DeliveryStatus(status)
    if event_type:
        found["type"] = Delivery.event_type, event_type
    if webhook_id:
        # The organization stands inside, so that the index of the webhook is not passed over for that of all.
        own = select(Webhook.id).where(Webhook.id == webhook_id, Webhook.organization_id == organization_id)
        found["webhook"] = Delivery.webhook_id, own.scalar_subquery()
    if status == DeliveryStatus.SUCCESS:
        found["status"] = Delivery.status, DeliveryStatus.SUCCESS
    return found


def _way(organization_id: uuid.UUID, given: _Given, name: str) -> list[ColumnElement[bool]]:
    """Return the conditions on what the index of a column begins with."""
    own = [] if name == "webhook" else [Delivery.organization_id == organization_id]
    return own + [column == value for each, (column, value) in given.items() if each == name]


def _shortest(ways: dict[str, list[ColumnElement[bool]]], times: list[ColumnElement[bool]]) -> str:
    """Return the first way that leads to a few rows only, or else the first; PostgreSQL has statistics to go by."""
    if len(ways) > 1 and connection().dialect.name == "sqlite":
        more = [select(Delivery.id).where(*each, *times).offset(FEW).limit(1).exists() for each in ways.values()]
        found = db.session.execute(select(*more)).one()
        return next((name for name, has_more in zip(ways, found, strict=True) if not has_more), next(iter(ways)))
    return next(iter(ways))


def between(ids: Any, moments: Any, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Return the conditions for rows from one moment to before another, by their ids, which grow with time.

    Only near the ends the moment itself has to be looked at, which is not in the indexes.

    Args:
        ids: the column of the ids.
        moments: the column that the range is of.
        since: its start; None for the first row.
        until: its end; None for the last row.
    """
    found: list[ColumnElement[bool]] = []
    if since:
        found += [ids >= first_id(since, -SLACK), or_(ids >= first_id(since, SLACK), moments >= since)]
    if until:
        found += [ids < first_id(until, SLACK), or_(ids < first_id(until, -SLACK), moments < until)]
    return found
