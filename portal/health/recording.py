"""Records what checks found, many in one transaction: Core statements, and the ORM only where others are told of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, insert, null, select, update

from portal.database import db, new_id
from portal.health import words
from portal.health.claims import LIVE, Claim
from portal.health.models import HealthLog, LogStatus
from portal.health.transitions import Result, Rhythm, State, Transition, after_check
from portal.integrations.announcing import announce
from portal.integrations.models import CheckKind, Condition, Integration, Status
from portal.prepared import Prepared
from portal.providers import catalogue
from portal.providers.base import Outcome, Report

REFUSALS: Final = (Outcome.AUTH_REJECTED, Outcome.PERMISSION_MISSING, Outcome.INVALID_REQUEST)
"""Answers to a message that mean that no other one would be taken either."""


@dataclass(frozen=True)
class Finding:
    """What the check of a claim found, and when; or, as a proof, what became of a message."""

    claim: Claim
    report: Report
    at: datetime
    is_proof: bool = False


def record(findings: Sequence[Finding]) -> set[uuid.UUID]:
    """Record checks. Runs inside a unit of work.

    Returns:
        The integrations whose check was recorded; the others were deleted, disabled or claimed again meanwhile.
    """
    held = _held(findings)
    kept = [each for each in findings if each.claim.token == held.get(each.claim.integration_id, _NOBODY).check_token]
    steps = [(each, held[each.claim.integration_id], _step(each, held[each.claim.integration_id])) for each in kept]
    _KEEP.many([_changes(finding, row, step) for finding, row, step in steps])
    logs = [_log(finding, row, step) for finding, row, step in steps]
    words.note(logs)
    _LOG.many(logs)
    for finding, row, step in steps:
        if _concerns_others(row, step):
            _announce(finding.claim.integration_id)
    return {each.claim.integration_id for each in kept}


@dataclass(frozen=True)
class _Nobody:
    check_token: None = None


_NOBODY: Final = _Nobody()


def _held(findings: Sequence[Finding]) -> dict[uuid.UUID, Any]:
    """Return the rows as they are now, held until the end; in the order of ids: two workers never lock crosswise."""
    row = Integration
    query = (
        select(
            row.id, row.organization_id, row.provider, row.check_token, row.status, row.condition, row.error_count,
            row.failing_since, row.outage_since, row.reauth_told_at, row.health_check_interval_minutes,
            row.maintenance_from, row.maintenance_until, row.error_class, row.error_title, row.error_code,
            row.error_message, row.error_hint,
        )
        .where(row.id.in_([each.claim.integration_id for each in findings]), row.check_token.is_not(None), *LIVE)
        .order_by(row.id)
        .with_for_update()
    )  # fmt: skip
    return {found.id: found for found in db.session.execute(query)}


def _step(finding: Finding, row: Any) -> Transition:
    before = State(row.status, row.condition, row.error_count, row.failing_since)
    error = finding.report.error
    result = Result(finding.report.outcome, error.retry_after if error else None)
    rhythm = Rhythm(row.id, timedelta(minutes=row.health_check_interval_minutes))
    if _proves_nothing(finding, row):
        return Transition(before, LogStatus.SUCCESS, rhythm.next(finding.at), CheckKind.SCHEDULED)
    return after_check(before, result, now=finding.at, rhythm=rhythm, maintenance=_in_maintenance(row, finding))


def _in_maintenance(row: Any, finding: Finding) -> bool:
    """Return whether the check came while failures were expected, as Integration.in_maintenance() has it."""
    begin, end = row.maintenance_from, row.maintenance_until
    return begin is not None and end is not None and begin <= finding.at < end


def _proves_nothing(finding: Finding, row: Any) -> bool:
    """Return whether a check passed that could not see why messages are refused.

    A person who asks for one of this integration alone says that it is mended.
    """
    asked_for = finding.claim.kind == CheckKind.MANUAL and finding.claim.run_id is None
    passed = finding.report.ok and not finding.is_proof and not asked_for
    refused = row.status == Status.ERROR and row.error_class in REFUSALS
    return passed and refused and not catalogue.get(row.provider).check_proves


def _concerns_others(row: Any, step: Transition) -> bool:
    """Return whether there may be something to tell: an outage that begins, changes or ends."""
    if step.state.status == Status.ERROR:
        return row.outage_since is None or (step.state.condition == Condition.REAUTH and row.reauth_told_at is None)
    return step.state.status == Status.ACTIVE and row.outage_since is not None


def _announce(integration_id: uuid.UUID) -> None:
    announce(db.session.get_one(Integration, integration_id, populate_existing=True))
    db.session.flush()


def _changes(finding: Finding, row: Any, step: Transition) -> dict[str, Any]:
    """Return what a check leaves on its integration; one that changes nothing leaves the words that were there."""
    report, state = finding.report, step.state
    proves_nothing = _proves_nothing(finding, row)
    stays = proves_nothing or (not report.ok and _in_maintenance(row, finding))
    return {
        "of": finding.claim.integration_id,
        "under": finding.claim.token,
        "state": state.status,
        "condition": state.condition,
        "error_count": state.error_count,
        "failing_since": state.failing_since,
        "due": step.next_check_at,
        "kind": step.next_kind,
        "at": finding.at,
        "log_status": step.log_status,
        "took": report.response_time_ms,
        "works": step.log_status is not LogStatus.FAILURE and not proves_nothing,
        **({name: getattr(row, name) for name in _ERROR} if stays else _error(report)),
    }


def _error(report: Report) -> dict[str, str | None]:
    error = report.error
    return {
        "error_class": error.outcome if error else None,
        "error_title": error.title[:100] if error else None,
        "error_code": error.code[:60] if error and error.code else None,
        "error_message": error.message[:1000] if error else None,
        "error_hint": error.hint[:1000] if error and error.hint else None,
    }


def _log(finding: Finding, row: Any, step: Transition) -> dict[str, Any]:
    claim, report, error = finding.claim, finding.report, _error(finding.report)
    detail: dict[str, Any] = {"steps": [each.as_dict() for each in report.steps], "asked_by": claim.asked_by}
    if (step.log_status is not LogStatus.SUCCESS or claim.kind != CheckKind.SCHEDULED) and (
        said := report.transcript.shown()
    ):
        detail["exchange"] = said  # of what passes as ever nobody asks, and it would be most of the table
    if _in_maintenance(row, finding):
        detail["maintenance"] = True
    if step.log_status is LogStatus.SUCCESS and row.error_count > step.state.error_count:
        detail["recovered_after"] = row.error_count
    return {
        "id": new_id(),
        "organization_id": row.organization_id,
        "integration_id": claim.integration_id,
        "run_id": claim.run_id,
        "check_type": claim.kind,
        "status": step.log_status,
        "response_time_ms": report.response_time_ms,
        "error_class": error["error_class"],
        "error_code": error["error_code"],
        "error_message": error["error_message"],
        "metadata": detail,
        "checked_at": finding.at,
    }


_ERROR: Final = ("error_class", "error_title", "error_code", "error_message", "error_hint")
_AT: Final = bindparam("at", type_=Integration.last_health_check.type)
_KEEP: Final = Prepared(
    update(Integration)
    .where(Integration.id == bindparam("of"), Integration.check_token == bindparam("under"))
    .values(
        status=bindparam("state"),
        condition=bindparam("condition"),
        error_count=bindparam("error_count"),
        failing_since=bindparam("failing_since"),
        next_check_at=bindparam("due"),
        next_check_kind=bindparam("kind"),
        next_check_run_id=null(),
        check_token=null(),
        last_health_check=_AT,
        last_sync=_AT,
        last_health_check_status=bindparam("log_status"),
        last_health_check_ms=bindparam("took"),
        last_sync_ok=bindparam("works"),
        error_class=bindparam("error_class"),
        error_title=bindparam("error_title"),
        error_code=bindparam("error_code"),
        error_message=bindparam("error_message"),
        error_hint=bindparam("error_hint"),
    )
)
_LOG: Final = Prepared(
    insert(HealthLog),
    inserts=(
        "id", "organization_id", "integration_id", "run_id", "check_type", "status", "response_time_ms", "error_class",
        "error_code", "error_message", "metadata", "checked_at", "words_id",
    ),
)  # fmt: skip
