"""The strip of 30 days and the uptime in each row of a list: what is rolled up, and today from the last check."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, type_coerce
from sqlalchemy.types import NullType

from portal import clock
from portal.database import db
from portal.health import charts, metrics, rollups
from portal.health.charts import MiniStrip
from portal.health.figures import Figures
from portal.health.models import HealthRollup, LogStatus, Span
from portal.integrations.listing import Listed
from portal.integrations.models import Integration

DAYS: Final = 30
_STATES: Final = {LogStatus.SUCCESS: "ok", LogStatus.FAILURE: "warn", LogStatus.LIMITED: "ok"}
_row = HealthRollup
# A list has thousands of these rows: they stay as the driver gives them, and are found by what it would give.
_COLUMNS: Final = (
    type_coerce(_row.integration_id, NullType()), type_coerce(_row.start, NullType()),
    _row.failures, _row.observed_ms, _row.down_ms,
)  # fmt: skip


def of(integrations: Sequence[Integration | Listed]) -> dict[uuid.UUID, MiniStrip]:
    """Return the strip of each integration. The hour that is not rolled up yet shows only as today's bar."""
    now = clock.now()
    first = rollups.day_of(now) - timedelta(days=DAYS - 1)
    places = _places(first)
    found: dict[Any, list[tuple[int, int, int, int]]] = {}
    for each, start, *figures in db.session.execute(_of([each.id for each in integrations], first, now)):
        found.setdefault(each, []).append((places[start], *figures))
    return {
        each.id: _strip(found.get(each.id) or found.get(each.id.hex) or [], _today(each, now)) for each in integrations
    }


def _of(ids: Sequence[uuid.UUID], first: datetime, now: datetime) -> Any:
    key = (_row.integration_id, _row.span, _row.start)
    return (
        select(*_COLUMNS)
        .where(_row.integration_id.in_(ids), _row.span == Span.DAY, _row.start >= first, _row.start <= now)
        .order_by(*key)  # else SQLite would go by age, over all rows
    )


def _places(first: datetime) -> Mapping[Any, int]:
    """Return the place of each day by its start as PostgreSQL's driver gives it, and as SQLite's does."""
    starts = [first + timedelta(days=number) for number in range(DAYS)]
    return {
        written: place for place, start in enumerate(starts) for written in (start, f"{start:%Y-%m-%d %H:%M:%S.%f}")
    }


def _today(integration: Integration | Listed, now: datetime) -> str:
    """Return what the last check says of today, as long as nothing of today is rolled up."""
    at, status = integration.last_health_check, integration.last_health_check_status
    fresh = at is not None and at >= rollups.day_of(now) and not integration.in_maintenance(at)
    return _STATES[LogStatus(status)] if fresh and status else "none"


def _strip(days: Sequence[tuple[int, int, int, int]], today: str) -> MiniStrip:
    bars, observed, down = ["none"] * (DAYS - 1) + [today], 0, 0
    for place, failures, observed_ms, down_ms in days:
        if observed_ms:
            bars[place] = metrics.state_of(failures, down_ms / 1000)
        observed, down = observed + observed_ms, down + down_ms
    return charts.mini(bars, Figures(observed=observed / 1000, down=down / 1000).uptime_pct)
