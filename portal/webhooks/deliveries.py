"""Sending a delivery again, and ending what waits. The caller's unit of work commits."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from portal import clock
from portal.audit import trail
from portal.database import db, wake_after_commit
from portal.webhooks.errors import WebhooksError
from portal.webhooks.events import WAKE
from portal.webhooks.models import Delivery, DeliveryStatus, Event, Webhook, WebhookStatus


class NotNowError(WebhooksError):
    """A delivery cannot be sent again as things are."""


def due_again(now: datetime) -> dict[str, Any]:
    """Return the values that make a delivery due at once, with all retries of its policy ahead of it.

    An attempt whose lease ran out may still report; without its token that changes nothing any more.
    """
    return {
        "status": DeliveryStatus.PENDING,
        "due_at": now,
        "lease_token": None,
        "delivered_at": None,
        "attempts_before": Delivery.attempt_number,
    }


def replay(delivery: Delivery) -> None:
    """Make a delivery due at once, with the same bytes and webhook-id.

    Args:
        delivery: read with a lock, so that no dispatcher takes it meanwhile.

    Raises:
        NotNowError: an attempt is under way, or its webhook takes no deliveries.
    """
    now = clock.now()
    webhook = db.session.get_one(Webhook, delivery.webhook_id)
    if webhook.deleted_at is not None:
        raise NotNowError(f"{webhook.name} was deleted. Deliveries of a deleted webhook cannot be sent again.")
    if webhook.status is not WebhookStatus.ACTIVE:
        raise NotNowError(f"{webhook.name} is disabled. Switch it on, then send this again.")
    if delivery.lease_token is not None and delivery.due_at is not None and delivery.due_at > now:
        raise NotNowError("An attempt is under way. Wait for its result, then send this again.")
    event = db.session.get_one(Event, delivery.event_row_id)
    if not event.body:
        raise NotNowError("Its body was deleted because it is old. Have the application send the event again.")
    before = str(delivery.status)
    for name, value in due_again(now).items():
        setattr(delivery, name, value)
    trail.record(
        action="webhook.delivery_replayed", organization_id=delivery.organization_id, target_type="delivery",
        target_id=delivery.id, target_name=f"{delivery.event_type} to {webhook.name}",
        before={"status": before}, after={"status": str(delivery.status), "event_id": event.event_id},
    )  # fmt: skip
    db.session.flush()
    wake_after_commit(WAKE)


def end(webhook_ids: Sequence[uuid.UUID]) -> None:
    """End what waits for webhooks that are deleted.

    It waits for nobody: who records deliveries holds those and then wants the webhook, which the caller may hold. What
    is being recorded just now and waits still is ended when retention looks next; nothing of it is sent any more.
    """
    waits = select(Delivery.id).where(Delivery.webhook_id.in_(webhook_ids), Delivery.due_at.is_not(None))
    db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waits.with_for_update(skip_locked=True, key_share=True)))
        .values(status=DeliveryStatus.FAILED, due_at=None, lease_token=None, error_class="webhook_deleted"),
        execution_options={"synchronize_session": False},
    )
