"""Makes what is due into notifications: one for each channel, with a message for each recipient in the queue."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flask import current_app
from sqlalchemy import select

from portal import clock
from portal.accounts.models import Organization
from portal.alerts import gsm, plans, recipients, words
from portal.alerts.models import Alert
from portal.alerts.notification_models import (
    IS_PENDING,
    AlertChannel,
    AlertNotice,
    AlertSettings,
    Audience,
    ChannelKind,
    NoticeKind,
    Notification,
    NotificationAlert,
    NotificationKind,
    Told,
)
from portal.alerts.planning import Context, Next, next_of
from portal.alerts.recipients import Reach
from portal.alerts.words import Entry, Frame, Letter
from portal.database import db, new_id
from portal.integrations.models import Integration
from portal.messaging.models import Channel
from portal.messaging.service import queue
from portal.settings import Settings

ENTITY: Final = "notification"
"""What the messages of a notification are about."""
PURPOSE: Final = "alert"
"""Why they are sent."""
TEST_LASTS: Final = timedelta(minutes=15)
WHY: Final = {
    Audience.ADMINS: "You get this as an owner or admin of {name}.",
    Audience.MEMBERS: "You get this as a member of {name} who was chosen to be told of alerts.",
    Audience.ADDRESSES: "You get this because an admin of {name} entered this address.",
}


@dataclass(frozen=True)
class _Waiting:
    """An alert that a channel may be told of now."""

    notice: AlertNotice
    alert: Alert
    follows: Next


def tell(settings: AlertSettings) -> int:
    """Tell every channel of an organization what is due. The caller holds the lock on the settings.

    All that is due to one channel is one notification; new and resolved alerts that would follow within the time that
    channels wait for more come along, and with a reminder everything that is still open.

    Returns:
        How many notifications were made.
    """
    channels = plans.channels_of(settings.organization_id)
    context = plans.context_of(settings, channels)
    query = select(AlertNotice.channel_id).where(
        AlertNotice.organization_id == settings.organization_id, IS_PENDING, AlertNotice.due_at <= context.now
    )
    due = set(db.session.scalars(query.distinct()))
    made = [_tell(each, context) for each in channels if each.id in due]
    db.session.flush()
    return sum(made)


def _tell(channel: AlertChannel, context: Context) -> bool:
    waiting = _waiting(channel, context)
    if not any(each.follows.at <= context.now for each in waiting):
        return False
    told = _together(waiting, context)
    kinds = {each.notice.id: each.follows.kind for each in told}
    names = _names({each.alert.integration_id for each in told if each.alert.integration_id})
    entries = [Entry(each.alert, each.follows.kind, names.get(each.alert.integration_id, "")) for each in told]
    reach = recipients.of(channel)
    _send(channel, entries, reach, context)
    for each in told:
        _note(each, kinds[each.notice.id], reached=not reach.reason, context=context)
    if NoticeKind.REMINDER in kinds.values():
        channel.reminded_at = context.now
    for each in told:
        plans.put(each.notice, next_of(each.alert, channel, each.notice, context))
    return True


def _waiting(channel: AlertChannel, context: Context) -> list[_Waiting]:
    """Return what waits to be told to a channel, as things are now; what need not be told any more is put away."""
    query = select(AlertNotice, Alert).join(Alert, Alert.id == AlertNotice.alert_id)
    mine = (AlertNotice.organization_id == channel.organization_id, AlertNotice.channel_id == channel.id, IS_PENDING)
    found = []
    for notice, alert in db.session.execute(query.where(*mine).order_by(AlertNotice.id)):
        follows = next_of(alert, channel, notice, context)
        plans.put(notice, follows)
        if follows is not None:
            found.append(_Waiting(notice, alert, follows))
    return found


def _together(waiting: Sequence[_Waiting], context: Context) -> list[_Waiting]:
    due = [each for each in waiting if each.follows.at <= context.now]
    reminds = any(each.follows.kind is NoticeKind.REMINDER for each in due)
    found = []
    for each in waiting:
        if each.follows.kind is NoticeKind.REMINDER:
            muted = each.alert.muted_until is not None and each.alert.muted_until > context.now
            comes_along = reminds and not muted
        else:
            comes_along = each.follows.at <= context.now + context.wait
        if each in due or comes_along:
            found.append(each)
    return found


def _note(each: _Waiting, kind: NoticeKind, *, reached: bool, context: Context) -> None:
    """Write down what a channel knows now. Where nobody was reached, it knows nothing new and is tried again later."""
    notice = each.notice
    if kind is NoticeKind.RESOLVED:
        notice.told = Told.RESOLVED
        return
    notice.told = Told.OPEN if reached else notice.told
    notice.told_at, notice.told_severity = context.now, each.alert.severity


def _names(integration_ids: set[uuid.UUID]) -> dict[uuid.UUID | None, str]:
    query = select(Integration.id, Integration.name).where(Integration.id.in_(integration_ids))
    return {row.id: row.name for row in db.session.execute(query)} if integration_ids else {}


def _send(channel: AlertChannel, entries: Sequence[Entry], reach: Reach, context: Context) -> None:
    frame = frame_of(channel.organization_id, context.zone)
    letter = words.letter(entries, mode=channel.mode, frame=frame)
    notification = _log(
        channel, letter.kind, letter.subject, reach, opened=letter.counts[NoticeKind.OPENED],
        reminded=letter.counts[NoticeKind.REMINDER], resolved=letter.counts[NoticeKind.RESOLVED],
    )  # fmt: skip
    told = [{"notification_id": notification.id, "alert_id": each.alert.id, "kind": each.kind} for each in entries]
    db.session.execute(NotificationAlert.__table__.insert(), told)  # type: ignore[attr-defined]
    open_ones = [each.alert for each in entries if each.alert.resolved_at is None]
    failing = [each.integration_id for each in open_ones if each.integration_id]
    _queue(notification, channel, reach, content(channel, letter, frame), avoid=recipients.avoided(channel, failing))


def send_test(channel: AlertChannel, *, zone: str, asked_by: str) -> Notification:
    """Send a real message to everybody whom a channel reaches. Runs inside a unit of work.

    Args:
        channel: which; it may be switched off.
        zone: name of the organization's time zone.
        asked_by: name of who wants to see it work.

    Returns:
        The notification; its messages tell what became of it.
    """
    frame, reach = frame_of(channel.organization_id, zone), recipients.of(channel)
    letter = _test_letter(channel, frame)
    notification = _log(channel, letter.kind, letter.subject, reach, asked_by=asked_by[:200])
    avoid = recipients.avoided(channel, [])
    _queue(notification, channel, reach, content(channel, letter, frame), avoid=avoid, purpose="test")
    return notification


def _test_letter(channel: AlertChannel, frame: Frame) -> Letter:
    facts = [("Channel", words.clean(channel.name))]
    told = words.Told("This is a test. Nothing is wrong.", facts, frame.link("/admin/alerts/channels"))
    return Letter(
        kind=NotificationKind.TEST,
        subject="Test of an alert channel",
        sections=[words.Section("Test", [told], 0)],
        sms=gsm.fitted("Integrations Portal: this is a test of alerts by SMS. Nothing is wrong.", frame.link()),
        tone="ok",
    )


def frame_of(organization_id: uuid.UUID, zone: str) -> Frame:
    """Return what all messages of an organization share."""
    settings: Settings = current_app.extensions["portal_settings"]
    name = db.session.scalar(select(Organization.name).where(Organization.id == organization_id)) or ""
    return Frame(organization=words.clean(name), zone=zone, base_url=settings.base_url)


def content(channel: AlertChannel, letter: Letter, frame: Frame) -> dict[str, Any]:
    """Return what the messages of a channel say, as messaging.queue takes it."""
    if channel.kind == ChannelKind.SMS:
        return {"text": letter.sms}
    if channel.kind == ChannelKind.CHAT:
        extra = {"facts": words.chat_facts(letter), "url": frame.link(), "tone": letter.tone}
        return {"subject": letter.subject, "text": words.chat_text(letter), "extra": extra}
    why = WHY[Audience(channel.audience)].format(name=frame.organization)
    template = current_app.jinja_env.get_template("email/alerts.html")
    html = template.render(letter=letter, why=why, all_alerts=frame.link())
    return {"subject": letter.subject, "text": words.plain_text(letter, frame, why=why), "html": html}


def _log(channel: AlertChannel, kind: NotificationKind, title: str, reach: Reach, **more: Any) -> Notification:
    row = Notification(
        id=new_id(), organization_id=channel.organization_id, channel_id=channel.id, channel_name=channel.name,
        channel_kind=channel.kind, kind=kind, title=title[:300], recipients=len(reach.addresses),
        skipped=reach.reason[:300],
        **{"opened": 0, "reminded": 0, "resolved": 0, "asked_by": "", **more},
    )  # fmt: skip
    row.created_at = clock.now()
    db.session.add(row)
    db.session.flush()
    return row


def _queue(
    notification: Notification, channel: AlertChannel, reach: Reach, said: dict[str, Any], *, avoid: set[uuid.UUID],
    purpose: str = PURPOSE,
) -> None:  # fmt: skip
    for address in reach.addresses:
        queue(
            organization_id=channel.organization_id, channel=Channel(channel.kind), to=address, purpose=purpose,
            key=_key(notification, address), entity=(ENTITY, str(notification.id)), avoid=avoid,
            pinned=channel.integration_id if channel.kind == ChannelKind.CHAT else None,
            expires_at=notification.created_at + TEST_LASTS if purpose == "test" else None,
            **said,
        )  # fmt: skip


def _key(notification: Notification, address: str) -> str:
    """Return what the same message to the same recipient would have again."""
    return f"{ENTITY}:{notification.id}:{hashlib.sha256(address.encode()).hexdigest()[:32]}"
