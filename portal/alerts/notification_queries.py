"""Reading what was told to whom: a page of notifications, one, those of an alert, the last of a channel."""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, func, select

from portal.alerts.models import Alert
from portal.alerts.notification_models import AlertChannel, Notification, NotificationAlert
from portal.alerts.telling import ENTITY
from portal.database import db
from portal.messaging.models import WAITING, Message, MessageStatus
from portal.paging import Page, decode_cursor, encode_cursor

PAGE: Final = 25
MOST_OF_ALERT: Final = 50
MOST_ALERTS: Final = 100
"""Alerts that the page of one notification lists."""
UNDER_WAY: Final = (*WAITING, MessageStatus.SENDING)


class NotificationNotFound(Exception):
    """The organization has no such notification."""


@dataclass(frozen=True)
class Listed:
    """A notification with how its messages stand: status → how many."""

    row: Notification
    statuses: Mapping[MessageStatus, int] = field(default_factory=Counter)

    @property
    def under_way(self) -> bool:
        """Whether a message of it may still be sent."""
        return any(self.statuses.get(each) for each in UNDER_WAY)


def listed(*, organization_id: uuid.UUID, cursor: str = "", limit: int = PAGE) -> Page[Listed]:
    """Return one page of notifications, the last one first.

    Raises:
        ValueError: the cursor is none of this list.
    """
    query = select(Notification).where(Notification.organization_id == organization_id)
    if cursor:
        query = query.where(Notification.id < uuid.UUID(decode_cursor(cursor, 1)[0]))
    rows = db.session.scalars(query.order_by(Notification.id.desc()).limit(limit + 1)).all()
    items = with_statuses(organization_id, rows[:limit])
    return Page(items, encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def get(*, organization_id: uuid.UUID, notification_id: uuid.UUID) -> Listed:
    """Return one notification.

    Raises:
        NotificationNotFound: the organization has none with this id.
    """
    mine = (Notification.organization_id == organization_id, Notification.id == notification_id)
    row = db.session.scalar(select(Notification).where(*mine))
    if row is None:
        raise NotificationNotFound
    return with_statuses(organization_id, [row])[0]


def of_alert(alert: Alert) -> Sequence[Listed]:
    """Return the notifications that told of an alert, the last one first."""
    query = select(Notification).join(NotificationAlert, NotificationAlert.notification_id == Notification.id)
    query = query.where(NotificationAlert.alert_id == alert.id).order_by(Notification.id.desc()).limit(MOST_OF_ALERT)
    return with_statuses(alert.organization_id, db.session.scalars(query).all())


def last_of(channels: Collection[AlertChannel]) -> dict[uuid.UUID, Listed]:
    """Return the last notification of each channel: one step into the index for each, all in one query."""
    newest = (
        select(Notification.id).where(Notification.channel_id == AlertChannel.id).order_by(Notification.id.desc())
    ).limit(1)
    ids = select(newest.scalar_subquery()).where(AlertChannel.id.in_([each.id for each in channels]))
    found = db.session.scalars(select(Notification).where(Notification.id.in_(ids))).all() if channels else []
    listed_ = with_statuses(found[0].organization_id, found) if found else []
    return {each.row.channel_id: each for each in listed_ if each.row.channel_id}


def messages(notification: Notification) -> Sequence[Message]:
    """Return the messages of a notification, by recipient; none once they are not kept any more."""
    query = select(Message).where(*_of(notification.organization_id, [notification]))
    return db.session.scalars(query.order_by(Message.to_address, Message.id)).all()


def alerts(notification: Notification) -> Sequence[tuple[Alert, str]]:
    """Return the alerts that a notification told of, each with what was told, up to MOST_ALERTS."""
    query = select(Alert, NotificationAlert.kind).join(NotificationAlert, NotificationAlert.alert_id == Alert.id)
    query = query.where(NotificationAlert.notification_id == notification.id)
    query = query.order_by(Alert.severity, Alert.since, Alert.id).limit(MOST_ALERTS)
    return [(alert, kind) for alert, kind in db.session.execute(query)]


def with_statuses(organization_id: uuid.UUID, rows: Sequence[Notification]) -> list[Listed]:
    """Return notifications with how their messages stand."""
    if not rows:
        return []
    query = select(Message.entity_id, Message.status, func.count()).where(*_of(organization_id, rows))
    counted: dict[str, Counter[MessageStatus]] = {}
    for entity_id, status, count in db.session.execute(query.group_by(Message.entity_id, Message.status)):
        counted.setdefault(entity_id, Counter())[status] += count
    return [Listed(row, counted.get(str(row.id), Counter())) for row in rows]


def _of(organization_id: uuid.UUID, rows: Sequence[Notification]) -> list[ColumnElement[bool]]:
    ids = [str(each.id) for each in rows]
    return [Message.organization_id == organization_id, Message.entity_type == ENTITY, Message.entity_id.in_(ids)]
