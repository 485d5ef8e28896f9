"""Which message is whose turn: claimed by one conditional update; what a dead worker held is found again."""

import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal import clock
from portal.database import db, new_id, reading, unit_of_work
from portal.messaging.models import IS_CLAIMED, IS_DUE, WAITING, Message, MessageStatus, MessageTry
from portal.providers.base import Outcome

LEASE: Final = timedelta(seconds=60)
"""Longer than a call to a provider may take (calls.DEADLINE); begins anew with each try."""
BATCH: Final = 200
"""Messages that one transaction gives up."""
LOST: Final = "The portal stopped while the message was being sent. It may have been sent."

log = logging.getLogger("portal.messaging")


@dataclass(frozen=True)
class Claim:
    """The right to send one message: whoever holds the token may record what became of it."""

    message_id: uuid.UUID
    token: uuid.UUID


def claim_due(limit: int) -> list[Claim]:
    """Claim up to `limit` messages that are due, the longest due first. Owns its transaction.

    Any number of processes may do this at the same time: each message goes to one of them. A claim whose lease ran
    out before anything was sent is claimed again.
    """
    now = clock.now()
    due = (
        select(Message.id)
        .where(IS_DUE, Message.due_at <= now, or_(Message.lease_until.is_(None), Message.lease_until <= now))
        .order_by(Message.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # a plain subquery may be run again for each row, and would claim more than the limit
    )
    token = new_id()
    with unit_of_work() as session:
        found = session.scalars(
            update(Message)
            .where(Message.id.in_(select(due.c.id)))
            .values(claim_token=token, lease_until=now + LEASE)
            .returning(Message.id),
            execution_options={"synchronize_session": False},
        ).all()
    return [Claim(each, token) for each in found]


def held(claim: Claim, *statuses: MessageStatus) -> Message | None:
    """Return the claimed message, locked; None where it was canceled or claimed again, or is in none of the states."""
    return db.session.scalar(
        select(Message)
        .where(Message.id == claim.message_id, Message.claim_token == claim.token, Message.status.in_(statuses))
        .with_for_update()
    )


def give_back(claims: Collection[Claim]) -> None:
    """Let others claim what was claimed and not begun. Runs inside a unit of work."""
    for claim in claims:
        db.session.execute(
            update(Message).where(_is(claim), Message.status.in_(WAITING)).values(claim_token=None, lease_until=None)
        )


def _is(claim: Claim) -> ColumnElement[bool]:
    return and_(Message.id == claim.message_id, Message.claim_token == claim.token)


def give_up_lost() -> int:
    """Say of messages whose worker died while it sent them that nobody knows. Owns its transactions, which are short.

    The token stays: a worker that was only slow may still tell what became of its message.

    Returns:
        How many there were.
    """
    lost = select(Message.id).where(
        IS_CLAIMED, Message.lease_until <= clock.now(), Message.status == MessageStatus.SENDING
    )
    with reading() as session:
        if session.scalar(lost.limit(1)) is None:
            return 0
    with unit_of_work() as session:
        ids = session.scalars(lost.limit(BATCH).with_for_update(skip_locked=True)).all()
        session.execute(
            update(MessageTry)
            .where(MessageTry.message_id.in_(ids), MessageTry.outcome.is_(None))
            .values(outcome=Outcome.UNKNOWN_OUTCOME, message=LOST)
        )
        session.execute(
            update(Message)
            .where(Message.id.in_(ids))
            .values(
                status=MessageStatus.UNKNOWN, lease_until=None, error_class=Outcome.UNKNOWN_OUTCOME,
                error_code="worker_lost", error_message=LOST,
            )
        )  # fmt: skip
    log.warning("%d messages were being sent when a process stopped; they may have been sent", len(ids))
    return len(ids)
