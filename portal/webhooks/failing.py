"""Webhooks that keep failing: warned about, then disabled. All of it stands in the database, whatever is in memory."""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, func, or_, select

from portal import clock
from portal.audit import trail
from portal.database import db, reading, unit_of_work
from portal.webhooks import own_events, service
from portal.webhooks.models import Webhook, WebhookStatus
from portal.webhooks.verdict import GIVES_UP_AFTER

WARNED_AT: Final = (50, 70, 90)
"""Percent of the time after which a webhook is disabled."""
RECENTLY: Final = timedelta(hours=24)
"""A webhook is disabled only where an attempt failed within this time, or fails now. One that nothing was sent to may
work again, and sending it nothing costs nothing: its next failed attempt disables it at once."""
MOST: Final = 200
"""Webhooks of one look."""

log = logging.getLogger("portal.webhooks")


def look() -> int:
    """Warn about webhooks that keep failing, and disable those that did for too long, also where nothing is due.

    Owns its transactions, one for each webhook; any number of processes may do it at a time.

    Returns:
        How many were warned about or disabled.
    """
    with reading():
        found = _noteworthy(clock.now())
    return sum(_note(webhook_id) for webhook_id in found)


def disable(webhook_id: uuid.UUID, reason: str) -> bool:
    """Disable a webhook because the portal decided so, and tell the others. Runs inside a unit of work.

    The event webhook.disabled is for this alone. What an admin switches off, the admin knows, and the audit trail has.

    Returns:
        Whether it was active until now.
    """
    webhook = _locked(webhook_id)
    return webhook is not None and _disable(webhook, reason)


def disable_where_due(webhook_id: uuid.UUID, now: datetime) -> bool:
    """Disable a webhook that failed for too long, going by what is stored now. Runs inside a unit of work."""
    webhook = _locked(webhook_id)
    if webhook is None or webhook.failing_since is None or now - webhook.failing_since < GIVES_UP_AFTER:
        return False
    if webhook.last_failure_at is None or webhook.last_failure_at < now - RECENTLY:
        return False
    return _disable(webhook, f"It failed for {GIVES_UP_AFTER.days} days.")


def disables_at(webhook: Webhook) -> datetime | None:
    """Return when a failing webhook is disabled unless a delivery succeeds; None for one that is not failing."""
    active = webhook.status is WebhookStatus.ACTIVE and webhook.deleted_at is None
    return webhook.failing_since + GIVES_UP_AFTER if active and webhook.failing_since else None


def _noteworthy(now: datetime) -> Sequence[uuid.UUID]:
    """Return webhooks with something to be done: a warning that was not given yet, or the end."""
    warned = func.coalesce(Webhook.warned_percent, 0)
    cases = [and_(Webhook.failing_since <= now - GIVES_UP_AFTER * each / 100, warned < each) for each in WARNED_AT]
    cases.append(and_(Webhook.failing_since <= now - GIVES_UP_AFTER, Webhook.last_failure_at >= now - RECENTLY))
    query = select(Webhook.id).where(
        Webhook.failing_since <= now - GIVES_UP_AFTER * WARNED_AT[0] / 100,  # stands alone, for the index
        Webhook.status == WebhookStatus.ACTIVE,
        Webhook.deleted_at.is_(None),
        or_(*cases),
    )
    return db.session.scalars(query.order_by(Webhook.failing_since).limit(MOST)).all()


def _note(webhook_id: uuid.UUID) -> bool:
    with unit_of_work():
        now = clock.now()
        if disable_where_due(webhook_id, now):
            return True
        webhook = _locked(webhook_id)
        return webhook is not None and _warn(webhook, now)


def _warn(webhook: Webhook, now: datetime) -> bool:
    """Write the warning that is due, once; where the portal did not run for a while, the last of several."""
    at = disables_at(webhook)
    if webhook.failing_since is None or at is None:
        return False
    gone = (now - webhook.failing_since) / GIVES_UP_AFTER * 100
    percent = max((each for each in WARNED_AT if each <= gone), default=0)
    if percent <= (webhook.warned_percent or 0):
        return False
    webhook.warned_percent = percent
    since = webhook.failing_since
    log.warning("webhook %s of %s fails since %s: %d %%", webhook.id, webhook.organization_id, since, percent)
    trail.record(
        action="webhook.warned", organization_id=webhook.organization_id, target_type="webhook", target_id=webhook.id,
        target_name=webhook.name, after={"percent": percent, "failing_since": since, "disables_at": at},
    )  # fmt: skip
    db.session.flush()
    return True


def _locked(webhook_id: uuid.UUID) -> Webhook | None:
    """Return a webhook that nobody else changes meanwhile; with key_share, events for it are accepted all the same.

    Else two that are disabled at a time would wait for each other: each gets the event of the other's end.
    """
    return db.session.get(Webhook, webhook_id, with_for_update={"key_share": True}, populate_existing=True)


def _disable(webhook: Webhook, reason: str) -> bool:
    if webhook.status is not WebhookStatus.ACTIVE or webhook.deleted_at is not None:
        return False
    service.set_active(webhook=webhook, active=False, reason=reason)
    address = webhook.url.partition("?")[0]  # receivers often have their token behind it
    about = {"id": webhook.id, "name": webhook.name, "url": address}
    data = {"webhook": about, "reason": reason, "since": webhook.failing_since}
    own_events.publish(organization_id=webhook.organization_id, event_type="webhook.disabled", data=data)
    return True
