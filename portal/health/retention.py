"""What is kept of old health checks, for as long as their organization says. Short transactions."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select, tuple_

from portal import clock
from portal.accounts import retention
from portal.database import reading, unit_of_work
from portal.health import rollups, words
from portal.health.figures import LONGEST_GAP
from portal.health.models import HealthLog, HealthRollup, Span
from portal.integrations.models import Integration

BATCH: Final = 500
"""Rows that one transaction deletes, so that nobody waits for it."""
AT_ONCE: Final = 200
"""Integrations whose rollups are looked at together."""


def tidy() -> int:
    """Delete rollups and logs that are older than they are kept, logs only once they are rolled up; and note words.

    Owns its transactions.

    Returns:
        How many rows went.
    """
    now = clock.now()
    words.catch_up()
    with reading():
        organizations = retention.of_all()
    return sum(
        _tidy_rollups(organization_id, now - kept.rollups) + _tidy_logs(organization_id, now - kept.logs)
        for organization_id, kept in organizations
    )


def _tidy_logs(organization_id: uuid.UUID, before: datetime) -> int:
    with reading():
        folded = rollups.folded_until(organization_id)
    if folded is None:
        return 0
    before, total, log = min(folded - LONGEST_GAP, before), 0, HealthLog
    while True:
        with unit_of_work() as session:
            old = select(log.id).where(log.organization_id == organization_id, log.checked_at < before)
            found = session.scalars(old.order_by(log.checked_at).limit(BATCH)).all()
            session.execute(delete(log).where(log.id.in_(found)), execution_options={"synchronize_session": False})
        total += len(found)
        if len(found) < BATCH:
            return total + words.forget(organization_id, before)


def _tidy_rollups(organization_id: uuid.UUID, before: datetime) -> int:
    with reading() as session:
        ids = session.scalars(select(Integration.id).where(Integration.organization_id == organization_id)).all()
    some = (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))
    return sum(_tidy_some(each, span, before) for each in some for span in Span)


def _tidy_some(integration_ids: Sequence[uuid.UUID], span: Span, before: datetime) -> int:
    """Delete the old rollups of some integrations; where there are none, nothing is written."""
    row, total = HealthRollup, 0
    old = select(row.integration_id, row.start).where(
        row.integration_id.in_(integration_ids), row.span == span, row.start < before
    )
    while True:
        with reading() as session:
            found = session.execute(old.limit(BATCH)).all()
        if found:
            keys = [tuple(each) for each in found]
            with unit_of_work() as session:
                session.execute(
                    delete(row).where(row.span == span, tuple_(row.integration_id, row.start).in_(keys)),
                    execution_options={"synchronize_session": False},
                )
        total += len(found)
        if len(found) < BATCH:
            return total
