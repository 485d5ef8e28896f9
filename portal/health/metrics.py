"""What the checks of an integration say over a window of time: uptime, failures, response times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

from portal import clock
from portal.health import rollups
from portal.health.figures import Figures
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
    now = clock.now()
    start = _start(window, now)
    return _parts(integration, _SPANS[window], start, now, _since(integration, start, now))


def parts_of_all(*, integration: Integration) -> dict[str, list[Part]]:
    """Return the parts of every window, read once for hours and once for days."""
    now, found = clock.now(), {}
    since = _since(integration, _start("90d", now), now)
    for longest in ("7d", "90d"):
        every = _parts(integration, _SPANS[longest], _start(longest, now), now, since)
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


def days(parts: Sequence[Part], *, count: int = BARS) -> list[Figures | None]:
    """Return the figures of the last days, today's last; None for days without any.

    Args:
        parts: days, as parts() returns them.
        count: how many.
    """
    first, found = rollups.day_of(clock.now()) - timedelta(days=count - 1), dict(parts)
    return [found.get(first + timedelta(days=number)) for number in range(count)]


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


def _parts(integration: Integration, span: Span, start: datetime, now: datetime, since: Sequence[Part]) -> list[Part]:
    """Return what is rolled up, and what came since, by its hour or day."""
    found = {begin: figures for _, begin, figures in rollups.read([integration.id], span, start, now)}
    for hour, figures in since:
        begin = hour if span is Span.HOUR else rollups.day_of(hour)
        if begin >= start:
            found.setdefault(begin, Figures()).add(figures)
    return sorted(found.items(), key=itemgetter(0))


def _since(integration: Integration, start: datetime, now: datetime) -> list[Part]:
    """Return the hours from a start that are not rolled up yet, from the logs."""
    begin = max(start, rollups.folded_until(integration.organization_id) or start)
    checks = [check for _, check in rollups.checks_between([integration.id], begin, now)]
    windows = rollups.windows_between([integration.id], begin, now) if checks else {}
    return list(rollups.hours(checks, begin, now, windows.get(integration.id, ())))


def is_hourly(window: str) -> bool:
    """Return whether the stretches of a window are hours, otherwise days."""
    return _SPANS[window] is Span.HOUR
