"""Tables of the accounts: organizations, their members, sessions, second factors and sign-in throttles."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id
from portal.web.access import Role

DIGEST_BYTES = 32


class SessionState(StrEnum):
    """How far a sign-in has come."""

    PENDING = "pending"
    """The password was right; it opens nothing but the second step."""
    FULL = "full"


def _words(kind: type[StrEnum], name: str) -> Enum:
    """Return a column type that keeps an enumeration by its values, checked by the database."""
    return Enum(kind, name=name, native_enum=False, create_constraint=True, length=16, values_callable=list)


class Organization(Base):
    """One customer of the portal: everything belongs to exactly one."""

    __tablename__ = "organizations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    require_two_factor: Mapped[bool] = mapped_column(default=False)
    """Whether agents need two-factor authentication too; owners and admins always do."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class OrganizationRetention(Base):
    """How long an organization keeps what piles up; there is none where nobody has changed it."""

    __tablename__ = "organization_retention"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    logs_days: Mapped[int]
    rollups_months: Mapped[int]
    deliveries_days: Mapped[int]
    bodies_days: Mapped[int]


class User(Base):
    """One person. What they may do stands in their memberships."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """Lower case, as values.email returns it."""
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(20), default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    password_hash: Mapped[str] = mapped_column(String(255))
    password_changed_at: Mapped[datetime] = mapped_column(UTCDateTime)

    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Secret of the authenticator app; set means that two-factor authentication is on."""
    totp_pending_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Secret being enrolled, not yet confirmed by a code."""
    totp_last_step: Mapped[int | None]
    """Time step of the last accepted code; no code of this step or before is accepted again."""
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    recovery_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """New recovery codes, only until the person says that they are saved."""
    recovery_saved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)

    @property
    def two_factor_enrolled(self) -> bool:
        """Whether two-factor authentication is on and its recovery codes are saved."""
        return self.totp_sealed is not None and self.recovery_saved_at is not None


class SmsOptIn(Base):
    """That a person wants text messages about critical alerts, and to which number they wanted them."""

    __tablename__ = "sms_opt_ins"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    phone: Mapped[str] = mapped_column(String(20))
    """A number that they have since replaced gets nothing."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Membership(Base):
    """What one person may do in one organization."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("user_id", "organization_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role] = mapped_column(_words(Role, "role"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class UserSession(Base):
    """One signed-in browser. The cookie holds a random token, this row only its digest.

    The session ends with the membership that it works for: the foreign key takes it along.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "organization_id"],
            ["memberships.user_id", "memberships.organization_id"],
            ondelete="CASCADE",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), unique=True)
    user_id: Mapped[uuid.UUID]
    organization_id: Mapped[uuid.UUID]
    state: Mapped[SessionState] = mapped_column(_words(SessionState, "state"))
    two_factor: Mapped[bool] = mapped_column(default=False)
    """Whether a second factor was given."""
    recent_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until when password or code count as given just now."""
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Written at most once a minute."""
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """End in any case, however busy the session is."""
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


Index("ix_sessions_of_user", UserSession.user_id, UserSession.organization_id)
Index("ix_sessions_expiry", UserSession.expires_at)


class ApiToken(Base):
    """One token for the JSON API: it works for its maker, within its scopes. The row holds only its digest.

    The token ends with the membership that it works for: the foreign key takes it along.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "organization_id"],
            ["memberships.user_id", "memberships.organization_id"],
            ondelete="CASCADE",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), unique=True)
    masked: Mapped[str] = mapped_column(String(20))
    """What people may see of it."""
    user_id: Mapped[uuid.UUID]
    organization_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Written at most every five minutes."""
    last_used_ip: Mapped[str] = mapped_column(String(45), default="")
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


Index("ix_api_tokens_of_member", ApiToken.user_id, ApiToken.organization_id)
Index("ix_api_tokens_of_organization", ApiToken.organization_id, ApiToken.created_at.desc(), ApiToken.id.desc())


class IdempotencyKey(Base):
    """What an API token was answered under an idempotency key; it means something for a day."""

    __tablename__ = "idempotency_keys"

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES))
    """Of what was asked for."""
    answer: Mapped[Any] = mapped_column(JSON)
    status: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class RecoveryCode(Base):
    """One recovery code, as a keyed digest: 120 random bits need no slow hash."""

    __tablename__ = "recovery_codes"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), unique=True)
    key_id: Mapped[int]
    """Data key of the digest, so that codes survive a key rotation."""
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ThrottleBucket(Base):
    """One token bucket that slows down guessing. Losing it costs nothing but the memory of recent tries."""

    __tablename__ = "throttle_buckets"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    level: Mapped[float]
    """Tries left at the time below."""
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class SetupCode(Base):
    """The one-time code that opens the first run, as a digest."""

    __tablename__ = "setup_codes"

    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
