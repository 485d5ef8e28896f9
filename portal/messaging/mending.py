"""Brings messages back that wait for a moment too far ahead, because the clock was set back."""

from datetime import timedelta
from typing import Final

from sqlalchemy import and_, func, or_, select, update

from portal import clock
from portal.database import reading, unit_of_work, wake_after_commit
from portal.messaging.carriers import LIMIT
from portal.messaging.claims import LEASE
from portal.messaging.models import IS_CLAIMED, IS_DUE, Message, MessageStatus
from portal.messaging.sending import LONGEST_DELAY
from portal.messaging.service import WAKE

LONGEST_LIMIT: Final = timedelta(hours=25)
"""How long a message waits at the most for a carrier that must not send right now: until midnight."""
SKEW: Final = timedelta(seconds=5)
"""Clocks of several machines differ by less."""


def mend_clock() -> int:
    """Make due what no delay explains, and shorten leases that are longer than any. Owns its transaction.

    What is to be sent at a time that somebody asked for keeps it. Doing it twice, or in several processes, changes
    nothing more.

    Returns:
        How many messages were mended.
    """
    now = clock.now()
    limited = func.coalesce(Message.error_code, "") == LIMIT
    too_far = or_(
        Message.created_at > now + SKEW,
        and_(~limited, Message.due_at > now + LONGEST_DELAY + SKEW),
        Message.due_at > now + LONGEST_LIMIT,
    )
    late = and_(IS_DUE, Message.due_at > now, Message.status == MessageStatus.QUEUED, too_far)
    held = and_(IS_CLAIMED, Message.lease_until > now + LEASE + SKEW)
    with reading() as session:
        if not any(session.scalar(select(Message.id).where(each).limit(1)) for each in (late, held)):
            return 0
    with unit_of_work() as session:
        changes = ((held, {"lease_until": now + LEASE}), (late, {"due_at": now}))
        mended = [
            session.execute(
                update(Message).where(each).values(values).returning(Message.id),
                execution_options={"synchronize_session": False},
            ).all()
            for each, values in changes
        ]
        wake_after_commit(WAKE)
    return len({row.id for rows in mended for row in rows})
