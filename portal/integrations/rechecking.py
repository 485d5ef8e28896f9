"""Asks for a check out of turn, where something happened that one may explain."""

import uuid
from datetime import timedelta
from typing import Final

from sqlalchemy import or_, update

from portal import clock
from portal.database import db, wake_after_commit
from portal.integrations.models import CheckKind, Condition, Integration, Status
from portal.integrations.service import WAKE

AFTER_A_FAILED_SEND: Final = timedelta(seconds=30)
"""A check that is older than this does not explain why something could not be sent."""


def check_soon(integration_id: uuid.UUID) -> None:
    """Ask for a check of an integration through which something could just not be sent; once in half a minute at most.

    Not where a check is under way, where it is known to fail, or where the provider asked to be left alone.
    """
    now, row = clock.now(), Integration
    asked = db.session.execute(
        update(row)
        .where(row.id == integration_id, row.enabled, row.deleted_at.is_(None), row.check_token.is_(None))
        .where(or_(row.next_check_at.is_(None), row.next_check_at > now), row.status != Status.ERROR)
        .where(or_(row.condition.is_(None), row.condition != Condition.LIMITED))
        .where(or_(row.last_health_check.is_(None), row.last_health_check <= now - AFTER_A_FAILED_SEND))
        .values(next_check_at=now, next_check_kind=CheckKind.AUTO)
        .returning(row.id),
        execution_options={"synchronize_session": False},
    )
    if asked.one_or_none():
        wake_after_commit(WAKE)
