"""What sending tells of providers that cannot be checked: a message that is refused is an outage, one taken its end."""

import uuid

from sqlalchemy import select

from portal import clock
from portal.database import db, new_id
from portal.health import recording
from portal.health.claims import LIVE, Claim
from portal.health.recording import REFUSALS, Finding
from portal.integrations.models import CheckKind, Integration, Status
from portal.integrations.rechecking import AFTER_A_FAILED_SEND
from portal.integrations.service import FAILURES_TO_ERROR
from portal.providers.base import Report, SendOutcome


def note(integration_id: uuid.UUID, outcome: SendOutcome) -> None:
    """Record what became of a message as a check, of a provider whose checks prove nothing. Runs in a unit of work.

    There is no second look as after a failed check: a refusal is an answer, and a look would see the connection alone.
    """
    query = select(Integration).where(Integration.id == integration_id, *LIVE).with_for_update()
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        return
    refused, is_known = outcome.outcome in REFUSALS, row.status == Status.ERROR and row.error_class in REFUSALS
    ends = outcome.ok and is_known
    if not ends and (not refused or (is_known and _was_just_seen(row))):
        return
    row.check_token = new_id()
    if refused:
        row.error_count = max(row.error_count, FAILURES_TO_ERROR - 1)
    db.session.flush()
    claim = Claim(row.id, row.check_token, CheckKind.AUTO, row.next_check_run_id)
    report = Report(
        steps=(), outcome=outcome.outcome, error=outcome.error, response_time_ms=outcome.response_time_ms or 0
    )
    recording.record([Finding(claim, report, clock.now(), is_proof=True)])


def _was_just_seen(row: Integration) -> bool:
    """Return whether many messages that are refused at once are one thing to write down."""
    last = row.last_health_check
    return last is not None and clock.now() - AFTER_A_FAILED_SEND < last <= clock.now()
