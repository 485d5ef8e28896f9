"""Messages as others use them: put one into the queue, cancel one, send one again. Plain services."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.audit import trail
from portal.database import db, new_id, wake_after_commit
from portal.messaging.errors import NotFoundError, NotNowError
from portal.messaging.models import WAITING, Channel, Message, MessageStatus

WAKE: Final = "messages"
"""What a commit wakes that leaves a message due."""
LASTS: Final = timedelta(hours=24)
"""How long a message is tried, where nobody says."""
ENDED_BADLY: Final = (MessageStatus.FAILED, MessageStatus.UNKNOWN)
"""What a person may have sent again."""


def queue(
    *,
    organization_id: uuid.UUID,
    channel: Channel,
    to: str,
    subject: str = "",
    text: str,
    html: str = "",
    extra: Mapping[str, Any] | None = None,
    purpose: str,
    key: str = "",
    pinned: uuid.UUID | None = None,
    avoid: Collection[uuid.UUID] = (),
    entity: tuple[str, str] | None = None,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> Message:
    """Store a message that is to be sent; the worker sends it once the caller's unit of work is committed.

    Args:
        organization_id: whose integrations carry it.
        channel: how it travels.
        to: email address, phone number in E.164 form; for chat a name of the place, only to be shown.
        subject: of an email; the title of a chat message.
        text: what it says.
        html: the same for mail programs that show it.
        extra: facts, url and tone of a chat message.
        purpose: why it is sent: "alert", "test", "api".
        key: a message with the same one is stored once only; up to 200 characters, empty for none.
        pinned: the only integration that may carry it.
        avoid: integrations that must not carry it.
        entity: type and id of what it is about.
        due_at: when to send it; now where not given.
        expires_at: when not to send it any more; a day after it is due where not given.

    Returns:
        The message; the stored one where its key is already there, whatever became of it.
    """
    entity_type, entity_id = entity or ("", "")
    made = _insert(
        organization_id=organization_id, channel=Channel(channel), purpose=purpose, to_address=to,
        subject=subject[:500], text=text, html=html, extra=dict(extra or {}), key=key or None,
        pinned_integration_id=pinned, avoid=[str(each) for each in avoid], entity_type=entity_type,
        entity_id=entity_id, **_times(due_at, expires_at),
    )  # fmt: skip
    if made is None:
        same = select(Message).where(Message.organization_id == organization_id, Message.key == key)
        return db.session.scalars(same).one()
    wake_after_commit(WAKE)
    return db.session.get_one(Message, made)


def _times(due_at: datetime | None, expires_at: datetime | None) -> dict[str, Any]:
    """Return when a message is sent and until when it is tried, and how it stands because of that."""
    now = clock.now()
    due = max(due_at or now, now)
    status = MessageStatus.SCHEDULED if due > now else MessageStatus.QUEUED
    return {"status": status, "due_at": due, "expires_at": expires_at or due + LASTS, "created_at": now}


def _insert(**values: Any) -> uuid.UUID | None:
    """Store a row, unless its key is already there: also when two do so at the same moment."""
    values["id"] = new_id()
    dialect = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    row = dialect.insert(Message).values(**values)
    row = row.on_conflict_do_nothing(index_elements=[Message.organization_id, Message.key])
    return db.session.execute(row.returning(Message.id)).scalar_one_or_none()


def get(*, organization_id: uuid.UUID, message_id: uuid.UUID, lock: bool = False) -> Message:
    """Return one message.

    Raises:
        NotFoundError: the organization has no such message.
    """
    query = select(Message).where(Message.id == message_id, Message.organization_id == organization_id)
    found = db.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFoundError
    return found


def cancel(*, organization_id: uuid.UUID, message_id: uuid.UUID) -> Message:
    """Take a message that waits out of the queue, for good.

    Raises:
        NotFoundError: the organization has no such message.
        NotNowError: it is being sent, or does not wait any more.
    """
    message = get(organization_id=organization_id, message_id=message_id, lock=True)
    if message.status is MessageStatus.SENDING:
        raise NotNowError("It is being sent right now, which cannot be stopped.")
    if message.status not in WAITING:
        raise NotNowError("It does not wait any more.")
    before = message.status
    message.status, message.due_at, message.claim_token, message.lease_until = MessageStatus.CANCELED, None, None, None
    _audit("message.canceled", message, before)
    return message


def withdraw(*, organization_id: uuid.UUID, entity_type: str, entity_ids: Collection[str], reason: str) -> None:
    """Take what waits about something out of the queue, for good, since it need not be said any more.

    Args:
        organization_id: whose.
        entity_type: what the messages are about.
        entity_ids: which of these.
        reason: why, as the log shows it.
    """
    mine = (Message.organization_id == organization_id, Message.entity_type == entity_type)
    waits = (Message.entity_id.in_(entity_ids), Message.status.in_(WAITING))
    ended = {"status": MessageStatus.CANCELED, "due_at": None, "claim_token": None, "lease_until": None}
    db.session.execute(
        update(Message).where(*mine, *waits).values(**ended, error_message=reason),
        execution_options={"synchronize_session": False},
    )


def readmit(*, organization_id: uuid.UUID, purpose: str, integration_ids: Collection[uuid.UUID]) -> None:
    """Let integrations that work again carry what waits and was to avoid them, at once.

    Args:
        organization_id: whose.
        purpose: why the messages are sent.
        integration_ids: which work again.
    """
    mine = (Message.organization_id == organization_id, Message.status == MessageStatus.QUEUED)
    waits = select(Message).where(*mine, Message.purpose == purpose).order_by(Message.id).with_for_update()
    fine = set(map(str, integration_ids))
    for message in db.session.scalars(waits.execution_options(populate_existing=True)):
        if fine & set(message.avoid):
            message.avoid = [each for each in message.avoid if each not in fine]
            message.due_at = clock.now()
            wake_after_commit(WAKE)
    db.session.flush()


def retry(*, organization_id: uuid.UUID, message_id: uuid.UUID) -> Message:
    """Send a message again that failed, or of which nobody knows whether it arrived; then it may arrive twice.

    It lasts as long as a new one.

    Raises:
        NotFoundError: the organization has no such message.
        NotNowError: it neither failed nor is unconfirmed, or what it said is not kept any more.
    """
    message = get(organization_id=organization_id, message_id=message_id, lock=True)
    if message.status not in ENDED_BADLY:
        raise NotNowError("Only a message that was not delivered, or is unconfirmed, can be sent again.")
    if not has_body(message):
        raise NotNowError("What it said is not kept any more.")
    before, now = message.status, clock.now()
    message.status, message.due_at, message.expires_at = MessageStatus.QUEUED, now, now + LASTS
    message.rounds, message.claim_token, message.lease_until = 0, None, None
    message.error_class = message.error_code = message.error_message = None
    _audit("message.retried", message, before)
    wake_after_commit(WAKE)
    return message


def has_body(message: Message) -> bool:
    """Return whether what a message says is still kept."""
    return bool(message.text or message.html or message.extra)


def _audit(action: str, message: Message, before: MessageStatus) -> None:
    """Record a change without address and text: the trail is kept longer than both."""
    trail.record(
        action=action, organization_id=message.organization_id, target_type="message", target_id=message.id,
        target_name=f"{message.channel} ({message.purpose})",
        before={"status": str(before)}, after={"status": str(message.status)},
    )  # fmt: skip
    db.session.flush()
