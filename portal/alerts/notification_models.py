"""Tables of who is told of alerts: channels, when to be quiet, what each channel knows, and what was told to whom."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id

REMINDER_MINUTES: Final = 240
GROUP_WAIT_SECONDS: Final = 30


class ChannelKind(StrEnum):
    """How people are told; each is a channel of messaging too."""

    EMAIL = "email"
    SMS = "sms"
    CHAT = "chat"


class Audience(StrEnum):
    """Who gets the messages of a channel. Those of a chat channel go to its one place."""

    ADMINS = "admins"
    """Owners and admins, whoever they are when something happens."""
    MEMBERS = "members"
    ADDRESSES = "addresses"
    OPTED_IN = "opted_in"
    """Members who want text messages about critical alerts."""
    PLACE = "place"


class Minimum(StrEnum):
    """Which alerts a channel is for."""

    ALL = "all"
    CRITICAL = "critical"


class Mode(StrEnum):
    """When a channel tells."""

    AT_ONCE = "at_once"
    DIGEST = "digest"
    """All together, once a day."""


class NoticeKind(StrEnum):
    """What a channel is told of an alert."""

    OPENED = "opened"
    REMINDER = "reminder"
    RESOLVED = "resolved"


class Told(StrEnum):
    """What a channel believes of an alert."""

    NOTHING = ""
    OPEN = "open"
    RESOLVED = "resolved"


class NotificationKind(StrEnum):
    """What a notification is, as its log calls it."""

    OPENED = "opened"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    DIGEST = "digest"
    TEST = "test"


class AlertChannel(Base):
    """One way in which an organization is told of alerts."""

    __tablename__ = "alert_channels"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(100))
    audience: Mapped[str] = mapped_column(String(10))
    member_ids: Mapped[list[str]] = mapped_column(JSON)
    """Users; those who are not members any more get nothing."""
    addresses: Mapped[list[str]] = mapped_column(JSON)
    integration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("integrations.id", ondelete="SET NULL"))
    """Of a chat channel: through which it goes, and no other."""
    minimum: Mapped[str] = mapped_column(String(10))
    mode: Mapped[str] = mapped_column(String(10))
    digest_at: Mapped[str] = mapped_column(String(5))
    """Time of the day, as 08:00, where the organization is."""
    enabled: Mapped[bool]
    reminded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it was last reminded of alerts."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class AlertSettings(Base):
    """How an organization wants to be told. Its row is locked while notices are made: one process at a time."""

    __tablename__ = "alert_settings"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    reminder_minutes: Mapped[int | None]
    """Time between two reminders of a channel; none without reminders."""
    group_wait_seconds: Mapped[int]
    """How long a channel waits for more alerts before it tells of the first."""
    quiet_from: Mapped[str] = mapped_column(String(5))
    """Start of the quiet hours, as 22:00, where the organization is; empty without quiet hours."""
    quiet_to: Mapped[str] = mapped_column(String(5))
    critical_passes: Mapped[bool]
    """Whether critical alerts are told in quiet hours too."""


class AlertNotice(Base):
    """What one channel knows of one alert, and what it is to be told next."""

    __tablename__ = "alert_notices"
    __table_args__ = (UniqueConstraint("channel_id", "alert_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    channel_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("alert_channels.id", ondelete="CASCADE"))
    alert_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
    told: Mapped[str] = mapped_column(String(10))
    told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it was last told, or reminded, that the alert is open; or when that was tried in vain."""
    told_severity: Mapped[str] = mapped_column(String(10))
    pending: Mapped[str] = mapped_column(String(10))
    """What it is to be told; empty for nothing."""
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


IS_PENDING: Final = AlertNotice.due_at.is_not(None)
Index("ix_alert_notices_due", AlertNotice.due_at, sqlite_where=IS_PENDING, postgresql_where=IS_PENDING)
Index(
    "ix_alert_notices_pending",
    AlertNotice.organization_id,
    AlertNotice.channel_id,
    sqlite_where=IS_PENDING,
    postgresql_where=IS_PENDING,
)


class Notification(Base):
    """One time that one channel was told something, with a message for each recipient."""

    __tablename__ = "notifications"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    channel_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("alert_channels.id", ondelete="SET NULL"))
    channel_name: Mapped[str] = mapped_column(String(100))
    """As it was called then."""
    channel_kind: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(300))
    opened: Mapped[int]
    reminded: Mapped[int]
    resolved: Mapped[int]
    """How many alerts it told of in each way."""
    recipients: Mapped[int]
    skipped: Mapped[str] = mapped_column(String(300))
    """Why nobody was told; empty where messages were queued."""
    asked_by: Mapped[str] = mapped_column(String(200))
    """Who asked for a test."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


Index("ix_notifications_of_organization", Notification.organization_id, Notification.id)
Index("ix_notifications_of_channel", Notification.channel_id, Notification.id)


class NotificationAlert(Base):
    """An alert that a notification told of."""

    __tablename__ = "notification_alerts"

    notification_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE"), primary_key=True
    )
    alert_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    kind: Mapped[str] = mapped_column(String(10))
