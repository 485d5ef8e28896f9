"""What stands in the dead-letter queue: listed by key, grouped by cause, counted."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Row, Select, String, and_, bindparam, cast, func, or_, select

from portal.database import db
from portal.paging import Page, count_rows, decode_cursor, encode_cursor
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook
from portal.webhooks.verdict import INTERNAL

PAGE: Final = 25
MOST_GROUPS: Final = 50
CAUSES: Final = {
    "timeout": ("timeout",),
    "4xx": ("http_4",),
    "5xx": ("http_5",),
    "other": ("http_1", "http_2", "http_3", "not_http"),
    "tls": ("tls",),
    "connection": ("dns", "refused", "unreachable", "closed", "blocked"),
}
"""Kind of cause → how the error classes begin that it stands for."""
# Written into the statement, not sent beside it: else SQLite would pass over the index that holds dead letters alone.
DEAD: Final = Delivery.status == bindparam("dead", DeliveryStatus.DEAD, Delivery.status.type, literal_execute=True)


@dataclass(frozen=True, kw_only=True)
class DeadLetterFilters:
    """What the dead letters are narrowed to; None and empty texts narrow nothing.

    Attributes:
        webhook_id: of this webhook.
        cause: a key of CAUSES, or one error class.
        text: part of the event type, an event's id, or the HTTP status of the last answer.
        since: of events that were accepted from then on.
        internal: the portal's own faults; otherwise all but those.
    """

    webhook_id: uuid.UUID | None = None
    cause: str = ""
    text: str = ""
    since: datetime | None = None
    internal: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the filters as a run keeps them."""
        given = {name: value for name, value in asdict(self).items() if value}
        return {name: value if isinstance(value, bool) else str(value) for name, value in given.items()}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        """Return the filters that as_dict() wrote."""
        webhook, since = kept.get("webhook_id"), kept.get("since")
        return cls(
            webhook_id=uuid.UUID(webhook) if webhook else None,
            cause=kept.get("cause", ""),
            text=kept.get("text", ""),
            since=datetime.fromisoformat(since) if since else None,
            internal=kept.get("internal", False),
        )


@dataclass(frozen=True, kw_only=True)
class Group:
    """The dead letters of one webhook with one cause, its oldest and newest as listed() shows them."""

    webhook_id: uuid.UUID
    error_class: str
    count: int
    oldest: Row[*tuple[Any, ...]]
    newest: Row[*tuple[Any, ...]]


def listed(
    *, organization_id: uuid.UUID, filters: DeadLetterFilters, cursor: str = "", limit: int = PAGE
) -> Page[Row[*tuple[Any, ...]]]:
    """Return one page of dead letters, newest first, each with its webhook, its event's id and its last attempt.

    Raises:
        ValueError: the cursor is none of this list.
    """
    query = _rows().where(*conditions(organization_id, filters))
    if cursor:
        query = query.where(Delivery.id < uuid.UUID(decode_cursor(cursor, 1)[0]))
    rows = list(db.session.execute(query.order_by(Delivery.id.desc()).limit(limit + 1)).all())
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def groups(*, organization_id: uuid.UUID, filters: DeadLetterFilters) -> list[Group]:
    """Return the dead letters by webhook and cause, the most frequent first, up to MOST_GROUPS."""
    text = cast(Delivery.id, String)  # ids grow with time, in this form too; databases know no least and greatest id
    columns = (
        Delivery.webhook_id,
        Delivery.error_class,
        func.count().label("count"),
        func.min(text).label("oldest"),
        func.max(text).label("newest"),
    )
    query = select(*columns).where(*conditions(organization_id, filters))
    query = query.group_by(Delivery.webhook_id, Delivery.error_class).order_by(func.count().desc()).limit(MOST_GROUPS)
    found = db.session.execute(query).all()
    ends = _by_id({uuid.UUID(each) for row in found for each in (row.oldest, row.newest)})
    return [
        Group(
            webhook_id=row.webhook_id,
            error_class=row.error_class or "",
            count=row[2],
            oldest=ends[uuid.UUID(row.oldest)],
            newest=ends[uuid.UUID(row.newest)],
        )
        for row in found
    ]


def count(*, organization_id: uuid.UUID, filters: DeadLetterFilters) -> int:
    """Count dead letters, up to one more than paging.COUNT_LIMIT."""
    return count_rows(select(Delivery.id).where(*conditions(organization_id, filters)))


def webhooks(*, organization_id: uuid.UUID) -> Sequence[Row[uuid.UUID, str]]:
    """Return id and name of the webhooks that the list can be narrowed to: a deleted one while it has dead letters."""
    dead = select(Delivery.id).where(Delivery.organization_id == organization_id, DEAD)
    has_dead = dead.where(Delivery.webhook_id == Webhook.id).exists()
    query = select(Webhook.id, Webhook.name).where(Webhook.organization_id == organization_id)
    return db.session.execute(query.where(or_(Webhook.deleted_at.is_(None), has_dead)).order_by(Webhook.name)).all()


def conditions(organization_id: uuid.UUID, filters: DeadLetterFilters) -> list[ColumnElement[bool]]:
    """Return what a delivery has to meet to be among the filtered dead letters."""
    found = [Delivery.organization_id == organization_id, DEAD]
    if filters.webhook_id:
        found.append(Delivery.webhook_id == filters.webhook_id)
    if filters.internal:
        found.append(Delivery.error_class == INTERNAL)
    else:
        found.append(Delivery.error_class.is_distinct_from(INTERNAL))
    if filters.cause:
        found.append(_has_cause(filters.cause))
    if filters.text:
        found.append(_matches(organization_id, filters.text))
    if filters.since:
        found.append(Delivery.created_at >= filters.since)
    return found


def _has_cause(cause: str) -> ColumnElement[bool]:
    starts = CAUSES.get(cause)
    if starts is None:
        return Delivery.error_class == cause
    return or_(*(Delivery.error_class.startswith(each, autoescape=True) for each in starts))


def _matches(organization_id: uuid.UUID, text: str) -> ColumnElement[bool]:
    event = select(Event.id).where(Event.organization_id == organization_id, Event.event_id == text)
    choices = [Delivery.event_type.icontains(text, autoescape=True), Delivery.event_row_id.in_(event)]
    if text.isascii() and text.isdigit() and len(text) == 3:
        choices.append(Delivery.response_status == int(text))
    return or_(*choices)


def last_attempt() -> ColumnElement[bool]:
    """Return the condition that joins a delivery with its last attempt."""
    return and_(DeliveryAttempt.delivery_id == Delivery.id, DeliveryAttempt.attempt_number == Delivery.attempt_number)


def _rows() -> Select[*tuple[Any, ...]]:
    columns = (
        Delivery.id, Delivery.webhook_id, Delivery.event_type, Delivery.error_class, Delivery.response_status,
        Delivery.duration_ms, Delivery.attempt_number, Delivery.created_at,
        Event.event_id,
        Webhook.name.label("webhook_name"), Webhook.status.label("webhook_status"),
        Webhook.deleted_at.label("webhook_deleted_at"),
        DeliveryAttempt.at.label("gave_up_at"), DeliveryAttempt.error,
    )  # fmt: skip
    query = select(*columns).join(Event, Event.id == Delivery.event_row_id)
    return query.join(Webhook, Webhook.id == Delivery.webhook_id).outerjoin(DeliveryAttempt, last_attempt())


def _by_id(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Row[*tuple[Any, ...]]]:
    return {row.id: row for row in db.session.execute(_rows().where(Delivery.id.in_(ids)))} if ids else {}
