"""Tables of the integrations: what is configured, its stored secrets, its usage by hour."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    and_,
    bindparam,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id

NAME_KEY_LENGTH = 200
NAME_INDEX = "uq_integrations_live_name"


class Status(StrEnum):
    """What an integration can do right now."""

    ACTIVE = "active"
    """Used for sending."""
    INACTIVE = "inactive"
    """Disabled, or not yet verified: never used for sending."""
    ERROR = "error"
    """Two checks in a row failed."""


class Condition(StrEnum):
    """What a person should know beyond the status."""

    UNVERIFIED = "unverified"
    """Saved without a passed test; active after its first success."""
    REAUTH = "reauth"
    """The provider refuses the credentials."""
    LIMITED = "limited"
    """The provider asked to slow down; no outage."""


class CheckKind(StrEnum):
    """Why a health check runs."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    AUTO = "auto"


class Integration(Base):
    """One configured provider of one organization."""

    __tablename__ = "integrations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    provider: Mapped[str] = mapped_column(String(50))
    type: Mapped[str] = mapped_column(String(50))
    capabilities: Mapped[list[str]] = mapped_column(JSON, default=list)
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(NAME_KEY_LENGTH))
    """The name as it is compared and sorted: case folded, which makes some letters two or three, and cut."""
    config: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Values of the provider's fields that are not secret."""
    enabled: Mapped[bool] = mapped_column(default=True)
    sandbox: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(20), default=Status.INACTIVE)
    condition: Mapped[str | None] = mapped_column(String(20))
    max_per_hour: Mapped[int | None]
    max_per_day: Mapped[int | None]

    error_class: Mapped[str | None] = mapped_column(String(30))
    error_title: Mapped[str | None] = mapped_column(String(100))
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(String(1000))
    error_hint: Mapped[str | None] = mapped_column(String(1000))
    error_count: Mapped[int] = mapped_column(default=0)
    """Failed checks in a row."""
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outage_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Since when it fails, from the event that told others so until the one that tells them that it works again."""
    reauth_told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When others were told that it needs new credentials; none between two outages."""

    last_health_check: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_health_check_status: Mapped[str | None] = mapped_column(String(20))
    last_health_check_ms: Mapped[int | None]
    last_sync: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Last send, sync run or check, whichever came last."""
    last_sync_ok: Mapped[bool | None]

    health_check_interval_minutes: Mapped[int] = mapped_column(default=5)
    next_check_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the next check is due; none while disabled or deleted."""
    next_check_kind: Mapped[str] = mapped_column(String(20), default=CheckKind.AUTO)
    check_group: Mapped[str] = mapped_column(String(320), default="", server_default=text("''"))
    """Which integrations share places for checks: those of one server, as the provider says."""
    next_check_run_id: Mapped[uuid.UUID | None]
    """The "Health check all" that asked for the next check."""
    check_token: Mapped[uuid.UUID | None]
    """Set while a check runs: only the worker that holds it may record the outcome. While it is held, next_check_at
    is the end of its lease, so that the check of a worker that died is due again by itself."""
    maintenance_from: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Start of the maintenance that is under way or comes next; portal.health.maintenance keeps it."""
    maintenance_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Its end, which does not belong to it."""

    created_by: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def __repr__(self) -> str:
        """Say which one it is and as of when, so that two readings of a changed row differ."""
        state = (self.status, self.condition, self.enabled, self.error_count, self.last_sync_ok, bool(self.check_token))
        times = (self.updated_at, self.last_health_check, self.last_sync, self.next_check_at)
        expected = (self.maintenance_from, self.maintenance_until)
        return f"Integration({self.id}, {self.name!r}, {state}, {times}, {expected})"

    def in_maintenance(self, now: datetime) -> bool:
        """Return whether failed checks are expected at a moment: they change no status and alert nobody."""
        return is_within(now, self.maintenance_from, self.maintenance_until)


def is_within(now: datetime, begin: datetime | None, end: datetime | None) -> bool:
    """Return whether a moment is within a stretch of time, if there is one; its end does not belong to it."""
    return begin is not None and end is not None and begin <= now < end


LIVE = Integration.deleted_at.is_(None)

Index(
    NAME_INDEX,
    Integration.organization_id,
    Integration.provider,
    Integration.name_key,
    unique=True,
    sqlite_where=LIVE,
    postgresql_where=LIVE,
)
Index(
    "ix_integrations_list",
    Integration.organization_id,
    Integration.name_key,
    Integration.id,
    sqlite_where=LIVE,
    postgresql_where=LIVE,
)
Index(
    "ix_integrations_states",
    Integration.organization_id,
    Integration.status,
    Integration.enabled,
    Integration.condition,
    Integration.deleted_at,  # SQLite counts from the index alone only where it has what its condition says
    sqlite_where=LIVE,
    postgresql_where=LIVE,
)
SANDBOXED = LIVE & Integration.sandbox
Index(
    "ix_integrations_sandboxed", Integration.organization_id, Integration.sandbox, Integration.deleted_at,
    sqlite_where=SANDBOXED, postgresql_where=SANDBOXED,
)  # fmt: skip
Index(
    "ix_integrations_due",
    Integration.next_check_at,
    sqlite_where=Integration.next_check_at.is_not(None),
    postgresql_where=Integration.next_check_at.is_not(None),
)
_URGENT = and_(Integration.next_check_at.is_not(None), Integration.next_check_kind != literal_column("'scheduled'"))
Index("ix_integrations_urgent", Integration.next_check_at, sqlite_where=_URGENT, postgresql_where=_URGENT)
"""New ones, second looks and checks that somebody asked for come before those that are only on time."""
Index(
    "ix_integrations_run",
    Integration.next_check_run_id,
    sqlite_where=Integration.next_check_run_id.is_not(None),
    postgresql_where=Integration.next_check_run_id.is_not(None),
)
Index(
    "ix_integrations_maintenance",
    Integration.maintenance_until,
    sqlite_where=Integration.maintenance_until.is_not(None),
    postgresql_where=Integration.maintenance_until.is_not(None),
)


IN_ERROR = Integration.status == bindparam("error", Status.ERROR, Integration.status.type, literal_execute=True)
"""Written into the statement, not sent beside it: else SQLite would pass over the index."""
Index(
    "ix_integrations_in_error",
    Integration.organization_id,
    sqlite_where=Integration.status == Status.ERROR,
    postgresql_where=Integration.status == Status.ERROR,
)


class IntegrationSecret(Base):
    """One secret value of an integration: sealed, with the little that people may see of it."""

    __tablename__ = "integration_secrets"
    __table_args__ = (UniqueConstraint("integration_id", "field"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    integration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"))
    field: Mapped[str] = mapped_column(String(50))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    masked: Mapped[str] = mapped_column(String(20))
    stored_at: Mapped[datetime] = mapped_column(UTCDateTime)
    stored_by: Mapped[str] = mapped_column(String(100))


class IntegrationUsage(Base):
    """How many messages an integration sent in one hour, for its limits."""

    __tablename__ = "integration_usage"

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE"), primary_key=True
    )
    hour: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    sent: Mapped[int] = mapped_column(default=0)
