"""How long alerts that are over and notifications are kept, which is as long as messages; what channels knew, a day."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import delete, select

from portal import clock, progress
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
    for whose, kept in organizations:
        steps += [partial(_delete, whose, kept.deliveries), partial(_delete_alerts, whose, kept.deliveries)]
    return progress.in_batches([partial(_committed, each) for each in steps], size=BATCH, most=MOST_BATCHES)


def _committed(step: Callable[[], int]) -> int:
    with unit_of_work():
        return step()


def _delete(organization_id: uuid.UUID, kept: timedelta) -> int:
    old = (Notification.organization_id == organization_id, Notification.id < first_id(clock.now() - kept))
    found = db.session.scalars(select(Notification.id).where(*old).order_by(Notification.id).limit(BATCH)).all()
    if found:
        db.session.execute(delete(Notification).where(Notification.id.in_(found)))
    return len(found)


def _delete_alerts(organization_id: uuid.UUID, kept: timedelta) -> int:
    """Delete alerts that ended so long ago, with their history. One that is not resolved stays, however old it is."""
    old = (Alert.organization_id == organization_id, Alert.resolved_at < clock.now() - kept)
    found = db.session.scalars(select(Alert.id).where(*old).order_by(Alert.resolved_at, Alert.id).limit(BATCH)).all()
    if found:
        db.session.execute(delete(Alert).where(Alert.id.in_(found)))
    return len(found)


def _forget() -> int:
    over = (Alert.resolved_at < clock.now() - KNOWN, AlertNotice.due_at.is_(None))
    query = select(AlertNotice.id).join(Alert, Alert.id == AlertNotice.alert_id).where(*over)
    found = db.session.scalars(query.limit(BATCH)).all()
    if found:
        db.session.execute(delete(AlertNotice).where(AlertNotice.id.in_(found)))
    return len(found)
