"""Messages that still wait when what they are about is over: taken back, so that nobody is told of it too late."""

import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, select, update

from portal import clock
from portal.alerts.models import Alert
from portal.alerts.notification_models import AlertNotice, AlertSettings, Notification, NotificationAlert, Told
from portal.alerts.telling import ENTITY
from portal.database import db
from portal.messaging import service as messaging
from portal.messaging.models import Message, MessageStatus

OVER: Final = "What it was about is over, and nobody was told before."


def take_back(settings: AlertSettings, alert_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Take back what waits about alerts that are over, and note which channels were told of them by nothing else.

    A notification that also tells of an alert that is still open goes on waiting. The caller holds the lock on the
    settings, and plans afterwards.

    Returns:
        The alerts of which a channel knows less now.
    """
    over = select(Alert.id).where(Alert.id.in_(alert_ids), Alert.resolved_at.is_not(None))
    lately = Notification.created_at > clock.now() - messaging.LASTS
    found = {row.id for row in _about(db.session.scalars(over).all(), lately)}
    waiting = found - set(db.session.scalars(_still_of_use(found)))
    if not waiting:
        return set()
    messaging.withdraw(
        organization_id=settings.organization_id, entity_type=ENTITY, entity_ids=[str(each) for each in waiting],
        reason=OVER,
    )  # fmt: skip
    return _forget(settings.organization_id, waiting)


def _forget(organization_id: uuid.UUID, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    told_of = select(NotificationAlert.alert_id).where(NotificationAlert.notification_id.in_(ids))
    rows = _about(db.session.scalars(told_of).all())
    unsent = _unsent(organization_id, {row.id for row in rows})
    told = {(row.channel_id, row.alert_id) for row in rows if row.id not in unsent}
    unknown = {(row.channel_id, row.alert_id) for row in rows} - told
    for channel_id, alert_id in unknown:
        mine = (AlertNotice.channel_id == channel_id, AlertNotice.alert_id == alert_id)
        db.session.execute(update(AlertNotice).where(*mine).values(told=Told.NOTHING))
    return {alert_id for _channel, alert_id in unknown}


def _about(alert_ids: Sequence[uuid.UUID], *where: ColumnElement[bool]) -> Sequence[Any]:
    """Return which notifications told which channel of which of these alerts."""
    query = select(Notification.id, Notification.channel_id, NotificationAlert.alert_id)
    query = query.join(NotificationAlert, NotificationAlert.notification_id == Notification.id)
    query = query.where(NotificationAlert.alert_id.in_(alert_ids), Notification.skipped == "", *where)
    return db.session.execute(query).all() if alert_ids else []


def _still_of_use(ids: Collection[uuid.UUID]) -> Any:
    """Select the notifications that tell of something that is open, or that something ended."""
    open_ones = exists().where(
        NotificationAlert.notification_id == Notification.id,
        NotificationAlert.alert_id == Alert.id,
        Alert.resolved_at.is_(None),
    )
    return select(Notification.id).where(Notification.id.in_(ids), open_ones | (Notification.resolved > 0))


def _unsent(organization_id: uuid.UUID, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return the notifications of which every message was canceled."""
    mine = (Message.organization_id == organization_id, Message.entity_type == ENTITY)
    query = select(Message.entity_id, Message.status).where(*mine, Message.entity_id.in_([str(each) for each in ids]))
    found = db.session.execute(query.distinct()).all()
    canceled = {uuid.UUID(row.entity_id) for row in found if row.status is MessageStatus.CANCELED}
    return canceled - {uuid.UUID(row.entity_id) for row in found if row.status is not MessageStatus.CANCELED}
