"""Tables of the alerts: what is wrong now or was, and each change of it, which is all that notifications read."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id

UNTIL_IT_RECOVERS: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands in muted_until for a mute without an end of its own."""


class Severity(StrEnum):
    """How urgent an alert is. In the order of the alphabet, which lists rely on."""

    CRITICAL = "critical"
    """Something does not work now."""
    WARNING = "warning"
    """Something will stop working unless a person sees to it."""


class AlertState(StrEnum):
    """What became of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Somebody knows of it."""
    RESOLVED = "resolved"
    """Its cause is gone."""


class ChangeKind(StrEnum):
    """What happened to an alert."""

    OPENED = "opened"
    REOPENED = "reopened"
    """It came back shortly after it was resolved, or got worse."""
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    """The acknowledgement was taken back."""
    MUTED = "muted"
    UNMUTED = "unmuted"
    CHANGED = "changed"
    """The same thing fails in another way now."""


TOLD: Final = frozenset({
    ChangeKind.OPENED, ChangeKind.REOPENED, ChangeKind.ACKNOWLEDGED, ChangeKind.RESOLVED, ChangeKind.WITHDRAWN,
    ChangeKind.MUTED, ChangeKind.UNMUTED,
})  # fmt: skip
"""Changes that wait for somebody to handle them; all others are history from the start."""


class Alert(Base):
    """One cause that somebody should know of, from when it was found until it is gone."""

    __tablename__ = "alerts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    rule: Mapped[str] = mapped_column(String(40))
    cause: Mapped[str] = mapped_column(String(80))
    """What it is about, such as one integration. There is one unresolved alert for a cause at most."""
    severity: Mapped[str] = mapped_column(String(10))
    integration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"))
    webhook_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(300))
    message: Mapped[str] = mapped_column(String(1000))
    """What failed."""
    impact: Mapped[str] = mapped_column(String(500))
    """What does not work for the business meanwhile."""
    hint: Mapped[str] = mapped_column(String(1000))
    """What to do."""
    code: Mapped[str] = mapped_column(String(60))
    """The provider's own code."""
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(15))
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    """Since when it fails, which is a little longer than the alert is open."""
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it was last opened, acknowledged, muted or resolved. Never goes back, whatever the clock does."""
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acknowledged_by: Mapped[str] = mapped_column(String(200))
    """Name of who knows of it."""
    acknowledge_note: Mapped[str] = mapped_column(String(500))
    muted_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    resolution: Mapped[str] = mapped_column(String(20))
    occurrences: Mapped[int]
    """How often it opened, the times included that it came back shortly after."""

    def __repr__(self) -> str:
        """Say which one it is and as of when, so that two readings of a changed row differ."""
        state = (self.state, self.muted_until, self.changed_at)
        return f"Alert({self.id}, {self.title!r}, {self.message!r}, {state})"


UNRESOLVED: Final = Alert.resolved_at.is_(None)
Index(
    "uq_alerts_unresolved_cause",
    Alert.organization_id,
    Alert.cause,
    unique=True,
    sqlite_where=UNRESOLVED,
    postgresql_where=UNRESOLVED,
)
Index(
    "ix_alerts_unresolved",
    Alert.organization_id,
    Alert.state,
    Alert.severity,
    Alert.since,
    Alert.id,
    sqlite_where=UNRESOLVED,
    postgresql_where=UNRESOLVED,
)
Index(
    "ix_alerts_resolved",
    Alert.organization_id,
    Alert.resolved_at.desc(),
    Alert.id.desc(),
    sqlite_where=Alert.resolved_at.is_not(None),
    postgresql_where=Alert.resolved_at.is_not(None),
)
Index("ix_alerts_of_integration", Alert.integration_id)
Index("ix_alerts_of_webhook", Alert.webhook_id)


class AlertChange(Base):
    """One change of an alert, written in the transaction that made it. Who tells people reads those not handled."""

    __tablename__ = "alert_changes"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    alert_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(15))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    by_name: Mapped[str] = mapped_column(String(200))
    """Who did it; empty where the portal found it by itself."""
    note: Mapped[str] = mapped_column(String(500))
    handled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When people were told, or it was decided that they need not be."""


Index("ix_alert_changes_of_alert", AlertChange.alert_id, AlertChange.at, AlertChange.id)
Index(
    "ix_alert_changes_unhandled",
    AlertChange.organization_id,
    AlertChange.id,
    sqlite_where=AlertChange.handled_at.is_(None),
    postgresql_where=AlertChange.handled_at.is_(None),
)
