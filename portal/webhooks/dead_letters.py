"""Dead letters: retried or discarded one by one, or many by a run in batches. Plain services; work_off() commits."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, or_, select, update

from portal import clock
from portal.accounts.models import Organization
from portal.audit import trail
from portal.database import db, new_id, unit_of_work, wake_after_commit
from portal.webhooks import deliveries, events, queries
from portal.webhooks.dead_letter_queries import DeadLetterFilters, conditions, last_attempt
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    ReplayRun,
    RunAction,
    Webhook,
    WebhookStatus,
)

WAKE: Final = "replay-runs"
"""Topic that wakes the job which works runs off."""
BATCH: Final = 500
"""Deliveries that one transaction of a run changes."""
SHOWN_AFTER: Final = timedelta(minutes=2)
"""How long after its end a run is still shown."""
_SAID: Final = {RunAction.RETRY: "retried", RunAction.DISCARD: "discarded"}


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
    """Ask for many dead letters to be retried or discarded; work_off() does it.

    A run of the same kind that is not finished is returned in place of a second one; with nothing to do none is kept.

    Args:
        organization_id: whose dead letters.
        action: what to do with them.
        filters: which ones. Those of webhooks that are disabled or deleted are not retried.
        asked_by: name of who asked.
        cutoff: the moment at which somebody saw how many they are; what died later is left alone. Now by default.
    """
    # One after the other in an organization, so that pressing twice starts one run.
    lock = select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    db.session.execute(lock)
    now, kept = clock.now(), filters.as_dict()
    for run in unfinished(organization_id=organization_id):
        if (run.action, run.filters) == (action, kept):
            return run
    run = ReplayRun(
        id=new_id(), organization_id=organization_id, action=action, filters=kept, done=0,
        cutoff=min(cutoff or now, now), started_by=asked_by[:100], started_at=now,
    )  # fmt: skip
    run.total = db.session.scalar(select(func.count()).select_from(_covered(run).subquery())) or 0
    if not run.total:
        return run
    db.session.add(run)
    _audit("dead_letter.{}_started", run, after={"dead_letters": run.total, **kept})
    db.session.flush()
    wake_after_commit(WAKE)
    return run


def unfinished(*, organization_id: uuid.UUID) -> Sequence[ReplayRun]:
    """Return the runs of an organization that are under way, oldest first."""
    query = select(ReplayRun).where(ReplayRun.organization_id == organization_id, ReplayRun.finished_at.is_(None))
    return db.session.scalars(query.order_by(ReplayRun.id)).all()


def shown_runs(*, organization_id: uuid.UUID) -> list[ReplayRun]:
    """Return the runs that are under way, and the newest one shortly after its end."""
    found = list(unfinished(organization_id=organization_id))
    if found:
        return found
    newest = select(ReplayRun).where(ReplayRun.organization_id == organization_id).order_by(ReplayRun.id.desc())
    last: ReplayRun | None = db.session.scalar(newest.limit(1))
    fresh = last is not None and last.finished_at is not None and last.finished_at > clock.now() - SHOWN_AFTER
    return [last] if last is not None and fresh else []


def work_off(limit: int = 10 * BATCH) -> int:
    """Go on with the oldest runs, a transaction for each batch. Owns them; any number of processes may do so at a time.

    Args:
        limit: about so many deliveries at most.

    Returns:
        How many deliveries were retried or discarded.
    """
    looked = changed = 0
    while looked < limit:
        with unit_of_work():
            run = _next_run()
            if run is None:
                break
            seen, done = _batch(run)
        looked, changed = looked + max(seen, 1), changed + done
    return changed


def _next_run() -> ReplayRun | None:
    query = select(ReplayRun).where(ReplayRun.finished_at.is_(None)).order_by(ReplayRun.id).limit(1)
    found: ReplayRun | None = db.session.scalar(query.with_for_update(skip_locked=True))
    return found


def _batch(run: ReplayRun) -> tuple[int, int]:
    """Do the next batch of a run; returns how many deliveries it looked at, and how many it changed."""
    covered = _covered(run)
    if run.last_id:
        covered = covered.where(Delivery.id > run.last_id)
    ids = db.session.scalars(covered.order_by(Delivery.id).limit(BATCH)).all()
    done = _change(run, ids) if ids else 0
    run.done += done
    run.last_id = ids[-1] if ids else run.last_id
    if len(ids) < BATCH:
        run.finished_at = clock.now()
        _audit("dead_letter.{}_finished", run, after={_SAID[run.action]: run.done, "of": run.total})
    db.session.flush()
    return len(ids), done


def _covered(run: ReplayRun) -> Select[uuid.UUID]:
    """Return the dead letters of a run: those that were dead when it was asked for, and still are."""
    query = select(Delivery.id).where(*conditions(run.organization_id, DeadLetterFilters.from_dict(run.filters)))
    if run.action is RunAction.RETRY:
        query = query.where(_can_be_sent(run.organization_id))
    by_then = or_(DeliveryAttempt.at.is_(None), DeliveryAttempt.at <= run.cutoff)
    return query.outerjoin(DeliveryAttempt, last_attempt()).where(by_then)


def _can_be_sent(organization_id: uuid.UUID) -> ColumnElement[bool]:
    return Delivery.webhook_id.in_(
        select(Webhook.id).where(
            Webhook.organization_id == organization_id,
            Webhook.status == WebhookStatus.ACTIVE,
            Webhook.deleted_at.is_(None),
        )
    )


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


def _audit(action: str, run: ReplayRun, *, after: dict[str, Any]) -> None:
    trail.record(
        action=action.format(run.action), organization_id=run.organization_id, target_type="replay_run",
        target_id=run.id, target_name=f"Asked for by {run.started_by}", after=after,
    )  # fmt: skip
