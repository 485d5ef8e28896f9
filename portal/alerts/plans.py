"""What each channel is to be told next, as it is stored: planned for alerts that changed, or anew for all."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from sqlalchemy import ColumnElement, or_, select, update

from portal import clock
from portal.accounts import service as accounts
from portal.alerts.models import UNRESOLVED, Alert
from portal.alerts.notification_models import AlertChannel, AlertNotice, AlertSettings, ChannelKind, Told
from portal.alerts.planning import Context, Next, next_of
from portal.alerts.service import CHANGED
from portal.database import db

WAKE: Final = CHANGED
"""Topic that asks for a look at what there is to tell."""


def channels_of(organization_id: uuid.UUID) -> Sequence[AlertChannel]:
    """Return the channels of an organization, the oldest first."""
    query = select(AlertChannel).where(AlertChannel.organization_id == organization_id)
    return db.session.scalars(query.order_by(AlertChannel.created_at, AlertChannel.id)).all()


def context_of(settings: AlertSettings, channels: Iterable[AlertChannel]) -> Context:
    """Return what holds for all channels of an organization."""
    carried = {each.integration_id for each in channels if each.kind == ChannelKind.CHAT and each.enabled}
    return Context(
        now=clock.now(),
        settings=settings,
        zone=accounts.time_zone_of(settings.organization_id),
        carried=frozenset(carried - {None}),
    )


def plan(settings: AlertSettings, alert_ids: Collection[uuid.UUID]) -> None:
    """Plan what the channels are told of these alerts. The caller holds the lock on the settings."""
    if alert_ids:
        _plan(settings, Alert.id.in_(alert_ids))


def plan_unresolved(settings: AlertSettings) -> None:
    """Plan anew what the channels are told of all that is not over. The caller holds the lock on the settings."""
    waits = select(AlertNotice.alert_id).where(
        AlertNotice.organization_id == settings.organization_id, AlertNotice.due_at.is_not(None)
    )
    _plan(settings, or_(UNRESOLVED, Alert.id.in_(waits)))


def forgive(settings: AlertSettings, integration_ids: Collection[uuid.UUID | None]) -> None:
    """Tell channels, whose integration works again, what could not be told; of what is still open."""
    mine = (AlertChannel.organization_id == settings.organization_id, AlertChannel.integration_id.in_(integration_ids))
    found = db.session.scalars(select(AlertChannel.id).where(*mine)).all()
    if found:
        failed = (AlertNotice.channel_id.in_(found), AlertNotice.told == Told.NOTHING)
        db.session.execute(update(AlertNotice).where(*failed).values(told_at=None))
        db.session.expire_all()
        plan_unresolved(settings)


def _plan(settings: AlertSettings, which: ColumnElement[bool]) -> None:
    mine = (Alert.organization_id == settings.organization_id, which)
    alerts = db.session.scalars(select(Alert).where(*mine).order_by(Alert.id)).all()
    channels = channels_of(settings.organization_id)
    query = select(AlertNotice).join(Alert, Alert.id == AlertNotice.alert_id).where(*mine)
    known = {(each.channel_id, each.alert_id): each for each in db.session.scalars(query)}
    context = context_of(settings, channels)
    for alert in alerts:
        for channel in channels:
            notice = known.get((channel.id, alert.id))
            follows = next_of(alert, channel, notice, context)
            if notice is not None:
                put(notice, follows)
            elif follows is not None:
                db.session.add(_new(alert, channel, follows))
    db.session.flush()


def put(notice: AlertNotice, follows: Next | None) -> None:
    """Store what a channel is to be told next."""
    notice.pending = follows.kind if follows else ""
    notice.due_at = follows.at if follows else None


def _new(alert: Alert, channel: AlertChannel, follows: Next) -> AlertNotice:
    return AlertNotice(
        organization_id=alert.organization_id, channel_id=channel.id, alert_id=alert.id, told=Told.NOTHING,
        told_severity="", pending=follows.kind, due_at=follows.at,
    )  # fmt: skip
