"""What the checks of an integration say over a window of time: uptime, failures, response times."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Float, Select, case, func, literal, select

from portal import clock
from portal.database import db
from portal.health.models import HealthLog, LogStatus

WINDOWS: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
MOST: Final = 50_000
"""Newest checks that are looked at: more than 30 days of one check a minute, after which raw logs are gone."""
PERCENTILES: Final = (0.50, 0.95, 0.99)


@dataclass(frozen=True)
class Metrics:
    """Figures over a window; None where there is nothing to say.

    Attributes:
        uptime_pct: checks that found no outage, in percent, cut (never rounded up to 100) to three places.
        error_rate: share of failed checks, 0 to 1.
        p50_ms, p95_ms, p99_ms: response times of the checks that passed, in milliseconds, by nearest rank.
        checks: how many there were.
    """

    uptime_pct: float | None
    error_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    checks: int


def of(*, integration_id: uuid.UUID, window: str) -> Metrics:
    """Return the figures of an integration.

    Args:
        integration_id: whose.
        window: a key of WINDOWS.
    """
    checks, failed, p50, p95, p99 = db.session.execute(figures(integration_id, WINDOWS[window])).one()
    if not checks:
        return Metrics(None, None, None, None, None, 0)
    uptime = (checks - failed) * 100_000 // checks / 1000
    return Metrics(uptime, round(failed / checks, 6), p50, p95, p99, checks)


def figures(integration_id: uuid.UUID, window: timedelta) -> Select[Any]:
    """Return the one query behind the figures: it reads a stretch of an index, and never more than MOST rows."""
    log = HealthLog
    seen = (
        select(log.status, log.response_time_ms)
        .where(log.integration_id == integration_id, log.checked_at >= clock.now() - window)
        .order_by(log.checked_at.desc(), log.id.desc())
        .limit(MOST)
        .cte("seen")
    )
    time = seen.c.response_time_ms
    ranked = (
        select(time, func.cume_dist().over(order_by=time).label("share"))
        .where(seen.c.status == LogStatus.SUCCESS, time.is_not(None))
        .cte("ranked")
    )
    failed = func.coalesce(func.sum(case((seen.c.status == LogStatus.FAILURE, 1), else_=0)), 0)
    ranks = [
        select(func.min(ranked.c.response_time_ms)).where(ranked.c.share >= literal(each, Float)).scalar_subquery()
        for each in PERCENTILES
    ]
    return select(func.count(), failed, *ranks).select_from(seen)
