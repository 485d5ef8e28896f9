"""What is kept of notifications, as long as their messages; and what channels knew of alerts that are long over."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select

from portal import clock
from portal.accounts import retention
from portal.alerts.models import Alert
from portal.alerts.notification_models import AlertNotice, Notification
from portal.database import db, first_id, reading, unit_of_work
from portal.messaging.retention import BATCH, MOST_BATCHES

KNOWN: Final = timedelta(days=1)
"""How long it is kept what a channel knew of an alert that is over; one that comes back later is another alert."""


def tidy() -> int:
    """Take away what is older than it is kept. Owns its transactions, which are short; several may run at once.

    Returns:
        How many rows went.
    """
    with reading():
        organizations = retention.of_all()
    steps: list[Callable[[], int]] = [_forget]
    steps += [lambda whose=whose, kept=kept: _delete(whose, kept.deliveries) for whose, kept in organizations]  # type: ignore[misc]
    left, total = MOST_BATCHES, 0
    for step in steps:
        while left > 0:
            left -= 1
            with unit_of_work():
                gone = step()
            total += gone
            if gone < BATCH:
                break
    return total


def _delete(organization_id: uuid.UUID, kept: timedelta) -> int:
    old = (Notification.organization_id == organization_id, Notification.id < first_id(clock.now() - kept))
    found = db.session.scalars(select(Notification.id).where(*old).order_by(Notification.id).limit(BATCH)).all()
    if found:
        db.session.execute(delete(Notification).where(Notification.id.in_(found)))
    return len(found)


def _forget() -> int:
    over = (Alert.resolved_at < clock.now() - KNOWN, AlertNotice.due_at.is_(None))
    query = select(AlertNotice.id).join(Alert, Alert.id == AlertNotice.alert_id).where(*over)
    found = db.session.scalars(query.limit(BATCH)).all()
    if found:
        db.session.execute(delete(AlertNotice).where(AlertNotice.id.in_(found)))
    return len(found)
