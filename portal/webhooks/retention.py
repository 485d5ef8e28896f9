"""What is kept of old deliveries, for as long as their organization says. Short transactions, by id."""

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, exists, select, update

from portal import clock, progress
from portal.accounts import retention
from portal.accounts.retention import Retention
from portal.database import db, first_id, reading, unit_of_work
from portal.webhooks import deliveries
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook

BATCH: Final = 500
"""Rows that one transaction changes, so that nobody waits for it."""
MOST_BATCHES: Final = 200
"""Batches of one run; the next run goes on."""

Step = Callable[[uuid.UUID, uuid.UUID, uuid.UUID], Sequence[uuid.UUID]]
"""Deals with one batch of an organization between two ids; returns the ids that it looked at, in their order."""


def tidy() -> int:
    """Take away what is older than it is kept, of all organizations. Owns its transactions; several may run at once.

    Returns:
        How many rows it looked at.
    """
    _end_left_over()
    with reading():
        organizations = retention.of_all()
    steps: list[Callable[[], int]] = []
    for whose, kept in organizations:
        steps += [partial(_batch, whose, job, step, age(kept)) for job, (step, age) in _STEPS.items()]
        steps.append(partial(_delete_late, whose))
    return progress.in_batches(steps, size=BATCH, most=MOST_BATCHES)


def _end_left_over() -> None:
    """End deliveries to deleted webhooks: events that were accepted in the same moment may not have seen it."""
    waits = exists().where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_not(None))
    with unit_of_work() as session:
        gone = session.scalars(select(Webhook.id).where(Webhook.deleted_at.is_not(None), waits)).all()
        if gone:
            deliveries.end(gone)


def _batch(organization_id: uuid.UUID, job: str, step: Step, age: timedelta) -> int:
    before = first_id(clock.now() - age)
    with unit_of_work():
        found = step(organization_id, progress.reached(organization_id, job), before)
        if found:
            progress.note(organization_id, job, found[-1])
    return len(found)


def _between(column: Any, owner: ColumnElement[bool], after: uuid.UUID, before: uuid.UUID) -> Select[uuid.UUID]:
    return select(column).where(owner, column > after, column < before).order_by(column).limit(BATCH)


def _of_deliveries(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    owner = Delivery.organization_id == organization_id
    return db.session.scalars(_between(Delivery.id, owner, after, before)).all()


def _of_events(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    owner = Event.organization_id == organization_id
    return db.session.scalars(_between(Event.id, owner, after, before)).all()


def _answers(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    found = _of_deliveries(organization_id, after, before)
    db.session.execute(
        update(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id.in_(found))
        .values(response_body=b"", request_headers={}, response_headers={})
    )
    return found


def _bodies(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    """Empty events; one that still waits for a webhook keeps its body."""
    found = _of_events(organization_id, after, before)
    waits = exists().where(Delivery.event_row_id == Event.id, Delivery.status == DeliveryStatus.PENDING)
    db.session.execute(update(Event).where(Event.id.in_(found), ~waits).values(body=b""))
    return found


def _deliveries(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    found = _of_deliveries(organization_id, after, before)
    over = Delivery.status != DeliveryStatus.PENDING
    db.session.execute(delete(Delivery).where(Delivery.id.in_(found), over))
    return found


def _delete_late(organization_id: uuid.UUID) -> int:
    """Delete deliveries that still waited when it was their turn, as of a disabled webhook, and are over by now."""
    with unit_of_work():
        before = progress.reached(organization_id, "deliveries")
        over = Delivery.status != DeliveryStatus.PENDING
        query = select(Delivery.id, Delivery.event_row_id).where(Delivery.organization_id == organization_id, over)
        query = query.where(Delivery.id <= before)
        found = db.session.execute(query.order_by(Delivery.id).limit(BATCH)).all()
        if found:
            db.session.execute(delete(Delivery).where(Delivery.id.in_([each.id for each in found]), over))
            events = Event.id.in_({each.event_row_id for each in found})
            has_deliveries = exists().where(Delivery.event_row_id == Event.id)
            db.session.execute(delete(Event).where(events, ~has_deliveries))
    return len(found)


def _events(organization_id: uuid.UUID, after: uuid.UUID, before: uuid.UUID) -> Sequence[uuid.UUID]:
    found = _of_events(organization_id, after, before)
    has_deliveries = exists().where(Delivery.event_row_id == Event.id)
    db.session.execute(delete(Event).where(Event.id.in_(found), ~has_deliveries))
    return found


_STEPS: Final[dict[str, tuple[Step, Callable[[Retention], timedelta]]]] = {
    "answers": (_answers, lambda kept: kept.bodies),
    "event-bodies": (_bodies, lambda kept: kept.bodies),
    "deliveries": (_deliveries, lambda kept: kept.deliveries),
    "events": (_events, lambda kept: kept.deliveries),
}
