"""Tables of the webhooks: event types, events, endpoints, deliveries with their attempts, retry policies."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id


class WebhookStatus(StrEnum):
    """Whether a webhook gets deliveries."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    DEAD = "dlq"
    """Ran out of retries and is kept to be looked at."""


class RunAction(StrEnum):
    """What a run does."""

    RETRY = "retry"
    """Sends dead letters again."""
    DISCARD = "discard"
    """Takes dead letters out of the queue."""
    REPLAY = "replay"
    """Sends deliveries of a webhook again."""
    MISSING = "missing"
    """Makes the deliveries that a webhook did not get."""


class RunState(StrEnum):
    """How far a run is."""

    COUNTING = "counting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"


def _words(kind: type[StrEnum], name: str) -> Enum:
    return Enum(kind, name=name, native_enum=False, create_constraint=True, length=16, values_callable=list)


class EventType(Base):
    """A kind of event that an organization added to those that the portal brings."""

    __tablename__ = "event_types"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    group: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(String(300))
    sample: Mapped[dict[str, Any]] = mapped_column(JSON)
    schema: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Event(Base):
    """Something that happened, accepted once. `body` is sent byte for byte, and empty once it is old."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("organization_id", "event_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(64))
    """The webhook-id: `evt_…`, or the application's own."""
    event_type: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(20))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    decisions: Mapped[dict[str, str]] = mapped_column(JSON)
    """Webhook id → why it did not get the event; those that did have deliveries."""
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime)
    accepted_at: Mapped[datetime] = mapped_column(UTCDateTime)


# Indexes rise as ids do, although lists fall: at the falling end each row would move others to the next pages.
Index("ix_events_of_organization", Event.organization_id, Event.id)
Index("ix_events_by_type", Event.organization_id, Event.event_type, Event.id)


class Webhook(Base):
    """An endpoint of the customer's, and what it wants to hear of."""

    __tablename__ = "webhooks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(2048))
    events: Mapped[list[str]] = mapped_column(JSON)
    status: Mapped[WebhookStatus] = mapped_column(_words(WebhookStatus, "webhook_status"))
    disabled_reason: Mapped[str] = mapped_column(String(200), default="")
    headers_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The customer's own headers as JSON; they often hold a token."""
    header_names: Mapped[list[str]] = mapped_column(JSON, default=list)
    filters: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    ordered: Mapped[bool] = mapped_column(default=False)
    rate_limit: Mapped[int | None]
    """Deliveries per second at most."""
    retry: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """A retry policy of its own, as RetryPolicy.as_dict writes it."""
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    secret_masked: Mapped[str] = mapped_column(String(20))
    previous_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until when the secret before this one signs too."""
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """The receiver asked for quiet until then."""
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """To the minute; a webhook that is failing is not disabled while nothing is tried."""
    warned_percent: Mapped[int | None]
    """The last warning about the time it is failing, in percent of the time after which it is disabled."""
    last_success_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_by: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


Index(
    "ix_webhooks_list",
    Webhook.organization_id,
    Webhook.id,
    sqlite_where=Webhook.deleted_at.is_(None),
    postgresql_where=Webhook.deleted_at.is_(None),
)
Index(
    "ix_webhooks_failing",
    Webhook.failing_since,
    sqlite_where=Webhook.failing_since.is_not(None),
    postgresql_where=Webhook.failing_since.is_not(None),
)


Index(
    "ix_webhooks_disabled_by_portal",
    Webhook.organization_id,
    sqlite_where=Webhook.disabled_reason != "",
    postgresql_where=Webhook.disabled_reason != "",
)


class Delivery(Base):
    """One event on its way to one webhook."""

    __tablename__ = "deliveries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    webhook_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_row_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    event_type: Mapped[str] = mapped_column(String(100))
    status: Mapped[DeliveryStatus] = mapped_column(_words(DeliveryStatus, "delivery_status"))
    attempt_number: Mapped[int] = mapped_column(default=0)
    attempts_before: Mapped[int] = mapped_column(default=0, server_default="0")
    """Attempts made before it was last sent again by hand; the retry policy counts from there."""
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the next attempt is due; while one is under way the end of its lease. None once it is over."""
    lease_token: Mapped[uuid.UUID | None]
    """Only who holds it may record what became of the attempt under way."""
    error_class: Mapped[str | None] = mapped_column(String(30))
    response_status: Mapped[int | None]
    duration_ms: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def __repr__(self) -> str:
        """Say which one it is and how it stands, so that two readings of a changed row differ."""
        state = (self.status, self.attempt_number, self.lease_token is not None, self.response_status, self.error_class)
        return f"Delivery({self.id}, {state}, {self.due_at}, {self.duration_ms})"


Index(
    "ix_deliveries_due",
    Delivery.webhook_id,
    Delivery.due_at,
    sqlite_where=Delivery.due_at.is_not(None),
    postgresql_where=Delivery.due_at.is_not(None),
)
Index("ix_deliveries_of_webhook", Delivery.webhook_id, Delivery.id)
Index("ix_deliveries_of_organization", Delivery.organization_id, Delivery.id)
Index("ix_deliveries_by_status", Delivery.organization_id, Delivery.status, Delivery.id)
Index("ix_deliveries_of_event", Delivery.event_row_id)
Index(
    "ix_deliveries_by_type",
    Delivery.organization_id,
    Delivery.event_type,
    Delivery.id,
    Delivery.webhook_id,  # with it those of one webhook are told from others without looking at the rows
)
Index(
    "ix_dead_letters",
    Delivery.organization_id,
    Delivery.webhook_id,
    Delivery.error_class,
    Delivery.id,
    Delivery.status,  # always the same; with it SQLite groups and counts without looking at the rows
    sqlite_where=Delivery.status == DeliveryStatus.DEAD,
    postgresql_where=Delivery.status == DeliveryStatus.DEAD,
)


class DeliveryAttempt(Base):
    """One HTTP try of a delivery: what was sent, what came back, how long each part took."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    attempt_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    duration_ms: Mapped[int]
    response_status: Mapped[int | None]
    error_class: Mapped[str | None] = mapped_column(String(30))
    error: Mapped[str | None] = mapped_column(String(500))
    request_headers: Mapped[dict[str, str]] = mapped_column(JSON)
    response_headers: Mapped[dict[str, str]] = mapped_column(JSON)
    response_body: Mapped[bytes] = mapped_column(LargeBinary)
    timing: Mapped[dict[str, Any]] = mapped_column(JSON)


class OrganizationRetryPolicy(Base):
    """The retry policy that an organization chose; without a row the default holds."""

    __tablename__ = "retry_policies"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    policy: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ReplayRun(Base):
    """Work on many deliveries, done in batches; where it is stands here, so that it outlives us."""

    __tablename__ = "replay_runs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    webhook_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    """Which webhook it is about; None for dead letters, whose filters may name one."""
    action: Mapped[RunAction] = mapped_column(_words(RunAction, "run_action"))
    filters: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What it covers, as DeadLetterFilters.as_dict or Range.as_dict writes it."""
    cutoff: Mapped[datetime] = mapped_column(UTCDateTime)
    """Only what was there at this moment, when somebody saw the count."""
    total: Mapped[int] = mapped_column(default=0)
    counted_to: Mapped[uuid.UUID | None]
    """Up to which row `total` was counted, while it is not yet all of it."""
    done: Mapped[int] = mapped_column(default=0)
    last_id: Mapped[uuid.UUID | None]
    """The delivery or event up to which it came; they go by their ids."""
    started_by: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stopped: Mapped[str | None] = mapped_column(String(20))
    """Why it ended before its time: its webhook was "disabled" or "deleted"."""

    @property
    def state(self) -> RunState:
        """How far it is."""
        if self.finished_at is not None:
            return RunState.STOPPED if self.stopped else RunState.FINISHED
        return RunState.COUNTING if self.counted_to else RunState.RUNNING


Index("ix_replay_runs_newest", ReplayRun.organization_id, ReplayRun.webhook_id, ReplayRun.id.desc())
Index(
    "ix_replay_runs_unfinished",
    ReplayRun.id,
    sqlite_where=ReplayRun.finished_at.is_(None),
    postgresql_where=ReplayRun.finished_at.is_(None),
)
