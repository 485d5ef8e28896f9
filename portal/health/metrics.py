"""What the checks of an integration say over a window of time: uptime, failures, response times."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal import clock
from portal.health import rollups
from portal.health.figures import Check, Figures
from portal.health.models import Span
from portal.integrations.models import Integration

WINDOWS: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
_SPANS: Final = {"24h": Span.HOUR, "7d": Span.HOUR, "30d": Span.DAY, "90d": Span.DAY}
BARS: Final = 90
"""Days of the strip; a list shows the last third."""
DOWN_LONG: Final = 3600
"""Seconds of down time that make a day's bar red."""
Part = tuple[datetime, Figures]


@dataclass(frozen=True)
class Metrics:
    """Figures over a window; None where there is nothing to say.

    Attributes:
        uptime_pct: observed time without outage in percent, cut (never rounded up to 100) to three places.
        error_rate: share of failed checks, 0 to 1.
        p50_ms, p95_ms, p99_ms: response times of the checks that passed, in milliseconds, off by less than 7 %.
        checks: how many there were.
        failures: how many of them failed.
        down_seconds: time in outage.
        observed_seconds: time for which it is known how things were.
        maintenance_seconds: time that was left out, since it was maintenance.
    """

    uptime_pct: float | None
    error_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    checks: int
    failures: int = 0
    down_seconds: int = 0
    observed_seconds: int = 0
    maintenance_seconds: int = 0


def of(*, integration: Integration, window: str) -> Metrics:
    """Return the figures of an integration.

    Args:
        integration: whose.
        window: a key of WINDOWS.
    """
    return total(parts(integration=integration, window=window))


def parts(*, integration: Integration, window: str) -> list[Part]:
    """Return the hours or days of a window that have figures, oldest first: what a chart shows.

    A window begins with the hour, or the day of 30 and more, in which its first moment falls.
    """
    now, span = clock.now(), _SPANS[window]
    found = _parts([integration.id], integration.organization_id, span, _start(window, now), now)
    return found.get(integration.id, [])


def parts_of_all(*, integration: Integration) -> dict[str, list[Part]]:
    """Return the parts of every window, read once for hours and once for days."""
    now, found = clock.now(), {}
    for longest in ("7d", "90d"):
        every = parts(integration=integration, window=longest)
        for window in (each for each, span in _SPANS.items() if span is _SPANS[longest]):
            start = _start(window, now)
            found[window] = [each for each in every if each[0] >= start]
    return {window: found[window] for window in WINDOWS}


def total(parts: Sequence[Part]) -> Metrics:
    """Return the figures of hours or days together."""
    whole = Figures()
    for _, figures in parts:
        whole.add(figures)
    return _metrics(whole)


def days(
    *, organization_id: uuid.UUID, integration_ids: Sequence[uuid.UUID], count: int = BARS
) -> dict[uuid.UUID, list[Figures | None]]:
    """Return the figures of the last days of several integrations, today's last; None for days without any.

    Response times are left out of those that are over.
    """
    now = clock.now()
    today = rollups.day_of(now)
    first = today - timedelta(days=count - 1)
    found = _parts(integration_ids, organization_id, Span.DAY, first, now, histograms=False)
    of_days = {each: dict(found.get(each, [])) for each in integration_ids}
    return {
        each: [of_days[each].get(first + timedelta(days=number)) for number in range(count)] for each in integration_ids
    }


def bar(figures: Figures | None) -> str:
    """Return the state of a day's bar: ok, warn, err or none."""
    return "none" if figures is None or not figures.observed else state_of(figures.failures, figures.down)


def state_of(failures: int, down: float) -> str:
    """Return the state of the bar of a day that was observed.

    Args:
        failures: failed checks.
        down: seconds in outage.
    """
    if down > DOWN_LONG:
        return "err"
    return "warn" if failures or down else "ok"


def _start(window: str, now: datetime) -> datetime:
    begin = rollups.hour_of if is_hourly(window) else rollups.day_of
    return begin(now - WINDOWS[window])


def _metrics(whole: Figures) -> Metrics:
    return Metrics(
        uptime_pct=whole.uptime_pct,
        error_rate=round(whole.failures / whole.checks, 6) if whole.checks else None,
        p50_ms=whole.percentile(0.50),
        p95_ms=whole.percentile(0.95),
        p99_ms=whole.percentile(0.99),
        checks=whole.checks,
        failures=whole.failures,
        down_seconds=round(whole.down),
        observed_seconds=round(whole.observed),
        maintenance_seconds=round(whole.maintenance),
    )


def _parts(
    ids: Sequence[uuid.UUID], organization_id: uuid.UUID, span: Span, start: datetime, now: datetime, *,
    histograms: bool = True,
) -> dict[uuid.UUID, list[Part]]:  # fmt: skip
    """Return what is rolled up, and what came since, of each integration by its hour or day."""
    found: dict[uuid.UUID, dict[datetime, Figures]] = {}
    for integration_id, begin, figures in rollups.read(ids, span, start, now, histograms=histograms):
        found.setdefault(integration_id, {})[begin] = figures
    for integration_id, hour, figures in _since(ids, organization_id, start, now):
        begin = hour if span is Span.HOUR else rollups.day_of(hour)
        found.setdefault(integration_id, {}).setdefault(begin, Figures()).add(figures)
    return {each: sorted(of_times.items()) for each, of_times in found.items()}


def _since(
    ids: Sequence[uuid.UUID], organization_id: uuid.UUID, start: datetime, now: datetime
) -> Iterator[tuple[uuid.UUID, datetime, Figures]]:
    """Return the hours that are not rolled up yet, from the logs."""
    begin = max(start, rollups.folded_until(organization_id) or start)
    checks: dict[uuid.UUID, list[Check]] = {}
    for integration_id, check in rollups.checks_between(ids, begin, now):
        checks.setdefault(integration_id, []).append(check)
    windows = rollups.windows_between(list(checks), begin, now) if checks else {}
    for integration_id, mine in checks.items():
        for hour, figures in rollups.hours(mine, begin, now, windows.get(integration_id, ())):
            yield integration_id, hour, figures


def is_hourly(window: str) -> bool:
    """Return whether the stretches of a window are hours, otherwise days."""
    return _SPANS[window] is Span.HOUR
