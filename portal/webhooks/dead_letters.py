"""Dead letters: retried or discarded one by one, or many by a run in batches. Plain services."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update

from portal import clock
from portal.audit import trail
from portal.database import db, new_id, wake_after_commit
from portal.webhooks import deliveries, events, queries, runs
from portal.webhooks.dead_letter_queries import DeadLetterFilters, conditions, last_attempt
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    Event,
    ReplayRun,
    RunAction,
    Webhook,
    WebhookStatus,
)
from portal.webhooks.runs import Found, Work


def retry(*, organization_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Send a dead letter once more: the same bytes under the same id.

    Raises:
        NotFoundError: the organization has no such delivery.
        NotNowError: it is no dead letter any more, or its webhook takes no deliveries.
    """
    delivery = _dead(organization_id, delivery_id)
    deliveries.replay(delivery)
    return delivery


def discard(*, organization_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Take a dead letter out of the queue; the delivery stays in the history as failed.

    Raises:
        NotFoundError: the organization has no such delivery.
        NotNowError: it is no dead letter any more.
    """
    delivery = _dead(organization_id, delivery_id)
    delivery.status = DeliveryStatus.FAILED
    trail.record(
        action="dead_letter.discarded", organization_id=organization_id, target_type="delivery",
        target_id=delivery.id, target_name=delivery.event_type,
        before={"status": str(DeliveryStatus.DEAD)}, after={"status": str(delivery.status)},
    )  # fmt: skip
    db.session.flush()
    return delivery


def _dead(organization_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    delivery = queries.get_delivery(organization_id=organization_id, delivery_id=delivery_id, lock=True)
    if delivery.status is not DeliveryStatus.DEAD:
        raise NotNowError("This is no dead letter any more. Somebody retried or discarded it meanwhile.")
    return delivery


def start(
    *,
    organization_id: uuid.UUID,
    action: RunAction,
    filters: DeadLetterFilters,
    asked_by: str,
    cutoff: datetime | None = None,
) -> ReplayRun:
    """Ask for many dead letters to be retried or discarded by a run.

    A run of the same kind that is not finished is returned in place of a second one; with nothing to do none is kept.

    Args:
        organization_id: whose dead letters.
        action: what to do with them.
        filters: which ones. Those of webhooks that are disabled or deleted are not retried.
        asked_by: name of who asked.
        cutoff: the moment at which somebody saw how many they are; what died later is left alone. Now by default.
    """
    now = clock.now()
    run = ReplayRun(
        id=new_id(), organization_id=organization_id, action=action, filters=filters.as_dict(), total=0, done=0,
        cutoff=min(cutoff or now, now), started_by=asked_by[:100], started_at=now,
    )  # fmt: skip
    if same := runs.same_under_way(run):
        return same
    run.total = db.session.scalar(select(func.count()).select_from(_covered(run).subquery())) or 0
    if run.total:
        runs.keep(run, WORKS[action])
    return run


def _find(run: ReplayRun, after: uuid.UUID | None, most: int) -> Found:
    covered = _covered(run)
    if after:
        covered = covered.where(Delivery.id > after)
    ids = db.session.scalars(covered.order_by(Delivery.id).limit(most)).all()
    return Found(ids, ids[-1] if ids else None, ended=len(ids) < most)


def _covered(run: ReplayRun) -> Select[uuid.UUID]:
    """Return the dead letters of a run: those that were dead when it was asked for, and still are."""
    query = select(Delivery.id).where(*conditions(run.organization_id, DeadLetterFilters.from_dict(run.filters)))
    if run.action is RunAction.RETRY:
        query = query.where(_can_be_sent(run.organization_id))
    by_then = or_(DeliveryAttempt.at.is_(None), DeliveryAttempt.at <= run.cutoff)
    return query.outerjoin(DeliveryAttempt, last_attempt()).where(by_then)


def _can_be_sent(organization_id: uuid.UUID) -> ColumnElement[bool]:
    """Return the condition that its webhook takes deliveries, and its body is still there."""
    takes = select(Webhook.id).where(
        Webhook.organization_id == organization_id,
        Webhook.status == WebhookStatus.ACTIVE,
        Webhook.deleted_at.is_(None),
    )
    has_body = exists().where(Event.id == Delivery.event_row_id, Event.body != b"")
    return and_(Delivery.webhook_id.in_(takes), has_body)


def _change(run: ReplayRun, ids: Sequence[uuid.UUID]) -> int:
    """Retry or discard those of the deliveries that are dead letters still."""
    values: dict[str, Any] = {"status": DeliveryStatus.FAILED}
    if run.action is RunAction.RETRY:
        values = deliveries.due_again(clock.now())
        wake_after_commit(events.WAKE)
    changed = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.status == DeliveryStatus.DEAD)
        .values(**values)
        .returning(Delivery.id),
        execution_options={"synchronize_session": False},
    )
    return len(changed.all())


def _work(name: str, did: str) -> Work:
    return Work(name=name, what="dead_letters", did=did, find=_find, change=_change)


WORKS: Final = {
    RunAction.RETRY: _work("dead_letter.retry", "retried"),
    RunAction.DISCARD: _work("dead_letter.discard", "discarded"),
}
"""What the runs of dead letters do."""
