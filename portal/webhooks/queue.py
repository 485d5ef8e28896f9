"""The queue of deliveries: claimed in batches under a lease, recorded in batches under its token. Core, not ORM.

A claim moves a delivery's due time to the end of its lease and counts the attempt. So a delivery whose process died is
due again by itself, and nothing has to look for lost ones.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, exists, insert, or_, select, update

from portal.database import db, new_id
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook, WebhookStatus

LEASE = timedelta(seconds=45)
"""Three times what one exchange may take: after it an attempt counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An attempt to make: whoever holds the token may record what became of it."""

    delivery_id: uuid.UUID
    webhook_id: uuid.UUID
    organization_id: uuid.UUID
    event_id: str
    event_type: str
    body: bytes = field(repr=False)
    attempt_number: int
    token: uuid.UUID
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
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


def waiting(now: datetime, *, but_for: Collection[uuid.UUID], limit: int) -> Sequence[tuple[uuid.UUID, bool]]:
    """Return webhooks with due deliveries, each with whether it wants them in order.

    Args:
        now: what is due now.
        but_for: webhooks that have enough under way.
        limit: so many at most.
    """
    due = exists().where(Delivery.webhook_id == Webhook.id, Delivery.due_at <= now)
    query = (
        select(Webhook.id, Webhook.ordered)
        .where(Webhook.status == WebhookStatus.ACTIVE, Webhook.deleted_at.is_(None), due)
        .where(or_(Webhook.paused_until.is_(None), Webhook.paused_until <= now))
        .limit(limit)
    )
    if but_for:
        query = query.where(Webhook.id.not_in(but_for))
    return [(row.id, row.ordered) for row in db.session.execute(query)]


def claim(places: Mapping[uuid.UUID, int], *, ordered: Collection[uuid.UUID], now: datetime) -> list[Claimed]:
    """Claim due deliveries, oldest first. Runs inside a unit of work; any number of processes may do so at a time.

    Args:
        places: webhook → how many of its deliveries to claim at most.
        ordered: webhooks of which the next delivery waits for the one before.
        now: what is due now.
    """
    found: list[uuid.UUID] = []
    for webhook_id, most in places.items():
        query = _next_in_order(webhook_id, now) if webhook_id in ordered else _due(webhook_id, now, most)
        found += db.session.scalars(query.with_for_update(skip_locked=True)).all()
    if not found:
        return []
    token = new_id()
    db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(found), Delivery.due_at <= now)
        .values(lease_token=token, due_at=now + LEASE, attempt_number=Delivery.attempt_number + 1),
        execution_options={"synchronize_session": False},
    )
    columns = (
        Delivery.id, Delivery.webhook_id, Delivery.organization_id, Delivery.event_type, Delivery.attempt_number,
        Delivery.created_at, Event.event_id, Event.body,
    )  # fmt: skip
    rows = db.session.execute(
        select(*columns)
        .join(Event, Event.id == Delivery.event_row_id)
        .where(Delivery.id.in_(found), Delivery.lease_token == token)
        .order_by(Delivery.id)
    )
    return [
        Claimed(
            delivery_id=row.id, webhook_id=row.webhook_id, organization_id=row.organization_id, event_id=row.event_id,
            event_type=row.event_type, body=row.body, attempt_number=row.attempt_number, token=token,
            created_at=row.created_at,
        )
        for row in rows
    ]  # fmt: skip


def _due(webhook_id: uuid.UUID, now: datetime, most: int) -> Select[uuid.UUID]:
    return (
        select(Delivery.id)
        .where(Delivery.webhook_id == webhook_id, Delivery.due_at <= now)
        .order_by(Delivery.due_at)
        .limit(most)
    )


def _next_in_order(webhook_id: uuid.UUID, now: datetime) -> Select[uuid.UUID]:
    """Return the oldest delivery that is not over, if it is due: while it is under way or waits, none follows."""
    oldest = (
        select(Delivery.id)
        .where(Delivery.webhook_id == webhook_id, Delivery.due_at.is_not(None))
        .order_by(Delivery.id)
        .limit(1)
        .scalar_subquery()
    )
    return select(Delivery.id).where(Delivery.id == oldest, Delivery.due_at <= now)


_RECORD = (
    update(Delivery)
    .where(Delivery.id == bindparam("of"), Delivery.lease_token == bindparam("under"))
    .values(
        status=bindparam("to"),
        due_at=bindparam("due"),
        lease_token=None,
        response_status=bindparam("answered"),
        error_class=bindparam("error"),
        duration_ms=bindparam("took"),
        delivered_at=bindparam("delivered"),
    )
)


def record(done: Sequence[Done]) -> None:
    """Record attempts. Runs inside a unit of work.

    Where a lease ran out and another process claimed the delivery again, the attempt is kept, the delivery left alone.
    """
    if not done:
        return
    db.session.connection().execute(insert(DeliveryAttempt), [_attempt(each) for each in done])
    db.session.connection().execute(_RECORD, [_changes(each) for each in done])


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
        "id": new_id(),
        "delivery_id": done.claimed.delivery_id,
        "attempt_number": done.claimed.attempt_number,
        "at": done.at,
        "duration_ms": done.duration_ms,
        "response_status": done.response_status,
        "error_class": done.error_class,
        "error": done.error,
        "request_headers": dict(done.request_headers),
        "response_headers": dict(done.response_headers),
        "response_body": done.response_body,
        "timing": dict(done.timing),
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
