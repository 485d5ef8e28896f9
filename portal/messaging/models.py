"""Tables of messages: what is to be sent to whom, how it stands, and each try to send it."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum, ForeignKey, Index, String, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, new_id


class Channel(StrEnum):
    """How a message travels; each is a capability of integrations too."""

    EMAIL = "email"
    SMS = "sms"
    CHAT = "chat"


class Direction(StrEnum):
    """Whether the portal sent a message or got it."""

    OUT = "out"
    IN = "in"


class MessageStatus(StrEnum):
    """How a message stands."""

    SCHEDULED = "scheduled"
    """To be sent later, at a time that was asked for."""
    QUEUED = "queued"
    """Waits for its turn, or for the next one after a round that failed."""
    SENDING = "sending"
    """A provider is being called. Once the lease runs out, nobody knows whether it was sent."""
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    """It may have been sent; never sent again unless a person asks for it."""
    RECEIVED = "received"


WAITING = (MessageStatus.SCHEDULED, MessageStatus.QUEUED)
"""Nothing has been handed to a provider since the message came, or since all carriers refused it."""


def _words(kind: type[StrEnum], name: str) -> Enum:
    return Enum(kind, name=name, native_enum=False, create_constraint=True, length=16, values_callable=list)


class Message(Base):
    """One message to one recipient."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("organization_id", "key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    channel: Mapped[Channel] = mapped_column(_words(Channel, "channel"))
    direction: Mapped[Direction] = mapped_column(_words(Direction, "direction"), default=Direction.OUT)
    status: Mapped[MessageStatus] = mapped_column(_words(MessageStatus, "message_status"))
    purpose: Mapped[str] = mapped_column(String(20))
    """Who asked for it: alert, test, later api."""
    to_address: Mapped[str] = mapped_column(String(320))
    """Email address, phone number, or what a chat calls the place."""
    subject: Mapped[str] = mapped_column(String(500), default="")
    """Subject of an email, title of a chat message."""
    text: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What only one channel knows: facts, url and tone of a chat message."""
    key: Mapped[str | None] = mapped_column(String(200))
    """What the same message would have again, so that it is not queued twice."""
    entity_type: Mapped[str] = mapped_column(String(40), default="")
    entity_id: Mapped[str] = mapped_column(String(64), default="")

    pinned_integration_id: Mapped[uuid.UUID | None]
    """The only integration that may carry it."""
    avoid: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Ids of integrations that never carry it."""
    integration_id: Mapped[uuid.UUID | None]
    """Who carried it, or tried last."""
    provider_id: Mapped[str] = mapped_column(String(255), default="")
    """What the provider calls it."""

    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it is sent, or tried again; none once it is over."""
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """From then on it is not sent any more."""
    tries: Mapped[int] = mapped_column(default=0)
    rounds: Mapped[int] = mapped_column(default=0)
    """How often every carrier was gone through in vain; the wait grows with it."""
    claim_token: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Only the worker that holds it may record what became of the message."""
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the claim counts as lost. While it waits the message is simply claimed again; while it is being sent
    nobody knows what happened to it."""

    error_class: Mapped[str | None] = mapped_column(String(30))
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(String(1000))
    """Why it was not sent, or what it waits for, in words."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def __repr__(self) -> str:
        """Say which one it is and how it stands, so that two readings of a changed row differ; never texts."""
        state = (self.status, self.tries, self.integration_id, self.error_class, self.error_code, bool(self.text))
        return f"Message({self.id}, {state}, {self.due_at}, {self.expires_at})"


IS_DUE = Message.due_at.is_not(None)
IS_CLAIMED = Message.lease_until.is_not(None)

Index("ix_messages_due", Message.due_at, sqlite_where=IS_DUE, postgresql_where=IS_DUE)
Index("ix_messages_claimed", Message.lease_until, sqlite_where=IS_CLAIMED, postgresql_where=IS_CLAIMED)
Index("ix_messages_of_organization", Message.organization_id, Message.id)
Index("ix_messages_by_status", Message.organization_id, Message.status, Message.id)
Index("ix_messages_of_entity", Message.organization_id, Message.entity_type, Message.entity_id)


class MessageTry(Base):
    """One try to hand a message to one provider."""

    __tablename__ = "message_tries"
    __table_args__ = (UniqueConstraint("message_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    number: Mapped[int]
    integration_id: Mapped[uuid.UUID]
    integration_name: Mapped[str] = mapped_column(String(100))
    """As it was called then."""
    provider: Mapped[str] = mapped_column(String(50))
    outcome: Mapped[str | None] = mapped_column(String(30))
    """One of providers.base.Outcome; none while the provider is being called."""
    code: Mapped[str] = mapped_column(String(60), default="")
    message: Mapped[str] = mapped_column(String(1000), default="")
    provider_id: Mapped[str] = mapped_column(String(255), default="")
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    duration_ms: Mapped[int | None]
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until when the provider wants no more messages; the integration is passed over as long."""

    def __repr__(self) -> str:
        """Say which one it is and how it ended."""
        return f"MessageTry({self.message_id}, {self.number}, {self.outcome}, {self.code!r})"


IS_PAUSE = MessageTry.retry_at.is_not(None)
Index(
    "ix_message_tries_pauses",
    MessageTry.integration_id,
    MessageTry.retry_at,
    sqlite_where=IS_PAUSE,
    postgresql_where=IS_PAUSE,
)
