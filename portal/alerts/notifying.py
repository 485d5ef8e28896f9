"""The job that tells people of alerts: takes over what changed, plans what follows, tells what is due.

One transaction for each organization does all of it, the queued messages included, and only one process at a time has
the lock on an organization's settings. So nothing is told twice, and what a process that died had begun is not there.
"""

import logging
import uuid
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select, update

from portal import clock
from portal.alerts import plans, preferences, stale, telling
from portal.alerts.models import Alert, AlertChange
from portal.alerts.notification_models import IS_PENDING, AlertNotice, AlertSettings
from portal.database import db, reading, unit_of_work
from portal.messaging import service as messaging

WAKE: Final = plans.WAKE
BATCH: Final = 1000
"""Changes that one transaction takes over."""

log = logging.getLogger("portal.alerts")


def look() -> int:
    """Tell what there is to tell now. Owns its transactions; any number of processes may do so at once.

    Returns:
        How many notifications were made.
    """
    made = 0
    for organization_id in _waiting():
        try:
            made += attend(organization_id)
        except Exception:  # the job runner: what one organization has stored must not leave the others untold
            log.exception("alerts of organization %s could not be told", organization_id)
            db.session.remove()
    return made


def _waiting() -> Sequence[uuid.UUID]:
    """Return the organizations of which something changed, or is due."""
    with reading() as session:
        changed = session.scalars(
            select(AlertChange.organization_id).where(AlertChange.handled_at.is_(None)).distinct()
        ).all()
        due = select(AlertNotice.organization_id).where(IS_PENDING, AlertNotice.due_at <= clock.now())
        return sorted({*changed, *session.scalars(due.distinct())})


def attend(organization_id: uuid.UUID) -> int:
    """Tell what there is to tell to one organization. Owns its transaction.

    Returns:
        How many notifications were made.
    """
    with unit_of_work():
        settings = preferences.locked(organization_id)
        _take_over(settings)
        return telling.tell(settings)


def _take_over(settings: AlertSettings) -> None:
    """Plan what follows from changes that nobody has handled yet."""
    changed = _claim(settings.organization_id)
    plans.plan(settings, changed | stale.take_back(settings, changed))
    back = _working_again(changed)
    if back:
        whose = settings.organization_id
        messaging.readmit(organization_id=whose, purpose=telling.PURPOSE, integration_ids=back)
        plans.forgive(settings, back)


def _working_again(alert_ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
    """Return the integrations that these alerts were about, of those that are over."""
    over = (Alert.id.in_(alert_ids), Alert.resolved_at.is_not(None), Alert.integration_id.is_not(None))
    found = db.session.scalars(select(Alert.integration_id).where(*over)).all() if alert_ids else []
    return [each for each in found if each]


def _claim(organization_id: uuid.UUID) -> set[uuid.UUID]:
    """Take over changes that are nobody's yet; returns the alerts that changed."""
    waits = (
        select(AlertChange.id)
        .where(AlertChange.organization_id == organization_id, AlertChange.handled_at.is_(None))
        .order_by(AlertChange.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("waits")
    )
    claimed = (
        update(AlertChange)
        .where(AlertChange.id.in_(select(waits.c.id)))
        .values(handled_at=clock.now())
        .returning(AlertChange.alert_id)
    )
    return set(db.session.scalars(claimed, execution_options={"synchronize_session": False}))
