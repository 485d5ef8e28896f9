"""Sending many deliveries of a webhook again: those of a range of time that ended in a given way."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import select, update

from portal import clock
from portal.audit import trail
from portal.database import db, unit_of_work, wake_after_commit
from portal.webhooks import queries, service
from portal.webhooks.deliveries import NotNowError, due_again
from portal.webhooks.events import WAKE
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook, WebhookStatus

BATCH: Final = 500
"""Deliveries that one transaction makes due."""
FAILED: Final = (DeliveryStatus.FAILED, DeliveryStatus.DEAD)
"""How deliveries ended that are sent again where nothing else is asked for."""


def replay_range(
    *,
    organization_id: uuid.UUID,
    webhook_id: uuid.UUID,
    since: datetime,
    until: datetime | None = None,
    statuses: Collection[DeliveryStatus] = FAILED,
) -> int:
    """Make the deliveries of a range due at once, oldest first, and return how many. Owns its transactions.

    It returns when all of them are due. Where it is stopped before, asking again does the rest.

    Args:
        organization_id: whose webhook.
        webhook_id: of which webhook.
        since: events accepted from then on.
        until: and before then; now by default.
        statuses: how they ended; those that wait or are under way are left alone.

    Raises:
        NotFoundError: the organization has no such webhook.
        NotNowError: the webhook is disabled.
    """
    end = min(until or clock.now(), clock.now())
    total, last = 0, queries.first_id(since, -queries.SLACK)
    over = set(statuses) - {DeliveryStatus.PENDING}
    while True:
        with unit_of_work():
            webhook = _active(organization_id, webhook_id)
            query = (
                select(Delivery.id)
                .where(Delivery.webhook_id == webhook.id, Delivery.status.in_(over), Delivery.id > last)
                .where(Delivery.created_at >= since, Delivery.created_at < end)
            )
            ids = db.session.scalars(query.order_by(Delivery.id).limit(BATCH).with_for_update()).all()
            if ids:
                _make_due(ids)
                _audit(webhook, since, end, len(ids))
        total += len(ids)
        if len(ids) < BATCH:
            return total
        last = ids[-1]


def _active(organization_id: uuid.UUID, webhook_id: uuid.UUID) -> Webhook:
    webhook = service.get(organization_id=organization_id, webhook_id=webhook_id)
    if webhook.status is not WebhookStatus.ACTIVE:
        raise NotNowError(f"{webhook.name} is disabled. Switch it on, then send this again.")
    return webhook


def _make_due(ids: Collection[uuid.UUID]) -> None:
    db.session.execute(
        update(Delivery).where(Delivery.id.in_(ids)).values(**due_again(clock.now())),
        execution_options={"synchronize_session": False},
    )
    wake_after_commit(WAKE)


def _audit(webhook: Webhook, since: datetime, until: datetime, count: int) -> None:
    trail.record(
        action="webhook.deliveries_replayed", organization_id=webhook.organization_id, target_type="webhook",
        target_id=webhook.id, target_name=webhook.name,
        after={"since": since, "until": until, "deliveries": count},
    )  # fmt: skip
