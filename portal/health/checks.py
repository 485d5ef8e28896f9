"""One health check: claimed by a conditional update, run without a transaction, recorded under its token."""

import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from portal import clock
from portal.database import db, new_id, unit_of_work
from portal.health.models import HealthLog, LogStatus
from portal.health.transitions import Result, State, after_check
from portal.integrations import calls, credentials
from portal.integrations.announcing import announce
from portal.integrations.models import CheckKind, Integration
from portal.providers.base import Failure, Outcome, Report
from portal.security.errors import SecurityError

LEASE = timedelta(seconds=60)
"""Longer than any check may take (calls.DEADLINE): after it a check counts as lost and is due again."""


UNREADABLE = Report(
    steps=(),
    outcome=Outcome.INVALID_REQUEST,
    error=Failure(
        outcome=Outcome.INVALID_REQUEST,
        reason="secret_unreadable",
        title="stored secret unreadable",
        message="The stored secret cannot be opened: its key is missing, or it was changed outside the portal.",
        hint="Enter it again under Configure, or tell your operator.",
        code="secret_unreadable",
    ),
    response_time_ms=0,
)
"""What a check finds that could not even begin; the fault is ours, and it is said so."""

log = logging.getLogger("portal.health")


@dataclass(frozen=True)
class Claim:
    """The right to check one integration: whoever holds the token may record what it found."""

    integration_id: uuid.UUID
    token: uuid.UUID
    kind: str
    run_id: uuid.UUID | None
    asked_by: str = ""


def claim_due(limit: int) -> list[Claim]:
    """Claim up to `limit` due checks, oldest first. Owns its transaction.

    Any number of processes may do this at the same time: each row goes to one of them.
    """
    now, token = clock.now(), new_id()
    due = (
        select(Integration.id)
        .where(Integration.next_check_at <= now, Integration.enabled, Integration.deleted_at.is_(None))
        .order_by(Integration.next_check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # a plain subquery may be run again for each row, and would claim more than the limit
    )
    with unit_of_work() as session:
        rows = session.execute(
            update(Integration)
            .where(Integration.id.in_(select(due.c.id)))
            .values(check_token=token, next_check_at=now + LEASE)
            .returning(Integration.id, Integration.next_check_kind, Integration.next_check_run_id),
            execution_options={"synchronize_session": False},
        ).all()
    return [Claim(row.id, token, row.next_check_kind, row.next_check_run_id) for row in rows]


def claim_one(integration_id: uuid.UUID, *, kind: CheckKind, asked_by: str) -> Claim | None:
    """Claim one integration's check for a person who waits for it. Owns its transaction.

    A check that is already under way loses its token: what it finds is older than what this one will.

    Returns:
        The claim; None where the integration was disabled or deleted meanwhile.
    """
    token = new_id()
    with unit_of_work() as session:
        claimed = session.execute(
            update(Integration)
            .where(Integration.id == integration_id, Integration.enabled, Integration.deleted_at.is_(None))
            .values(check_token=token, next_check_at=clock.now() + LEASE)
            .returning(Integration.next_check_run_id),
            execution_options={"synchronize_session": False},
        ).one_or_none()
    return Claim(integration_id, token, kind, claimed[0], asked_by) if claimed else None


def run(claim: Claim) -> Report | None:
    """Check the integration and record what was found. Owns its transactions; none is open while it calls out.

    Returns:
        What the provider's probe found; None where the integration was deleted, disabled or claimed again meanwhile.
    """
    with unit_of_work():
        integration = _held(claim)
        if integration is None:
            return None
        call = _call(integration)
    report = call.probe() if call else UNREADABLE
    with unit_of_work():
        held = _held(claim)
        if held is None:
            return None
        _record(held, claim, report)
    return report


def _call(integration: Integration) -> calls.Call | None:
    """Return the call to make, or None where a stored secret cannot be opened."""
    try:
        return calls.prepare(integration, credentials.open_all(integration, reason="Health check"))
    except SecurityError:
        log.exception("a stored secret of integration %s cannot be opened", integration.id)
        return None


def _held(claim: Claim) -> Integration | None:
    return db.session.scalar(
        select(Integration)
        .where(Integration.id == claim.integration_id, Integration.check_token == claim.token)
        .where(Integration.enabled, Integration.deleted_at.is_(None))
        .with_for_update()
    )


def _record(integration: Integration, claim: Claim, report: Report) -> None:
    now = clock.now()
    before = State(integration.status, integration.condition, integration.error_count, integration.failing_since)
    error = report.error
    result = Result(report.outcome, error.retry_after if error else None)
    interval = timedelta(minutes=integration.health_check_interval_minutes)
    step = after_check(before, result, now=now, interval=interval)
    for name in ("status", "condition", "error_count", "failing_since"):
        setattr(integration, name, getattr(step.state, name))
    integration.next_check_at, integration.next_check_kind = step.next_check_at, step.next_kind
    integration.check_token = integration.next_check_run_id = None
    integration.last_health_check = integration.last_sync = now
    integration.last_health_check_status = step.log_status
    integration.last_health_check_ms = report.response_time_ms
    integration.last_sync_ok = step.log_status is not LogStatus.FAILURE
    _keep_error(integration, report)
    announce(integration)
    db.session.add(_log(integration, claim, report, step.log_status, before))
    db.session.flush()


def _keep_error(integration: Integration, report: Report) -> None:
    error = report.error
    integration.error_class = error.outcome if error else None
    integration.error_title = error.title[:100] if error else None
    integration.error_code = error.code[:60] if error and error.code else None
    integration.error_message = error.message[:1000] if error else None
    integration.error_hint = error.hint[:1000] if error and error.hint else None


def _log(integration: Integration, claim: Claim, report: Report, status: LogStatus, before: State) -> HealthLog:
    detail: dict[str, Any] = {"steps": [step.as_dict() for step in report.steps], "asked_by": claim.asked_by}
    if status is LogStatus.SUCCESS and before.error_count:
        detail["recovered_after"] = before.error_count
    return HealthLog(
        organization_id=integration.organization_id,
        integration_id=integration.id,
        run_id=claim.run_id,
        check_type=claim.kind,
        status=status,
        response_time_ms=report.response_time_ms,
        error_class=integration.error_class,
        error_code=integration.error_code,
        error_message=integration.error_message,
        detail=detail,
        checked_at=integration.last_health_check,
    )
