"""What pages and the API say of channels and notifications."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from portal.alerts.channels import LABELS
from portal.alerts.notification_models import AlertChannel, Audience, ChannelKind, Minimum, Mode, NotificationKind
from portal.alerts.notification_queries import Listed
from portal.database import db
from portal.integrations.models import Integration, Status
from portal.messaging.channels import WAYS
from portal.messaging.models import Channel, MessageStatus
from portal.messaging.presenting import STANDINGS
from portal.web.filters import lower_first, plural

KINDS: Final = {
    NotificationKind.OPENED: "Opened",
    NotificationKind.REMINDER: "Reminder",
    NotificationKind.RESOLVED: "Resolved",
    NotificationKind.DIGEST: "Digest",
    NotificationKind.TEST: "Test",
}
ICONS: Final = {ChannelKind.EMAIL: "email", ChannelKind.SMS: "sms", ChannelKind.CHAT: "chat"}
REMINDERS: Final = {
    "": "No reminders", "5": "Every 5 minutes", "15": "Every 15 minutes", "30": "Every 30 minutes", "60": "Every hour",
    "120": "Every 2 hours", "240": "Every 4 hours", "480": "Every 8 hours", "720": "Every 12 hours",
    "1440": "Every day", "4320": "Every 3 days", "10080": "Every 7 days",
}  # fmt: skip
"""Minutes between two reminders, as a form offers them."""
_TONES: Final = {"failed": "err", "unknown": "warn", "queued": "info", "scheduled": "info", "sending": "info"}


@dataclass(frozen=True)
class Outcome:
    """How a notification stands: words and tone."""

    word: str
    tone: str


def kind(channel: AlertChannel) -> str:
    """Return how a channel travels."""
    return LABELS[ChannelKind(channel.kind)]


def who(channel: AlertChannel, names: Mapping[uuid.UUID, str]) -> str:
    """Return who gets the messages of a channel; `names` are those of chat integrations."""
    if channel.audience == Audience.ADMINS:
        return "Owners and admins"
    if channel.audience == Audience.MEMBERS:
        return plural(len(channel.member_ids), "chosen member")
    if channel.audience == Audience.ADDRESSES:
        more = len(channel.addresses) - 2
        return ", ".join(channel.addresses[:2]) + (f" and {more} more" if more > 0 else "")
    if channel.audience == Audience.OPTED_IN:
        return "Members who asked for it in their profile"
    return names.get(channel.integration_id, "Deleted integration") if channel.integration_id else "Deleted integration"


def what(channel: AlertChannel) -> str:
    """Return which alerts a channel tells of, and when."""
    which = "Critical alerts" if channel.minimum == Minimum.CRITICAL else "All alerts"
    return f"{which}, {f'daily at {channel.digest_at}' if channel.mode == Mode.DIGEST else 'at once'}"


def outcomes(listed: Listed) -> list[Outcome]:
    """Return how the messages of a notification stand, what went wrong first."""
    if listed.row.skipped:
        return [Outcome("Nobody was told", "warn")]
    order = (
        MessageStatus.FAILED, MessageStatus.UNKNOWN, MessageStatus.SENDING, MessageStatus.QUEUED,
        MessageStatus.SCHEDULED, MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.CANCELED,
    )  # fmt: skip
    counted: dict[str, tuple[int, str]] = {}
    for each in order:
        if count := listed.statuses.get(each, 0):
            word = lower_first(STANDINGS[each].word)
            tone = _TONES.get(each, "off" if each is MessageStatus.CANCELED else "ok")
            counted[word] = (counted.get(word, (0, ""))[0] + count, tone)
    return [Outcome(f"{count:,} {word}", tone) for word, (count, tone) in counted.items()]


def told(listed: Listed) -> str:
    """Return how many alerts a notification told of, and what of them."""
    row = listed.row
    parts = [(row.opened, "opened"), (row.reminded, "still open"), (row.resolved, "resolved")]
    return ", ".join(f"{count:,} {word}" for count, word in parts if count)


def names(organization_id: uuid.UUID, channels: Sequence[AlertChannel]) -> dict[uuid.UUID, str]:
    """Return the names of the integrations that chat channels go through."""
    ids = {each.integration_id for each in channels if each.integration_id}
    live = (Integration.organization_id == organization_id, Integration.deleted_at.is_(None), Integration.id.in_(ids))
    return {row.id: row.name for row in db.session.execute(select(Integration.id, Integration.name).where(*live))}


def missing(organization_id: uuid.UUID, channels: Sequence[AlertChannel]) -> list[tuple[str, bool]]:
    """Return which kinds of provider, as in "email provider", channels need and nobody has, or none of which is active.

    Returns:
        Each kind with whether one is configured.
    """
    wanted = {each.kind for each in channels if each.enabled and each.kind != ChannelKind.CHAT}
    found = []
    for each in sorted(wanted):
        way = WAYS[Channel(each)]
        mine = (Integration.organization_id == organization_id, Integration.deleted_at.is_(None))
        states = select(Integration.status).where(*mine, Integration.provider.in_(way.slugs())).distinct()
        states_now = set(db.session.scalars(states))
        if Status.ACTIVE not in states_now:
            found.append((way.provider, bool(states_now)))
    return found
