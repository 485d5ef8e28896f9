"""The queue of deliveries: claimed in batches under a lease, recorded in batches under its token. Core, not ORM.

A claim moves a delivery's due time to the end of its lease and counts the attempt. So a delivery whose process died is
due again by itself, and nothing has to look for lost ones.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, and_, bindparam, exists, insert, literal, null, or_, select, update
from sqlalchemy.orm import aliased

from portal.database import db, new_id
from portal.prepared import Prepared
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook, WebhookStatus

LEASE = timedelta(seconds=45)
"""Three times what one exchange may take: after it an attempt counts as lost."""


FIRST: Final = uuid.UUID(int=0)
"""Stands before every id."""


@dataclass(slots=True)
class Claimed:
    """An attempt to make: whoever holds the token may record what became of it."""

    token: uuid.UUID
    delivery_id: uuid.UUID
    webhook_id: uuid.UUID
    organization_id: uuid.UUID
    event_type: str
    attempt_number: int
    attempts_before: int
    """Those of them that the retry policy does not count."""
    event_id: str
    body: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Done:
    """What became of an attempt, as it is recorded."""

    claimed: Claimed
    at: datetime
    status: DeliveryStatus
    due_at: datetime | None
    duration_ms: int
    response_status: int | None = None
    error_class: str | None = None
    error: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = field(default=b"", repr=False)
    timing: Mapping[str, Any] = field(default_factory=dict)


def waiting(
    now: datetime, *, but_for: Collection[uuid.UUID], limit: int, after: uuid.UUID = FIRST
) -> Sequence[tuple[uuid.UUID, bool]]:
    """Return webhooks with due deliveries, each with whether it wants them in order.

    Args:
        now: what is due now.
        but_for: webhooks that have enough under way.
        limit: so many at most.
        after: whose turn was the last; those behind it come first, by their ids, then those up to it.
    """
    most = limit + len(but_for)
    found = _WAITING.all(lambda *row: row, now=now, most=most, behind=after)
    if after != FIRST and len(found) < most:
        before = _WAITING.all(lambda *row: row, now=now, most=most - len(found), behind=FIRST)
        found += [each for each in before if each[0] <= after]
    return [(webhook_id, ordered) for webhook_id, ordered in found if webhook_id not in but_for][:limit]


def claim(
    places: Mapping[uuid.UUID, int],
    *,
    ordered: Collection[uuid.UUID],
    now: datetime,
    but_for: Collection[uuid.UUID] = (),
) -> list[Claimed]:
    """Claim due deliveries, oldest first. Runs inside a unit of work; any number of processes may do so at a time.

    Args:
        places: webhook → how many of its deliveries to claim at most.
        ordered: webhooks of which the next delivery waits for the one before.
        now: what is due now.
        but_for: deliveries that the caller is sending. Their leases seem to have ended when a clock is set forward.
    """
    token, until = new_id(), now + LEASE
    claimed: list[Claimed] = []
    for webhook_id, most in places.items():
        due = _NEXT_IN_ORDER if webhook_id in ordered else _DUE
        found = due.all(partial(Claimed, token), webhook=webhook_id, now=now, most=most)
        claimed += [each for each in found if each.delivery_id not in but_for]
    _CLAIM.many([{"of": each.delivery_id, "under": token, "until": until} for each in claimed])
    return claimed


def _next(condition: ColumnElement[bool], *order: Any) -> Prepared:
    """Return the statement that reads and holds deliveries which are due, oldest first."""
    columns = (
        Delivery.id, Delivery.webhook_id, Delivery.organization_id, Delivery.event_type, Delivery.attempt_number + 1,
        Delivery.attempts_before, Event.event_id, Event.body,
    )  # fmt: skip
    return Prepared(
        select(*columns)
        .join(Event, Event.id == Delivery.event_row_id)
        .where(condition, Delivery.due_at <= bindparam("now", type_=Delivery.due_at.type))
        .order_by(*order)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(of=Delivery, skip_locked=True)
    )


_NOW: Final = bindparam("now", type_=Delivery.due_at.type)
_WAITING: Final = Prepared(
    select(Webhook.id, Webhook.ordered)
    .where(
        Webhook.id > bindparam("behind", type_=Webhook.id.type),
        Webhook.status == WebhookStatus.ACTIVE,
        Webhook.deleted_at.is_(None),
        or_(Webhook.paused_until.is_(None), Webhook.paused_until <= _NOW),
        exists().where(Delivery.webhook_id == Webhook.id, Delivery.due_at <= _NOW),
    )
    .order_by(Webhook.id)
    .limit(bindparam("most", type_=Integer))
)
_OF_WEBHOOK: Final = Delivery.webhook_id == bindparam("webhook", type_=Delivery.webhook_id.type)
_DUE: Final = _next(_OF_WEBHOOK, Delivery.due_at)
_waits: Final = aliased(Delivery)
_flies: Final = aliased(Delivery)
# The oldest delivery that is not over, if it is due: while it is under way or waits, none follows. An older one that is
# sent again by hand may come before one that is under way, and waits for it.
_NEXT_IN_ORDER: Final = _next(
    and_(
        Delivery.id
        == select(_waits.id)
        .where(_waits.webhook_id == bindparam("webhook", type_=Delivery.webhook_id.type), _waits.due_at.is_not(None))
        .order_by(_waits.id)
        .limit(1)
        .scalar_subquery(),
        ~exists().where(
            _flies.webhook_id == bindparam("webhook", type_=Delivery.webhook_id.type),
            _flies.due_at > bindparam("now", type_=Delivery.due_at.type),
            _flies.lease_token.is_not(None),
        ),
    )
)
_CLAIM: Final = Prepared(
    update(Delivery)
    .where(Delivery.id == bindparam("of"))
    .values(
        lease_token=bindparam("under"), due_at=bindparam("until"), attempt_number=Delivery.attempt_number + literal(1)
    )
)
_HELD: Final = (Delivery.id == bindparam("of"), Delivery.lease_token == bindparam("under"))
_RECORD: Final = Prepared(
    update(Delivery)
    .where(*_HELD)
    .values(
        status=bindparam("to"),
        due_at=bindparam("due"),
        lease_token=null(),
        response_status=bindparam("answered"),
        error_class=bindparam("error"),
        duration_ms=bindparam("took"),
        delivered_at=bindparam("delivered"),
    )
)
_KEEP: Final = Prepared(
    insert(DeliveryAttempt),
    inserts=(
        "delivery_id", "attempt_number", "at", "duration_ms", "response_status", "error_class", "error",
        "request_headers", "response_headers", "response_body", "timing",
    ),
)  # fmt: skip


def record(done: Sequence[Done]) -> None:
    """Record attempts. Runs inside a unit of work.

    Where a lease ran out and another process claimed the delivery again, the attempt is kept, the delivery left alone.
    """
    _KEEP.many([_attempt(each) for each in done])
    _RECORD.many([_changes(each) for each in done])


def give_back(claimed: Sequence[Claimed], now: datetime) -> None:
    """Make claimed deliveries due again that were never sent, as if nothing had been."""
    if claimed:
        statement = (
            update(Delivery)
            .where(Delivery.id == bindparam("of"), Delivery.lease_token == bindparam("under"))
            .values(lease_token=None, due_at=now, attempt_number=Delivery.attempt_number - 1)
        )
        rows = [{"of": each.delivery_id, "under": each.token} for each in claimed]
        db.session.connection().execute(statement, rows)


def _attempt(done: Done) -> dict[str, Any]:
    return {
        "delivery_id": done.claimed.delivery_id,
        "attempt_number": done.claimed.attempt_number,
        "at": done.at,
        "duration_ms": done.duration_ms,
        "response_status": done.response_status,
        "error_class": done.error_class,
        "error": done.error,
        "request_headers": done.request_headers,
        "response_headers": done.response_headers,
        "response_body": done.response_body,
        "timing": done.timing,
    }


def _changes(done: Done) -> dict[str, Any]:
    return {
        "of": done.claimed.delivery_id,
        "under": done.claimed.token,
        "to": done.status,
        "due": done.due_at,
        "answered": done.response_status,
        "error": done.error_class,
        "took": done.duration_ms,
        "delivered": done.at if done.status is DeliveryStatus.SUCCESS else None,
    }
