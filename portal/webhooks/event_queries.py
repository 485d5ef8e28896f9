"""What pages and API ask of accepted events: by key, and for one of them what became of it at each webhook."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, func, or_, select

from portal.database import db
from portal.paging import Page, count_rows, decode_cursor, encode_cursor
from portal.security.webhook_signatures import ID
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import Delivery, DeliveryStatus, Event, Webhook
from portal.webhooks.narrowing import between
from portal.webhooks.queries import PAGE

TEST: Final = "test"
"""Source of events that were sent to one webhook alone, to try it."""
COLUMNS: Final = (Event.id, Event.event_id, Event.event_type, Event.source, Event.occurred_at, Event.accepted_at)
"""What a list shows; bodies may be large and stay where they are."""


class Why(StrEnum):
    """Why a webhook did not get an event."""

    NOT_SUBSCRIBED = "not_subscribed"
    FILTERED = "filtered"
    DISABLED = "disabled"
    ADDED_LATER = "added_later"
    TEST_OF_ANOTHER = "test_of_another"


@dataclass(frozen=True, kw_only=True)
class EventFilters:
    """What a list of events is narrowed to; None and empty texts narrow nothing."""

    event_id: str = ""
    event_type: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One event as lists show it, with how many of its deliveries stand how."""

    id: uuid.UUID
    event_id: str
    event_type: str
    source: str
    occurred_at: datetime
    accepted_at: datetime
    deliveries: Mapping[DeliveryStatus, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of an event at one webhook: a delivery, or why there is none.

    Attributes:
        webhook_id: of which webhook.
        name: of the webhook; "" where nothing is known of it any more.
        deleted: whether it is gone by now.
        delivery: None where it did not get the event.
        why: None where it did.
    """

    webhook_id: uuid.UUID
    name: str
    deleted: bool
    delivery: Delivery | None = None
    why: Why | None = None


def listed(*, organization_id: uuid.UUID, filters: EventFilters, cursor: str = "", limit: int = PAGE) -> Page[Listed]:
    """Return one page of accepted events, newest first.

    Raises:
        ValueError: the cursor is none of this list.
    """
    query = select(*COLUMNS).where(*conditions(organization_id, filters))
    if cursor:
        query = query.where(Event.id < uuid.UUID(decode_cursor(cursor, 1)[0]))
    rows = db.session.execute(query.order_by(Event.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(_with_deliveries(rows[:limit]), encode_cursor(rows[limit - 1].id) if more else None)


def count(*, organization_id: uuid.UUID, filters: EventFilters) -> int:
    """Count what the filters find, up to one more than COUNT_LIMIT."""
    return count_rows(select(Event.id).where(*conditions(organization_id, filters)))


def conditions(organization_id: uuid.UUID, filters: EventFilters) -> list[ColumnElement[bool]]:
    """Return what an event has to meet. Ids grow with time, so a range of time is a range of the list's own key."""
    found: list[ColumnElement[bool]] = [Event.organization_id == organization_id]
    if filters.event_id:
        found.append(Event.event_id == filters.event_id)
    if filters.event_type:
        found.append(Event.event_type == filters.event_type)
    return found + between(Event.id, Event.accepted_at, filters.since, filters.until)


def get(*, organization_id: uuid.UUID, event_id: str) -> Event:
    """Return one event by the id that applications and receivers know.

    Raises:
        NotFoundError: the organization has no such event.
    """
    query = select(Event).where(Event.organization_id == organization_id, Event.event_id == event_id)
    found = db.session.scalar(query) if ID.fullmatch(event_id) else None
    if found is None:
        raise NotFoundError
    return found


def in_short(event: Event) -> Listed:
    """Return an event as lists show it."""
    return _with_deliveries([event])[0]


def fates(event: Event) -> list[Fate]:
    """Return what became of an event at each webhook: those that got it first, then by name.

    Webhooks that were deleted before the event are not there; those deleted since are.
    """
    query = select(Delivery).where(Delivery.event_row_id == event.id).order_by(Delivery.id)
    deliveries = {each.webhook_id: each for each in db.session.scalars(query)}
    decided = {uuid.UUID(each): Why(reason) for each, reason in event.decisions.items()}
    webhooks = _webhooks(event, {*deliveries, *decided})
    found = [
        _fate(event, webhook_id, webhooks.get(webhook_id), deliveries.get(webhook_id), decided.get(webhook_id))
        for webhook_id in {*deliveries, *decided, *webhooks}
    ]
    return sorted(found, key=lambda each: (each.delivery is None, each.deleted, each.name.casefold(), each.webhook_id))


def _webhooks(event: Event, named: Collection[uuid.UUID]) -> dict[uuid.UUID, Row[uuid.UUID, str, datetime | None]]:
    """Return the webhooks that there are, and those of an event that there were."""
    query = select(Webhook.id, Webhook.name, Webhook.deleted_at).where(
        Webhook.organization_id == event.organization_id, or_(Webhook.deleted_at.is_(None), Webhook.id.in_(named))
    )
    return {row.id: row for row in db.session.execute(query)}


def _fate(
    event: Event,
    webhook_id: uuid.UUID,
    webhook: Row[uuid.UUID, str, datetime | None] | None,
    delivery: Delivery | None,
    decided: Why | None,
) -> Fate:
    otherwise = Why.TEST_OF_ANOTHER if event.source == TEST else Why.ADDED_LATER
    return Fate(
        webhook_id=webhook_id,
        name=webhook.name if webhook else "",
        deleted=webhook is None or webhook.deleted_at is not None,
        delivery=delivery,
        why=None if delivery else decided or otherwise,
    )


def _with_deliveries(rows: Iterable[Any]) -> list[Listed]:
    """Return events with how many of their deliveries stand how, asked for all of them at once."""
    events = [Listed(**{column.key: getattr(row, column.key) for column in COLUMNS}, deliveries={}) for row in rows]
    by_id: dict[uuid.UUID, dict[DeliveryStatus, int]] = {each.id: {} for each in events}
    if events:
        query = select(Delivery.event_row_id, Delivery.status, func.count()).where(Delivery.event_row_id.in_(by_id))
        for event_row_id, status, number in db.session.execute(query.group_by(Delivery.event_row_id, Delivery.status)):
            by_id[event_row_id][status] = number
    return [replace(each, deliveries=by_id[each.id]) for each in events]
