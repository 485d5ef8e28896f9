"""The strip of 30 days and the uptime in each row of a list: what is rolled up, and today from the last check.

A list has thousands of days. The database adds them up to a row for each integration, in which the states of the days
are the digits of a number.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, bindparam, case, cast, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from portal import clock
from portal.health import charts, metrics, rollups
from portal.health.charts import MiniStrip
from portal.health.figures import Figures
from portal.health.models import HealthRollup, LogStatus, Span
from portal.integrations.listing import Listed
from portal.integrations.models import Integration
from portal.prepared import Prepared

DAYS: Final = 30
_TODAY: Final = {LogStatus.SUCCESS: "ok", LogStatus.FAILURE: "warn", LogStatus.LIMITED: "ok"}
STATES: Final = ("none", "ok", "warn", "err")
"""Of a day, by its digit."""
BITS: Final = 2
"""Of a digit; those of all days fit into a whole number of 64 bits."""
_row = HealthRollup
# As metrics.bar() has it.
_DIGIT: Final = case(
    (_row.observed_ms == 0, STATES.index("none")),
    (_row.down_ms > metrics.DOWN_LONG * 1000, STATES.index("err")),
    ((_row.failures > 0) | (_row.down_ms > 0), STATES.index("warn")),
    else_=STATES.index("ok"),
)
_FIRST: Final = bindparam("first", type_=_row.start.type)


class _days_since(FunctionElement[int]):  # noqa: N801 - is written like a function
    """How many days lie between two midnights: `_days_since(first, later)`."""

    type = Integer()
    inherit_cache = True


@compiles(_days_since, "sqlite")
def _by_julian_day(element: _days_since, compiler: Any, **kw: Any) -> str:
    first, later = (compiler.process(each, **kw) for each in element.clauses)
    return f"CAST(julianday({later}) - julianday({first}) + 0.5 AS INTEGER)"


@compiles(_days_since, "postgresql")
def _by_seconds(element: _days_since, compiler: Any, **kw: Any) -> str:
    first, later = (compiler.process(each, **kw) for each in element.clauses)
    return f"CAST(extract(epoch FROM {later} - {first}) / 86400 AS INTEGER)"


def of(integrations: Sequence[Integration | Listed]) -> dict[uuid.UUID, MiniStrip]:
    """Return the strip of each integration. The hour that is not rolled up yet shows only as today's bar."""
    if not integrations:
        return {}
    now = clock.now()
    asked = rollups.numbered([each.id for each in integrations])
    first = rollups.day_of(now) - timedelta(days=DAYS - 1)
    rows = _sums(len(asked)).all(lambda *row: row, first=first, now=now, **asked)
    sums = {each: (observed, down, digits) for each, observed, down, digits in rows}
    return {each.id: _strip(*sums.get(each.id, (0, 0, 0)), _today(each, now)) for each in integrations}


@cache
def _sums(count: int) -> Prepared:
    digit = cast(_DIGIT, BigInteger).bitwise_lshift(BITS * _days_since(_FIRST, _row.start))
    until = bindparam("now", type_=_row.start.type)
    return Prepared(
        select(
            _row.integration_id, func.sum(_row.observed_ms), func.sum(_row.down_ms), cast(func.sum(digit), BigInteger)
        )
        .where(rollups.among(count), _row.span == Span.DAY, _row.start >= _FIRST, _row.start <= until)
        .group_by(_row.integration_id, _row.span)  # the key's order: SQLite would go by age, over all rows
    )


def _today(integration: Integration | Listed, now: datetime) -> str:
    """Return what the last check says of today, as long as nothing of today is rolled up."""
    at, status = integration.last_health_check, integration.last_health_check_status
    fresh = at is not None and at >= rollups.day_of(now) and not integration.in_maintenance(at)
    return _TODAY[LogStatus(status)] if fresh and status else "none"


def _strip(observed_ms: int, down_ms: int, digits: int, today: str) -> MiniStrip:
    bars = [STATES[digits >> BITS * place & 3] for place in range(DAYS)]
    if bars[-1] == "none":
        bars[-1] = today
    return charts.mini(bars, Figures(observed=observed_ms / 1000, down=down_ms / 1000).uptime_pct)
