"""Reading messages: a page of them, how many there are, the tries of one. Always within one organization."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, or_, select

from portal.database import db, first_id
from portal.messaging.models import Message, MessageStatus, MessageTry
from portal.paging import Page, count_rows, decode_cursor, encode_cursor

PAGE: Final = 25
MOST_TRIES: Final = 200


@dataclass(frozen=True, kw_only=True)
class MessageFilters:
    """What a list of messages is narrowed to; None and empty values narrow nothing.

    Attributes:
        channel: one of models.Channel.
        statuses: any of these.
        text: part of the recipient or of the subject, or the provider's id as a whole.
        since, until: of messages that were made from then on, and before then.
    """

    channel: str = ""
    statuses: tuple[MessageStatus, ...] = ()
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


def listed(
    *, organization_id: uuid.UUID, filters: MessageFilters, cursor: str = "", limit: int = PAGE
) -> Page[Message]:
    """Return one page of messages, newest first.

    Raises:
        ValueError: the cursor is none of this list.
    """
    query = select(Message).where(*_conditions(organization_id, filters))
    if cursor:
        query = query.where(Message.id < uuid.UUID(decode_cursor(cursor, 1)[0]))
    rows = list(db.session.scalars(query.order_by(Message.id.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def count(*, organization_id: uuid.UUID, filters: MessageFilters) -> int:
    """Count messages, up to one more than paging.COUNT_LIMIT."""
    return count_rows(select(Message.id).where(*_conditions(organization_id, filters)))


def _conditions(organization_id: uuid.UUID, filters: MessageFilters) -> list[ColumnElement[bool]]:
    found = [Message.organization_id == organization_id]
    if filters.channel:
        found.append(Message.channel == filters.channel)
    if filters.statuses:
        found.append(Message.status.in_(filters.statuses))
    if filters.text:
        text = filters.text
        named = [each.icontains(text, autoescape=True) for each in (Message.to_address, Message.subject)]
        found.append(or_(*named, Message.provider_id == text))
    if filters.since:
        found.append(Message.id >= first_id(filters.since))
    if filters.until:
        found.append(Message.id < first_id(filters.until))
    return found


def tries(message: Message) -> Sequence[MessageTry]:
    """Return the tries of a message, newest first, up to MOST_TRIES."""
    query = select(MessageTry).where(MessageTry.message_id == message.id)
    return db.session.scalars(query.order_by(MessageTry.number.desc()).limit(MOST_TRIES)).all()
