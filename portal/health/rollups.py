"""Rolls health logs up into hours and days, so that figures of 90 days cost as much as those of one.

A job folds whole hours from the logs, some integrations in a transaction. What is folded twice comes to the same.
"""

import logging
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby, repeat
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select

from portal import clock, progress
from portal.accounts.models import Organization
from portal.database import db, first_id, reading, unit_of_work
from portal.health import maintenance
from portal.health.figures import LONGEST_GAP, Check, Figures, fold
from portal.health.models import HealthLog, HealthRollup, Span
from portal.health.windows import Stretch
from portal.integrations.models import Integration
from portal.prepared import Prepared

log = logging.getLogger("portal.health")
JOB: Final = "health-rollups"
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
SETTLED: Final = timedelta(minutes=2)
"""How long after its end an hour is folded: a check that began in it may still report."""
AT_ONCE: Final = 200
"""Integrations that one transaction folds."""
ROUND: Final = 25
"""Rollups of several integrations are asked for by multiples of so many."""


def fold_due(most: timedelta = DAY) -> int:
    """Fold the hours that are over. Owns its transactions.

    Args:
        most: how much time at most, for each organization.

    Returns:
        How many hours were folded.
    """
    with reading() as session:
        organizations = session.scalars(select(Organization.id)).all()
    return sum(_fold_safely(organization_id, most) for organization_id in organizations)


def folded_until(organization_id: uuid.UUID) -> datetime | None:
    """Return the end of the last hour that is folded; None where none is."""
    reached = progress.reached(organization_id, JOB)
    return None if reached == progress.START else datetime.fromtimestamp((reached.int >> 80) / 1000, UTC)


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour of a moment."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """Return the start of the day of a moment, in UTC."""
    return hour_of(moment).replace(hour=0)


def checks_between(
    integration_ids: Sequence[uuid.UUID], start: datetime, end: datetime
) -> list[tuple[uuid.UUID, Check]]:
    """Return the checks of integrations from LONGEST_GAP before a stretch to its end, of each oldest first."""
    row = HealthLog
    found = db.session.execute(
        select(row.integration_id, row.checked_at, row.status, row.response_time_ms)
        .where(row.integration_id.in_(integration_ids), row.checked_at >= start - LONGEST_GAP, row.checked_at < end)
        .order_by(row.integration_id, row.checked_at, row.id)
    )
    return [(each[0], Check(each[1], each[2], each[3])) for each in found]


def windows_between(
    integration_ids: Sequence[uuid.UUID], start: datetime, end: datetime
) -> dict[uuid.UUID, tuple[Stretch, ...]]:
    """Return when integrations were in maintenance, as far as checks_between() of the same stretch need to know."""
    return maintenance.between(integration_ids, start - LONGEST_GAP, end)


def hours(
    checks: Sequence[Check], start: datetime, end: datetime, windows: Sequence[Stretch] = ()
) -> Iterator[tuple[datetime, Figures]]:
    """Return the figures of each hour of a stretch that has some.

    Args:
        checks: of one integration, oldest first, those shortly before the stretch too.
        start: of an hour.
        end: of the stretch; its last hour may be cut short.
        windows: when the integration was in maintenance.
    """
    before, at = None, 0
    while at < len(checks) and checks[at].at < start:
        before, at = checks[at], at + 1
    while start < end:
        until, first = min(start + HOUR, end), at
        while at < len(checks) and checks[at].at < until:
            at += 1
        found = fold(checks[first:at], before=before, start=start, end=until, windows=windows)
        if found != Figures():
            yield start, found
        before = checks[at - 1] if at else None
        start = until


def _fold_safely(organization_id: uuid.UUID, most: timedelta) -> int:
    try:
        return _fold(organization_id, most)
    except Exception:  # the job runner: what one organization has stored must not keep the others' figures back
        log.exception("health logs of organization %s could not be rolled up", organization_id)
        db.session.remove()
        return 0


def _fold(organization_id: uuid.UUID, most: timedelta) -> int:
    with reading():
        start = folded_until(organization_id) or _first_hour(organization_id)
        integrations = db.session.scalars(
            select(Integration.id).where(Integration.organization_id == organization_id).order_by(Integration.id)
        ).all()
    last = hour_of(clock.now() - SETTLED)
    if start is not None and start > last:
        _go_back(organization_id, last)
    if start is None or start >= last:
        return 0
    end = min(last, start + most)
    for some in (integrations[at : at + AT_ONCE] for at in range(0, len(integrations), AT_ONCE)):
        with unit_of_work():
            _fold_some(some, start, end)
    with unit_of_work():
        progress.note(organization_id, JOB, first_id(end))
    return round((end - start) / HOUR)


def _go_back(organization_id: uuid.UUID, last: datetime) -> None:
    """Fold again, when their time comes, hours that were folded ahead of it: the clock was set back since.

    Those of which logs are gone already stay as they are, however far it was set back.
    """
    with unit_of_work():
        first = _first_hour(organization_id)
        whole = hour_of(first + LONGEST_GAP) + HOUR if first else last
        progress.note(organization_id, JOB, first_id(max(last, whole)))


def _first_hour(organization_id: uuid.UUID) -> datetime | None:
    first = db.session.scalar(
        select(func.min(HealthLog.checked_at)).where(HealthLog.organization_id == organization_id)
    )
    return hour_of(first) if first else None


def _fold_some(integration_ids: Sequence[uuid.UUID], start: datetime, end: datetime) -> None:
    found, windows = checks_between(integration_ids, start, end), windows_between(integration_ids, start, end)
    rows = [
        _row(integration_id, Span.HOUR, hour, figures)
        for integration_id, mine in groupby(found, key=lambda each: each[0])
        for hour, figures in hours([each[1] for each in mine], start, end, windows.get(integration_id, ()))
    ]
    _replace(integration_ids, Span.HOUR, start, end, rows)
    first, last = day_of(start), day_of(end - HOUR) + DAY
    _replace(integration_ids, Span.DAY, first, last, _days(integration_ids, first, last))


def _days(integration_ids: Sequence[uuid.UUID], start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Add up the hours of days."""
    of_day: dict[tuple[uuid.UUID, datetime], Figures] = {}
    for integration_id, hour, figures in read(integration_ids, Span.HOUR, start, end):
        of_day.setdefault((integration_id, day_of(hour)), Figures()).add(figures)
    return [_row(integration_id, Span.DAY, day, figures) for (integration_id, day), figures in of_day.items()]


def read(
    integration_ids: Sequence[uuid.UUID], span: Span, start: datetime, end: datetime
) -> list[tuple[uuid.UUID, datetime, Figures]]:
    """Return rollups of integrations that begin within a stretch, of each oldest first.

    Args:
        integration_ids: whose; at least one.
        span: hours or days.
        start: of the first.
        end: before which they begin.
    """
    asked = numbered(integration_ids)
    return _stored(len(asked)).all(_figures, span=span, first=start, end=end, **asked)


def numbered(ids: Sequence[uuid.UUID]) -> dict[str, uuid.UUID]:
    """Return ids by their names in a statement, see among(): one, or the last one again and again up to a round number.

    So there are few statements to keep ready, however many ids are asked for.
    """
    missing = -len(ids) % ROUND if len(ids) > 1 else 0
    return {f"id_{number}": each for number, each in enumerate([*ids, *repeat(ids[-1], missing)])}


def among(count: int) -> ColumnElement[bool]:
    """Return the condition that rollups are of one of so many integrations, which numbered() names."""
    row = HealthRollup.integration_id
    return row.in_([bindparam(f"id_{number}", type_=row.type) for number in range(count)])


@cache
def _stored(count: int) -> Prepared:
    row = HealthRollup
    within = (row.start >= bindparam("first", type_=row.start.type), row.start < bindparam("end", type_=row.start.type))
    return Prepared(
        select(
            row.integration_id, row.start, row.checks, row.failures, row.observed_ms, row.down_ms, row.maintenance_ms,
            row.histogram,
        )
        .where(among(count), row.span == bindparam("span", type_=row.span.type), *within)
        .order_by(row.integration_id, row.span, row.start)  # the key's order: SQLite would go by age, over all rows
    )  # fmt: skip


def _figures(integration_id: uuid.UUID, begin: datetime, *columns: Any) -> tuple[uuid.UUID, datetime, Figures]:
    checks, failures, *milliseconds, histogram = columns
    observed, down, left_out = (each / 1000 for each in milliseconds)
    counts = {int(key): count for key, count in histogram.items()}
    return integration_id, begin, Figures(checks, failures, observed, down, counts, left_out)


def _row(integration_id: uuid.UUID, span: Span, start: datetime, figures: Figures) -> dict[str, Any]:
    return {
        "integration_id": integration_id, "span": span, "start": start, "checks": figures.checks,
        "failures": figures.failures, "observed_ms": round(figures.observed * 1000),
        "down_ms": round(figures.down * 1000), "maintenance_ms": round(figures.maintenance * 1000),
        "histogram": {str(key): count for key, count in sorted(figures.histogram.items())},
    }  # fmt: skip


def _replace(
    integration_ids: Sequence[uuid.UUID], span: Span, start: datetime, end: datetime, rows: Sequence[dict[str, Any]]
) -> None:
    row = HealthRollup
    db.session.execute(
        delete(row).where(
            row.integration_id.in_(integration_ids), row.span == span, row.start >= start, row.start < end
        ),
        execution_options={"synchronize_session": False},
    )
    if rows:
        db.session.execute(insert(row), rows)
