"""What is kept of old messages: what they say as long as bodies, the rest as long as deliveries. Short transactions."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import delete, select, update

from portal import clock, progress
from portal.accounts import retention
from portal.accounts.retention import Retention
from portal.database import db, first_id, reading, unit_of_work
from portal.messaging.models import WAITING, Message, MessageStatus

BATCH: Final = 500
"""Rows that one transaction changes, so that nobody waits for it."""
MOST_BATCHES: Final = 100
"""Batches of one run; the next run goes on."""
JOB: Final = "message-bodies"
UNFINISHED: Final = (*WAITING, MessageStatus.SENDING)


def tidy() -> int:
    """Take away what is older than it is kept, of all organizations. Owns its transactions; several may run at once.

    Returns:
        How many rows it looked at.
    """
    with reading():
        organizations = retention.of_all()
    steps = (
        partial(_batch, step, organization_id, kept)
        for organization_id, kept in organizations
        for step in (_wipe, _delete)
    )
    return progress.in_batches(steps, size=BATCH, most=MOST_BATCHES)


def _batch(step: Callable[[uuid.UUID, Retention], int], organization_id: uuid.UUID, kept: Retention) -> int:
    with unit_of_work():
        return step(organization_id, kept)


def _wipe(organization_id: uuid.UUID, kept: Retention) -> int:
    """Empty messages; one that still waits keeps what it says until it is deleted."""
    after, before = progress.reached(organization_id, JOB), first_id(clock.now() - kept.bodies)
    query = select(Message.id).where(Message.organization_id == organization_id)
    query = query.where(Message.id > after, Message.id < before).order_by(Message.id).limit(BATCH)
    found = db.session.scalars(query).all()
    if found:
        finished = Message.id.in_(found) & Message.status.not_in(UNFINISHED)
        db.session.execute(update(Message).where(finished).values(text="", html="", extra={}))
        progress.note(organization_id, JOB, found[-1])
    return len(found)


def _delete(organization_id: uuid.UUID, kept: Retention) -> int:
    over = select(Message.id).where(
        Message.organization_id == organization_id,
        Message.id < first_id(clock.now() - kept.deliveries),
        Message.status.not_in(UNFINISHED),
    )
    found = db.session.scalars(over.order_by(Message.id).limit(BATCH)).all()
    if found:
        db.session.execute(delete(Message).where(Message.id.in_(found)))
    return len(found)
