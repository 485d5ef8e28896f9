"""Health checks as people use them: one now, all at once with progress, and the logs."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select, update

from portal import clock, paging
from portal.accounts.models import Organization
from portal.audit import trail
from portal.database import db, new_id, wake_after_commit
from portal.health import checks, listing, words
from portal.health.listing import Log
from portal.health.models import HealthCheckRun, HealthLog, LogStatus
from portal.integrations.calls import place
from portal.integrations.models import CheckKind, Integration
from portal.integrations.service import WAKE
from portal.paging import Page, cursor_moment, decode_cursor, encode_cursor
from portal.prepared import Prepared
from portal.providers.base import Report

PAGE = 25
RUN_IS_SHOWN = timedelta(minutes=2)
"""How long after its start a finished "Health check all" is still shown."""
AROUND = timedelta(minutes=15)
"""What is shown of the time before and after an outage."""
RUN_LASTS = timedelta(hours=6)
"""A run that old is over, whatever its rows say."""


class Disabled(Exception):
    """The integration is disabled, so it is not checked."""


@dataclass(frozen=True)
class Progress:
    """How far a "Health check all" has come."""

    run_id: uuid.UUID
    total: int
    passed: int
    failed: int
    remaining: int

    @property
    def done(self) -> int:
        """Checks that ended; integrations that were disabled or deleted meanwhile count as done."""
        return self.total - self.remaining


@dataclass(frozen=True, kw_only=True)
class LogFilters:
    """What the logs are narrowed to; None and empty texts narrow nothing."""

    integration_id: uuid.UUID | None = None
    check_type: str = ""
    status: str = ""
    error_class: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


def check_now(*, integration: Integration, asked_by: str) -> Report | None:
    """Check one integration for a person who waits. Owns its transactions.

    Returns:
        What was found; None where it was disabled, deleted or checked again meanwhile.

    Raises:
        Disabled: it is switched off.
        TooBusy: too many people wait for providers right now.
    """
    if not integration.enabled:
        raise Disabled
    with place():
        claim = checks.claim_one(integration.id, kind=CheckKind.MANUAL, asked_by=asked_by)
        return checks.run(claim) if claim else None


def check_all(*, organization_id: uuid.UUID, asked_by: str) -> HealthCheckRun:
    """Ask for a check of every enabled integration. The runner does them; the progress is counted from the logs.

    A second call while one is under way returns the one that runs.
    """
    # One after the other in an organization, so that two people who press at once start one run. With key_share the
    # checks under way go on: they hold rows that are updated here, and refer to the organization in their logs.
    lock = select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    db.session.execute(lock)
    running = current_run(organization_id=organization_id)
    if running and progress(running).remaining:
        return db.session.get_one(HealthCheckRun, running.id)
    run = HealthCheckRun(
        id=new_id(), organization_id=organization_id, total=0, started_by=asked_by[:100], started_at=clock.now()
    )
    wanted = (Integration.organization_id == organization_id, Integration.enabled, Integration.deleted_at.is_(None))
    # In the order of ids, as results are recorded: so neither waits for the other crosswise.
    db.session.execute(select(Integration.id).where(*wanted).order_by(Integration.id).with_for_update())
    asked = db.session.execute(
        update(Integration)
        .where(*wanted)
        .values(
            next_check_at=run.started_at, next_check_kind=CheckKind.MANUAL, next_check_run_id=run.id, check_token=None
        )
        .returning(Integration.id),
        execution_options={"synchronize_session": False},
    ).all()
    run.total = len(asked)
    db.session.add(run)
    trail.record(
        action="health.check_all", organization_id=organization_id, target_type="organization",
        target_id=organization_id, after={"integrations": run.total},
    )  # fmt: skip
    db.session.flush()
    wake_after_commit(WAKE)
    return run


class Run(NamedTuple):
    """A "Health check all", as far as its progress asks."""

    id: uuid.UUID
    total: int
    started_at: datetime


def current_run(*, organization_id: uuid.UUID) -> Run | None:
    """Return the newest "Health check all" of the last hours."""
    return next(iter(_NEWEST_RUN.all(Run, of=organization_id, since=clock.now() - RUN_LASTS)), None)


# Every open dashboard asks for it again and again.
_NEWEST_RUN: Final = Prepared(
    select(HealthCheckRun.id, HealthCheckRun.total, HealthCheckRun.started_at)
    .where(
        HealthCheckRun.organization_id == bindparam("of", type_=HealthCheckRun.organization_id.type),
        HealthCheckRun.started_at > bindparam("since", type_=HealthCheckRun.started_at.type),
    )
    .order_by(HealthCheckRun.started_at.desc())
    .limit(1)
)


def shown_progress(*, organization_id: uuid.UUID) -> Progress | None:
    """Return how far the newest "Health check all" is, while it runs and shortly after."""
    run = current_run(organization_id=organization_id)
    if run is None:
        return None
    found = progress(run)
    return found if found.remaining or run.started_at > clock.now() - RUN_IS_SHOWN else None


def progress(run: HealthCheckRun | Run) -> Progress:
    """Count how far a run has come."""
    remaining = db.session.scalar(
        select(func.count()).select_from(Integration).where(Integration.next_check_run_id == run.id)
    )
    counts = dict(
        db.session.execute(
            select(HealthLog.status, func.count()).where(HealthLog.run_id == run.id).group_by(HealthLog.status)
        ).all()
    )
    passed = counts.get(LogStatus.SUCCESS, 0) + counts.get(LogStatus.LIMITED, 0)
    return Progress(run.id, run.total, passed, counts.get(LogStatus.FAILURE, 0), remaining or 0)


def logs(*, organization_id: uuid.UUID, filters: LogFilters, cursor: str = "", limit: int = PAGE) -> Page[Log]:
    """Return one page of health logs, newest first.

    Raises:
        ValueError: the cursor is not one of this list.
    """
    values = _values(organization_id, filters)
    if cursor:
        at, row_id = decode_cursor(cursor, 2)
        values |= {"at": cursor_moment(at), "row": uuid.UUID(row_id)}
    rows, total = listing.search(values, limit + 1) if _by_words(values) else (listing.rows(values, limit + 1), None)
    items = rows[:limit]
    following = encode_cursor(items[-1].checked_at, items[-1].id) if len(rows) > limit else None
    if not (cursor or following):
        total = min(len(items), paging.COUNT_LIMIT + 1)  # this page is all of them
    return Page(items, following, None if cursor else total)


def count_logs(*, organization_id: uuid.UUID, filters: LogFilters) -> int:
    """Return how many logs the filters leave, up to paging.COUNT_LIMIT and one."""
    values = _values(organization_id, filters)
    return listing.count(listing.by_words(values) if _by_words(values) else values)


def recent_failures(*, integration: Integration, limit: int = 5) -> Sequence[Log]:
    """Return the newest failed or limited checks of an integration."""
    values = {"of": integration.organization_id, "integration": integration.id, "not_passed": True}
    return listing.rows(values, limit)


def around(
    *,
    organization_id: uuid.UUID,
    integration_id: uuid.UUID | None,
    since: datetime,
    until: datetime | None,
    limit: int = 10,
) -> Sequence[Log]:
    """Return the last checks of an integration up to shortly after an outage, with a few from before it began.

    Args:
        organization_id: whose.
        integration_id: which; of None there are none.
        since: when the outage began.
        until: when it ended; None while it lasts.
        limit: so many at most.
    """
    if integration_id is None:
        return []
    filters = LogFilters(
        integration_id=integration_id,
        since=since - AROUND,
        until=until + AROUND if until else None,
    )
    return logs(organization_id=organization_id, filters=filters, limit=limit).items


def _values(organization_id: uuid.UUID, filters: LogFilters) -> dict[str, Any]:
    """Return what logs are compared with; what narrows nothing is left out."""
    given = {
        "integration": filters.integration_id,
        "kind": filters.check_type,
        "status": filters.status,
        "error": filters.error_class,
        "since": filters.since,
        "until": filters.until,
        "text": listing.pattern(filters.text),
        # The others imply it: few rows, with indexes of their own.
        "not_passed": filters.error_class or filters.text or filters.status not in ("", LogStatus.SUCCESS),
    }
    return {"of": organization_id} | {name: value for name, value in given.items() if value}


def _by_words(values: Mapping[str, Any]) -> bool:
    """Return whether logs are looked for by their words: not those of one integration, which are few."""
    return "text" in values and "integration" not in values and words.all_noted(values["of"])
