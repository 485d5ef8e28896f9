"""What stands in the dead-letter queue: listed by key, grouped by cause, counted."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import CTE, ColumnElement, Row, Select, String, and_, bindparam, cast, func, or_, select

from portal.database import db
from portal.paging import COUNT_LIMIT, Page, count_rows, counting, decode_cursor, encode_cursor
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook
from portal.webhooks.narrowing import between
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


_Found = tuple[uuid.UUID, str, int, uuid.UUID, uuid.UUID]
"""Webhook, error class, number of dead letters, the oldest and the newest of them."""


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


def by_cause(*, organization_id: uuid.UUID, filters: DeadLetterFilters) -> tuple[list[Group], int]:
    """Return the dead letters by webhook and cause, the most frequent first, up to MOST_GROUPS; and how many in all.

    What is more than paging.COUNT_LIMIT may be counted up to one more than it.
    """
    looked_into = filters.text or filters.since
    found = (_grouped if looked_into else _one_by_one)(organization_id, filters)
    found.sort(key=lambda row: (-row[2], row[4]))
    total = min(sum(row[2] for row in found), COUNT_LIMIT + 1)
    shown = _by_id({each for row in found[:MOST_GROUPS] for each in row[3:]})
    return [
        Group(webhook_id=webhook_id, error_class=error, count=number, oldest=shown[oldest], newest=shown[newest])
        for webhook_id, error, number, oldest, newest in found[:MOST_GROUPS]
    ], total


def _grouped(organization_id: uuid.UUID, filters: DeadLetterFilters) -> list[_Found]:
    """Read every dead letter once, to see which ones the filters leave."""
    text = cast(Delivery.id, String)  # ids grow with time, in this form too; databases know no least and greatest id
    group = Delivery.webhook_id, Delivery.error_class
    query = select(*group, func.count(), func.min(text), func.max(text)).where(*conditions(organization_id, filters))
    rows = db.session.execute(query.group_by(*group))
    return [
        (webhook_id, error or "", number, uuid.UUID(oldest), uuid.UUID(newest))
        for webhook_id, error, number, oldest, newest in rows
    ]


def _one_by_one(organization_id: uuid.UUID, filters: DeadLetterFilters) -> list[_Found]:
    """Look each group up by itself in the index that holds them, and count no further than has to be."""
    kinds = _kinds(organization_id)
    letters = select(Delivery.id).where(
        Delivery.organization_id == organization_id, DEAD,
        Delivery.webhook_id == kinds.c.webhook_id, Delivery.error_class == kinds.c.error_class,
    ).correlate(kinds)  # fmt: skip
    ends = [letters.order_by(end).limit(1).scalar_subquery() for end in (Delivery.id, Delivery.id.desc())]
    query = select(kinds, counting(letters).scalar_subquery(), *ends)
    query = query.where(kinds.c.error_class.is_not(None), *_of_cause(kinds.c.error_class, filters))
    if filters.webhook_id:
        query = query.where(kinds.c.webhook_id == filters.webhook_id)
    return [(*row,) for row in db.session.execute(query)]


def _kinds(organization_id: uuid.UUID) -> CTE:
    """Return which webhook has dead letters of which error class: from one class to the next, past all that have it.

    The last row of a webhook has no class; every dead letter has one.
    """
    dead = select(func.min(Delivery.error_class)).where(Delivery.organization_id == organization_id, DEAD)
    first = dead.where(Delivery.webhook_id == Webhook.id).scalar_subquery().label("error_class")
    start = select(Webhook.id.label("webhook_id"), first).where(Webhook.organization_id == organization_id)
    kinds = start.cte("kinds", recursive=True)
    same, later = Delivery.webhook_id == kinds.c.webhook_id, Delivery.error_class > kinds.c.error_class
    following = select(kinds.c.webhook_id, dead.where(same, later).scalar_subquery())
    return kinds.union_all(following.where(kinds.c.error_class.is_not(None)))


def count(*, organization_id: uuid.UUID, filters: DeadLetterFilters) -> int:
    """Count dead letters, up to one more than paging.COUNT_LIMIT."""
    query = select(Delivery.id).where(*conditions(organization_id, filters))
    if filters.internal:  # rare, so each webhook is asked for its own: that index begins with them
        own = select(Webhook.id).where(Webhook.organization_id == organization_id)
        query = query.where(Delivery.webhook_id.in_(own))
    return count_rows(query)


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
    found += _of_cause(Delivery.error_class, filters)
    if filters.text:
        found.append(_matches(organization_id, filters.text))
    return found + between(Delivery.id, Delivery.created_at, filters.since, None)


def _of_cause(error_class: Any, filters: DeadLetterFilters) -> list[ColumnElement[bool]]:
    """Return what a column of error classes has to be."""
    own = error_class == INTERNAL if filters.internal else error_class.is_distinct_from(INTERNAL)
    if not filters.cause:
        return [own]
    starts = CAUSES.get(filters.cause)
    if starts is None:
        return [own, error_class == filters.cause]
    return [own, or_(*(error_class.startswith(each, autoescape=True) for each in starts))]


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
