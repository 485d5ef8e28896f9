"""Tables of the audit room: entries of the trail, the head of each chain, uses of credentials."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.audit import triggers
from portal.database import Base, UTCDateTime

INSTALLATION = uuid.UUID(int=0)
"""Chain of what belongs to no organization."""


class AuditEntry(Base):
    """One change: who, when, from where, what. Written once; the mac ties it to the entry before it."""

    __tablename__ = "audit_entries"
    __table_args__ = (UniqueConstraint("chain", "seq"), Index(None, "chain", "at", "seq"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    chain: Mapped[uuid.UUID]
    """Organization, or INSTALLATION."""
    seq: Mapped[int] = mapped_column(BigInteger)
    """Place in the chain: 1, 2, 3 and so on, without gaps."""
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[uuid.UUID | None]
    actor_name: Mapped[str] = mapped_column(String(200))
    ip: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(100))
    target_type: Mapped[str] = mapped_column(String(64))
    target_id: Mapped[str] = mapped_column(String(200))
    target_name: Mapped[str] = mapped_column(String(200))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request_id: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[int] = mapped_column(BigInteger)
    """Data key of the mac."""
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The last entry of a chain. Locked while entries are added, and says how long the chain must be."""

    __tablename__ = "audit_heads"

    chain: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    """The last entry's mac."""
    key_id: Mapped[int] = mapped_column(BigInteger)
    seal: Mapped[bytes] = mapped_column(LargeBinary)
    """Authenticates this row, so that a cut chain cannot get a head that fits."""


class AuditCheck(Base):
    """What was last found of one chain by those who watch over it."""

    __tablename__ = "audit_checks"
    __table_args__ = (Index(None, "due_at"),)

    chain: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    ok: Mapped[bool]
    first_bad_seq: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(300))
    whole_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When all of it was last looked at."""
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When the next look is due."""


class CredentialAccess(Base):
    """Uses of one integration's credentials: one by a person, one refused, or those by jobs within an hour."""

    __tablename__ = "credential_accesses"
    __table_args__ = (
        UniqueConstraint("integration_id", "purpose", "actor_kind", "actor_name", "hour"),
        CheckConstraint("outcome IN ('allowed', 'refused')", name="outcome"),
        Index(None, "integration_id", "last_at"),
        Index(None, "organization_id", "last_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[uuid.UUID]
    integration_id: Mapped[uuid.UUID]
    integration_name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(16))
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[uuid.UUID | None]
    actor_name: Mapped[str] = mapped_column(String(200))
    ip: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    hour: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Start of the hour that the row sums up; none where the row is a single use."""
    first_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    count: Mapped[int] = mapped_column(Integer)


@event.listens_for(Base.metadata, "after_create")
def _create_triggers(_metadata: MetaData, connection: Connection, *, tables: Any, **_options: Any) -> None:
    if AuditHead.__table__ in tables:
        for statement in triggers.CREATE[connection.dialect.name]:
            connection.exec_driver_sql(statement)
