"""Figures as pictures: the strip of days and the chart of response times, each with the sentence that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal.health import metrics, rollups
from portal.health.figures import Figures
from portal.health.metrics import Part
from portal.web.filters import duration, plural, uptime

TOP, BOTTOM = 16, 176
"""Between these heights, in pixels, the lines are drawn."""
LINES: Final = 4
"""Spaces between the lines of the grid."""
_STEPS: Final = (1, 2, 4, 5, 10)
WORDS: Final = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}


@dataclass(frozen=True)
class Strip:
    """The bars of some days, and the sentence that says the same."""

    bars: list[str]
    label: str


@dataclass(frozen=True)
class MiniStrip:
    """The bars of a list's row, the uptime beside them, and the sentence that says the same."""

    bars: list[str]
    uptime: str
    words: str


@dataclass(frozen=True)
class Chart:
    """The chart of a window.

    Attributes:
        lines: p50 and p95, each as points of an SVG polyline for every stretch without a gap.
        width: of the drawing, in stretches.
        limit_ms: milliseconds at its upper edge.
        ticks: moments below it with their places in percent.
        label: the sentence that says the same.
        rows: what the table shows, newest first: start, figures.
        hourly: whether a stretch is an hour, otherwise a day.
    """

    lines: dict[str, list[str]]
    width: int
    limit_ms: int
    ticks: list[tuple[int, datetime]]
    label: str
    rows: list[Part]
    hourly: bool


def strip(days: Sequence[Figures | None]) -> Strip:
    """Return the strip of days, the last one today's."""
    bars = [metrics.bar(each) for each in days]
    parts = [
        (bars.count("ok"), "without failure"),
        (bars.count("warn"), "with some failures"),
        (bars.count("err"), "down over 1 hour"),
        (bars.count("none"), "without data"),
    ]
    said = ", ".join(f"{plural(count, 'day')} {words}" for count, words in parts if count)
    return Strip(bars, f"Last {len(bars)} days: {said}")


def mini(bars: list[str], uptime_pct: float | None) -> MiniStrip:
    """Return the strip of a list's row.

    Args:
        bars: of its days, today's last.
        uptime_pct: over all of them; None where nothing is known.
    """
    if uptime_pct is None:
        return MiniStrip(bars, "", f"no uptime known in {len(bars)} days")
    return MiniStrip(bars, uptime(uptime_pct), f"{uptime(uptime_pct)} up over {len(bars)} days")


def chart(parts: Sequence[Part], *, window: str, now: datetime) -> Chart | None:
    """Return the chart of a window; None where no check passed in it.

    Args:
        parts: hours or days, as metrics.parts() returns them.
        window: a key of metrics.WINDOWS.
        now: the end of the window.
    """
    hourly = metrics.is_hourly(window)
    step = timedelta(hours=1) if hourly else timedelta(days=1)
    start = (rollups.hour_of if hourly else rollups.day_of)(now - metrics.WINDOWS[window])
    width = round(((rollups.hour_of if hourly else rollups.day_of)(now) - start) / step)
    timed = [(round((at - start) / step), each) for at, each in parts if each.percentile(0.5) is not None]
    if not timed:
        return None
    highest = max(each.percentile(0.95) or 0 for _, each in timed)
    limit = _round_up(highest)
    return Chart(
        lines={name: _polylines(timed, share, limit) for name, share in (("p50", 0.5), ("p95", 0.95))},
        width=max(width, 1),
        limit_ms=limit,
        ticks=[(percent, start + (now - start) * percent / 100) for percent in (0, 25, 50, 75)],
        label=_label(timed, window),
        rows=sorted(parts, key=lambda each: each[0], reverse=True),
        hourly=hourly,
    )


def _polylines(timed: Sequence[tuple[int, Figures]], share: float, limit: int) -> list[str]:
    """Return the points of a line, 0 to 100 high from above; a new line begins after a gap."""
    lines: list[list[tuple[int, float]]] = []
    for at, figures in timed:
        point = (at, round(100 - (figures.percentile(share) or 0) / limit * 100, 1))
        if lines and lines[-1][-1][0] == at - 1:
            lines[-1].append(point)
        else:
            lines.append([point])
    return [" ".join(f"{x},{y:g}" for x, y in _drawable(line)) for line in lines]


def _drawable(line: list[tuple[int, float]]) -> list[tuple[float, float]]:
    """Return a line that can be seen: a single point becomes a short stroke."""
    return (
        [(x, y) for x, y in line] if len(line) > 1 else [(line[0][0] - 0.3, line[0][1]), (line[0][0] + 0.3, line[0][1])]
    )


def _round_up(milliseconds: int) -> int:
    """Return the next number that can be divided into the lines of the grid and read at a glance."""
    size = LINES
    while True:
        for step in _STEPS:
            if step * size >= milliseconds:
                return step * size
        size *= 10


def _label(timed: Sequence[tuple[int, Figures]], window: str) -> str:
    whole = Figures()
    for _, each in timed:
        whole.add(each)
    peak = max((each.percentile(0.95) or 0) for _, each in timed)
    median, high = duration(whole.percentile(0.5)), duration(whole.percentile(0.95))
    return (
        f"Response time over {WORDS[window]}: median {median}, 95th percentile {high}, at its highest {duration(peak)}"
    )
