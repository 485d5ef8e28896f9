"""Sending again to one webhook: deliveries of a range of time, events that it did not get, one event."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select, update

from portal import clock
from portal.audit import trail
from portal.database import db, new_id, reading, unit_of_work, wake_after_commit
from portal.webhooks import deliveries, events, replay_queries, runs, service
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.errors import InvalidError, NotFoundError
from portal.webhooks.models import Delivery, DeliveryStatus, Event, ReplayRun, RunAction, Webhook, WebhookStatus
from portal.webhooks.replay_queries import STATUSES, Range, Wanted
from portal.webhooks.runs import Work


def count(*, organization_id: uuid.UUID, webhook_id: uuid.UUID, wanted: Range) -> ReplayRun:
    """Return the run that start() would store: `total` says of how many, `state` whether that is not all of it.

    Raises:
        InvalidError: the range ends before it starts.
        NotFoundError: the organization has no such webhook.
    """
    if wanted.until is not None and wanted.until <= wanted.since:
        raise InvalidError({"until": "This is not after the start. Choose a later time."})
    webhook = service.get(organization_id=organization_id, webhook_id=webhook_id)
    now = clock.now()
    run = ReplayRun(
        id=new_id(), organization_id=organization_id, webhook_id=webhook.id, filters=wanted.as_dict(), cutoff=now,
        action=RunAction.MISSING if wanted.wanted is Wanted.MISSING else RunAction.REPLAY, total=0, done=0,
        started_by="", started_at=now,
    )  # fmt: skip
    runs.count(run, WORKS[run.action])
    return run


def start(*, organization_id: uuid.UUID, webhook_id: uuid.UUID, wanted: Range, asked_by: str) -> ReplayRun:
    """Ask for a range to be sent to a webhook, the oldest first, by a run. Owns its transactions.

    A run that does the same and is not finished is returned in place of a second one; with nothing to do none is kept.

    Args:
        organization_id: whose webhook.
        webhook_id: to which webhook.
        wanted: what is sent.
        asked_by: name of who asked.

    Raises:
        InvalidError: the range ends before it starts.
        NotFoundError: the organization has no such webhook.
        NotNowError: the webhook is disabled.
    """
    with reading():
        _require_active(service.get(organization_id=organization_id, webhook_id=webhook_id))
        run = count(organization_id=organization_id, webhook_id=webhook_id, wanted=wanted)
    run.started_by = asked_by[:100]
    with unit_of_work():
        if same := runs.same_under_way(run):
            return same
        if run.total or run.counted_to:
            runs.keep(run, WORKS[run.action])
        return run


def send_event(*, organization_id: uuid.UUID, event_row_id: uuid.UUID, webhook_id: uuid.UUID) -> Delivery:
    """Send an accepted event to a webhook that did not get it, subscribed or not. Runs inside a unit of work.

    Raises:
        NotFoundError: the organization has no such event or webhook.
        NotNowError: the webhook has a delivery of it or takes none, or there is nothing to send.
    """
    event = db.session.get(Event, event_row_id)
    # Whoever makes deliveries of events that are stored already holds the webhook, so that none is made twice.
    webhook = _locked(webhook_id)
    if event is None or event.organization_id != organization_id or webhook.organization_id != organization_id:
        raise NotFoundError
    if webhook.deleted_at is not None:
        raise NotNowError(f"{webhook.name} was deleted. Choose another webhook.")
    _require_active(webhook)
    _require_new(event, webhook)
    [delivery_id] = _make(webhook, [event.id])
    trail.record(
        action="webhook.event_sent", organization_id=organization_id, target_type="delivery", target_id=delivery_id,
        target_name=f"{event.event_type} to {webhook.name}", after={"event_id": event.event_id},
    )  # fmt: skip
    return db.session.get_one(Delivery, delivery_id)


def event_row(*, organization_id: uuid.UUID, event_id: str) -> uuid.UUID:
    """Return the row of an event by its webhook-id.

    Raises:
        NotFoundError: the organization has no such event.
    """
    query = select(Event.id).where(Event.organization_id == organization_id, Event.event_id == event_id)
    found: uuid.UUID | None = db.session.scalar(query)
    if found is None:
        raise NotFoundError
    return found


def _require_active(webhook: Webhook) -> None:
    if webhook.status is not WebhookStatus.ACTIVE:
        raise NotNowError(f"{webhook.name} is disabled. Switch it on, then send this again.")


def _require_new(event: Event, webhook: Webhook) -> None:
    query = select(Delivery.status).where(Delivery.event_row_id == event.id, Delivery.webhook_id == webhook.id)
    status = db.session.scalar(query.limit(1))
    if status is DeliveryStatus.PENDING:
        raise NotNowError(f"This event is on its way to {webhook.name} already. Wait for its result.")
    if status is not None:
        raise NotNowError(f"{webhook.name} has a delivery of this event already. Replay that one.")
    if event.source == "test":
        raise NotNowError("This event was a test. Tests go to the webhook that they were made for.")
    if not event.body:
        raise NotNowError("What this event carried is not kept any more. Let the application send it again.")


def _locked(webhook_id: uuid.UUID | None) -> Webhook:
    query = select(Webhook).where(Webhook.id == webhook_id).with_for_update(key_share=True)
    found: Webhook | None = db.session.scalar(query)
    if found is None:
        raise NotFoundError
    return found


def _hindrance(run: ReplayRun) -> str:
    """Return why nothing can be sent to the webhook of a run, and hold the webhook as it is."""
    webhook = _locked(run.webhook_id)
    if webhook.deleted_at is not None:
        return "deleted"
    return "" if webhook.status is WebhookStatus.ACTIVE else "disabled"


def _again(run: ReplayRun, ids: Sequence[uuid.UUID]) -> int:
    """Make those of the deliveries due that are over still: what was sent again meanwhile may be under way."""
    over = STATUSES[Range.from_dict(run.filters).wanted]
    changed = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.status.in_(over))
        .values(**deliveries.due_again(clock.now()))
        .returning(Delivery.id),
        execution_options={"synchronize_session": False},
    )
    wake_after_commit(events.WAKE)
    return len(changed.all())


def _earlier(run: ReplayRun, ids: Sequence[uuid.UUID]) -> int:
    """Make deliveries of those events that have none still."""
    webhook = db.session.get_one(Webhook, run.webhook_id)
    query = select(Delivery.event_row_id).where(Delivery.event_row_id.in_(ids), Delivery.webhook_id == webhook.id)
    there = set(db.session.scalars(query))
    return len(_make(webhook, [each for each in ids if each not in there]))


def _make(webhook: Webhook, event_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Make a delivery of each event, due now, and return their ids; the order of the ids is that of the events."""
    query = select(Event.id, Event.organization_id, Event.event_type).where(Event.id.in_(event_ids)).order_by(Event.id)
    now: dict[str, Any] = {"accepted_at": clock.now()}
    made = [events.delivery_of(row._asdict() | now, webhook) for row in db.session.execute(query)]
    if made:
        db.session.execute(insert(Delivery), made)
        wake_after_commit(events.WAKE)
    return [row["id"] for row in made]


WORKS: Final = {
    RunAction.REPLAY: Work(
        name="webhook.replay", what="deliveries", did="sent", find=replay_queries.over, change=_again,
        hindrance=_hindrance,
    ),
    RunAction.MISSING: Work(
        name="webhook.earlier_events", what="deliveries", did="sent", find=replay_queries.missing, change=_earlier,
        hindrance=_hindrance,
    ),
}  # fmt: skip
"""What the runs of a webhook do."""
