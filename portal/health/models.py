"""Tables of the health checks: what each check found, and each "Health check all"."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, and_, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id
from portal.health.windows import Plan, Repeats


class LogStatus(StrEnum):
    """How one check ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    LIMITED = "limited"
    """The provider asked to slow down, which is no outage."""


class HealthLog(Base):
    """One health check of one integration."""

    __tablename__ = "health_logs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    integration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"))
    run_id: Mapped[uuid.UUID | None]
    check_type: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    response_time_ms: Mapped[int | None]
    error_class: Mapped[str | None] = mapped_column(String(30))
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(String(1000))
    detail: Mapped[dict[str, Any]] = mapped_column("metadata", JSON, default=dict)
    """Staged steps, who asked, what was said where that matters, and what changed by this check; never a secret."""
    words_id: Mapped[uuid.UUID | None]
    """Of a check that did not pass: which HealthWords say what was wrong. None until they are noted."""
    checked_at: Mapped[datetime] = mapped_column(UTCDateTime)


Index("ix_health_logs_of_integration", HealthLog.integration_id, HealthLog.checked_at.desc(), HealthLog.id.desc())
Index("ix_health_logs_of_organization", HealthLog.organization_id, HealthLog.checked_at.desc(), HealthLog.id.desc())
NOT_PASSED = HealthLog.status != literal_column(f"'{LogStatus.SUCCESS}'")
"""Written out, since SQLite takes a partial index only where a query says its condition word for word."""
Index("ix_health_logs_of_errors", HealthLog.organization_id, HealthLog.checked_at.desc(), HealthLog.id.desc(),
      sqlite_where=NOT_PASSED, postgresql_where=NOT_PASSED)  # fmt: skip
Index("ix_health_logs_by_status", HealthLog.organization_id, HealthLog.status, HealthLog.checked_at.desc(),
      HealthLog.id.desc(), sqlite_where=NOT_PASSED, postgresql_where=NOT_PASSED)  # fmt: skip
# The status in the last place lets SQLite count without looking at the rows.
Index("ix_health_logs_by_error", HealthLog.organization_id, HealthLog.error_class, HealthLog.checked_at.desc(),
      HealthLog.id.desc(), HealthLog.status, sqlite_where=NOT_PASSED, postgresql_where=NOT_PASSED)  # fmt: skip
WITHOUT_WORDS = and_(NOT_PASSED, HealthLog.words_id.is_(None))
Index("ix_health_logs_without_words", HealthLog.organization_id, HealthLog.words_id, sqlite_where=WITHOUT_WORDS,
      postgresql_where=WITHOUT_WORDS)  # fmt: skip
WITH_WORDS = HealthLog.words_id.is_not(None)
# What comes after the id is there for narrowing and counting without a look at the rows.
Index("ix_health_logs_by_words", HealthLog.words_id, HealthLog.checked_at.desc(), HealthLog.id.desc(),
      HealthLog.organization_id, HealthLog.status, HealthLog.check_type, sqlite_where=WITH_WORDS,
      postgresql_where=WITH_WORDS)  # fmt: skip
Index("ix_health_logs_of_run", HealthLog.run_id, sqlite_where=HealthLog.run_id.is_not(None),
      postgresql_where=HealthLog.run_id.is_not(None))  # fmt: skip


class HealthWords(Base):
    """What is said of checks that did not pass, each text once: many logs share a few, and a search reads these."""

    __tablename__ = "health_words"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - read one after the other, so they lie together

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    """Made of the organization and the words, so that nobody has to ask for it."""
    words: Mapped[str] = mapped_column(Text)
    """Class, code and message, in small letters."""
    until: Mapped[datetime] = mapped_column(UTCDateTime)
    """No log with these words is later. It runs ahead of them, so that it seldom has to be moved."""


class HealthCheckRun(Base):
    """One "Health check all": how many integrations it asked for. Its progress is counted from the logs."""

    __tablename__ = "health_check_runs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    total: Mapped[int]
    started_by: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)


Index("ix_health_check_runs_newest", HealthCheckRun.organization_id, HealthCheckRun.started_at.desc())


class Span(StrEnum):
    """How long a stretch a rollup covers."""

    HOUR = "hour"
    DAY = "day"


class HealthRollup(Base):
    """What the checks of one integration came to in an hour or a day (UTC), for when the logs are gone."""

    __tablename__ = "health_rollups"

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE"), primary_key=True
    )
    span: Mapped[str] = mapped_column(String(4), primary_key=True)
    start: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    checks: Mapped[int]
    failures: Mapped[int]
    observed_ms: Mapped[int]
    down_ms: Mapped[int]
    maintenance_ms: Mapped[int] = mapped_column(server_default="0")
    """Time that would have been observed, had it not been maintenance."""
    histogram: Mapped[dict[str, int]] = mapped_column(JSON)


Index("ix_health_rollups_age", HealthRollup.span, HealthRollup.start)


class MaintenanceWindow(Base):
    """A time in which failed checks of an integration are expected, once or every week. It stays when it is over."""

    __tablename__ = "maintenance_windows"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    integration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    repeats: Mapped[str] = mapped_column(String(10), default=Repeats.ONCE)
    zone: Mapped[str] = mapped_column(String(64))
    """Name of the time zone in which it was planned; a weekly one keeps its time of day there."""
    reason: Mapped[str] = mapped_column(String(200), default="")
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When somebody ended or removed it; what was before stays maintenance."""

    @property
    def plan(self) -> Plan:
        """When it is."""
        return Plan(self.starts_at, self.ends_at, Repeats(self.repeats), self.zone, self.stopped_at)


Index("ix_maintenance_windows_of_integration", MaintenanceWindow.integration_id, MaintenanceWindow.starts_at)
Index("ix_maintenance_windows_of_organization", MaintenanceWindow.organization_id)
