"""What the pages ask of the tables: deliveries by key, their attempts, figures of webhooks. All of it reads little."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from portal import clock
from portal.database import db, first_id
from portal.paging import Page, count_rows, count_rows_of, decode_cursor, encode_cursor
from portal.prepared import Prepared
from portal.webhooks import event_types, narrowing
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook

PAGE = 25
RECENTLY = timedelta(hours=24)
NEWEST = 200
"""Figures of a webhook come from so many of its newest deliveries, so that a busy one costs no more than others."""
MOST_ATTEMPTS = 50
"""Attempts that the page of a delivery shows; somebody may send one again for ever."""
PORTALS_OWN = ("INTEGRATIONS", "WEBHOOKS", "MESSAGES", "EMPLOYEES")
"""Groups of what the portal itself tells about."""
OVER = (DeliveryStatus.SUCCESS, DeliveryStatus.FAILED, DeliveryStatus.DEAD)


@dataclass(frozen=True, kw_only=True)
class DeliveryFilters:
    """What a list of deliveries is narrowed to; None and empty texts narrow nothing."""

    webhook_id: uuid.UUID | None = None
    event_id: str = ""
    event_type: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Recent:
    """How the newest deliveries of a webhook went within the last 24 hours."""

    delivered: int = 0
    over: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True)
class EventGroup:
    """Event types that stand together; `own` are those that the portal tells about itself."""

    name: str
    types: tuple[str, ...]
    own: bool


def deliveries(
    *, organization_id: uuid.UUID, filters: DeliveryFilters, cursor: str = "", limit: int = PAGE
) -> Page[Delivery]:
    """Return one page of deliveries, newest first.

    Raises:
        ValueError: the cursor is none of this list.
    """
    if filters.event_id:
        return Page(_of_event(organization_id, filters), None)
    return _page(select(Delivery).where(*_conditions(organization_id, filters)), cursor, limit)


def counted_deliveries(
    *, organization_id: uuid.UUID, filters: DeliveryFilters, cursor: str = "", limit: int = PAGE
) -> tuple[Page[Delivery], int]:
    """Return one page as deliveries() does, and how many there are in all, up to one more than COUNT_LIMIT.

    Raises:
        ValueError: the cursor is none of this list.
    """
    if filters.event_id:
        found = _of_event(organization_id, filters)
        return Page(found, None), len(found)
    query = select(Delivery).where(*_conditions(organization_id, filters))
    page = _page(query, cursor, limit)
    return page, count_rows_of(page, query, cursor)


def _page(query: Select[Delivery], cursor: str, limit: int) -> Page[Delivery]:
    if cursor:
        query = query.where(Delivery.id < uuid.UUID(decode_cursor(cursor, 1)[0]))
    rows = list(db.session.scalars(query.order_by(Delivery.id.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def _conditions(organization_id: uuid.UUID, filters: DeliveryFilters) -> list[ColumnElement[bool]]:
    return narrowing.conditions(
        organization_id, webhook_id=filters.webhook_id, event_type=filters.event_type, status=filters.status,
        since=filters.since, until=filters.until,
    )  # fmt: skip


def _of_event(organization_id: uuid.UUID, filters: DeliveryFilters) -> list[Delivery]:
    """Return the deliveries of one event, of which there are no more than webhooks; the other filters hold too."""
    event = select(Event.id).where(Event.organization_id == organization_id, Event.event_id == filters.event_id)
    query = select(Delivery).where(Delivery.event_row_id == event.scalar_subquery()).order_by(Delivery.id.desc())
    return [each for each in db.session.scalars(query) if _fits(each, filters)]


def _fits(delivery: Delivery, filters: DeliveryFilters) -> bool:
    return (
        filters.webhook_id in (None, delivery.webhook_id)
        and filters.status in ("", delivery.status)
        and filters.event_type in ("", delivery.event_type)
        and (filters.since is None or delivery.created_at >= filters.since)
        and (filters.until is None or delivery.created_at < filters.until)
    )


def get_delivery(*, organization_id: uuid.UUID, delivery_id: uuid.UUID, lock: bool = False) -> Delivery:
    """Return one delivery.

    Raises:
        NotFoundError: the organization has no such delivery.
    """
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.organization_id == organization_id)
    found: Delivery | None = db.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFoundError
    return found


def event_of(delivery: Delivery) -> Event:
    """Return the event that a delivery carries."""
    return db.session.get_one(Event, delivery.event_row_id)


def event_ids(deliveries: Collection[Delivery]) -> dict[uuid.UUID, str]:
    """Return the webhook-id of each delivery's event, by the event's row."""
    rows = {each.event_row_id for each in deliveries}
    return dict(db.session.execute(select(Event.id, Event.event_id).where(Event.id.in_(rows))).all()) if rows else {}


def attempts(delivery: Delivery) -> Sequence[DeliveryAttempt]:
    """Return the attempts of a delivery with all that was sent and came back, newest first."""
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery.id)
    return db.session.scalars(query.order_by(DeliveryAttempt.attempt_number.desc()).limit(MOST_ATTEMPTS)).all()


def attempts_in_short(deliveries: Collection[Delivery]) -> dict[uuid.UUID, list[Any]]:
    """Return the attempts of deliveries that had several, oldest first, without what was sent and came back."""
    wanted = [each.id for each in deliveries if each.attempt_number > 1]
    if not wanted:
        return {}
    columns = (
        DeliveryAttempt.delivery_id, DeliveryAttempt.attempt_number, DeliveryAttempt.at, DeliveryAttempt.duration_ms,
        DeliveryAttempt.response_status, DeliveryAttempt.error_class,
    )  # fmt: skip
    query = select(*columns).where(DeliveryAttempt.delivery_id.in_(wanted))
    found: dict[uuid.UUID, list[Any]] = {each: [] for each in wanted}
    for row in db.session.execute(query.order_by(DeliveryAttempt.delivery_id, DeliveryAttempt.attempt_number)):
        found[row.delivery_id].append(row)
    return {each: rows[-MOST_ATTEMPTS:] for each, rows in found.items()}


def webhook_names(*, organization_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, bool]]:
    """Return the name of each webhook, and whether it is still there."""
    if not ids:
        return {}
    query = select(Webhook.id, Webhook.name, Webhook.deleted_at)
    rows = db.session.execute(query.where(Webhook.organization_id == organization_id, Webhook.id.in_(ids)))
    return {row.id: (row.name, row.deleted_at is None) for row in rows}


def last_deliveries(webhooks: Collection[Webhook]) -> dict[uuid.UUID, Delivery]:
    """Return the newest delivery of each webhook that has one."""
    newest = (
        select(Delivery.id)
        .where(Delivery.webhook_id == Webhook.id)
        .order_by(Delivery.id.desc())
        .limit(1)
        .correlate(Webhook)
        .scalar_subquery()
    )
    wanted = select(newest).select_from(Webhook).where(Webhook.id.in_([each.id for each in webhooks]))
    found_ids: Iterable[uuid.UUID | None] = db.session.scalars(wanted)
    ids = [each for each in found_ids if each is not None]
    found = db.session.scalars(select(Delivery).where(Delivery.id.in_(ids))) if ids else ()
    return {each.webhook_id: each for each in found}


def recent(webhook: Webhook, *, times: bool = False) -> Recent:
    """Return how a webhook's newest deliveries went; `times` adds how long they took."""
    newest = _newest(webhook).subquery()
    rows = db.session.execute(select(newest.c.status, func.count()).group_by(newest.c.status)).all()
    counts: Mapping[DeliveryStatus, int] = dict(rows)
    over = sum(count for status, count in counts.items() if status in OVER)
    delivered = counts.get(DeliveryStatus.SUCCESS, 0)
    if not times:
        return Recent(delivered, over)
    took = select(newest.c.duration_ms).where(newest.c.status == DeliveryStatus.SUCCESS)
    durations = sorted(each for each in db.session.scalars(took) if each is not None)
    return Recent(delivered, over, _at(durations, 0.5), _at(durations, 0.95))


def _newest(webhook: Webhook) -> Select[DeliveryStatus, int | None]:
    since = clock.now() - RECENTLY
    return (
        select(Delivery.status, Delivery.duration_ms)
        .where(
            Delivery.webhook_id == webhook.id,
            Delivery.id >= first_id(since, -narrowing.SLACK),
            Delivery.created_at >= since,
        )
        .order_by(Delivery.id.desc())
        .limit(NEWEST)
    )


def _at(values: Sequence[int], share: float) -> int | None:
    return values[min(int(len(values) * share), len(values) - 1)] if values else None


def webhook_choices(organization_id: uuid.UUID) -> list[tuple[uuid.UUID, str]]:
    """Return the webhooks that there are by id and name, newest first."""
    return _CHOICES.all(lambda *row: row, of=organization_id)


_CHOICES: Final = Prepared(
    select(Webhook.id, Webhook.name)
    .where(Webhook.organization_id == bindparam("of", type_=Webhook.organization_id.type), Webhook.deleted_at.is_(None))
    .order_by(Webhook.id.desc())
)


def waiting(webhook: Webhook) -> int:
    """Count the deliveries of a webhook that are not over, up to one more than COUNT_LIMIT."""
    return count_rows(select(Delivery.id).where(Delivery.webhook_id == webhook.id, Delivery.due_at.is_not(None)))


def event_groups(organization_id: uuid.UUID) -> list[EventGroup]:
    """Return all event types of an organization by group: those of its applications, then the portal's own."""
    groups: dict[str, list[event_types.Named]] = {}
    for each in event_types.named(organization_id=organization_id):
        groups.setdefault(each.group, []).append(each)
    found = [
        EventGroup(name, tuple(each.name for each in types), not types[0].own and name in PORTALS_OWN)
        for name, types in groups.items()
    ]
    return sorted(found, key=lambda group: group.own)


def sample(*, organization_id: uuid.UUID, event_type: str) -> object:
    """Return the data that a test of an event type starts with."""
    found = event_types.listed(organization_id=organization_id)
    return next((each.sample for each in found if each.name == event_type), {})
