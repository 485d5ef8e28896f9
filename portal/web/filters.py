"""Jinja filters: how times, durations and numbers are written."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from flask import Flask, g, has_request_context

from portal import clock
from portal.web import access

WEEK = timedelta(days=7)


def zone() -> ZoneInfo:
    """Return the time zone of whoever looks, the same for a whole page; UTC for strangers."""
    if not has_request_context():
        return _zone()
    found: ZoneInfo | None = g.get("portal_zone")
    if found is None:
        found = g.portal_zone = _zone()
    return found


def _zone() -> ZoneInfo:
    who = access.signed_in()
    name = who.time_zone if who else "UTC"
    return ZoneInfo(name if name in _zones() else "UTC")


def _zones() -> set[str]:
    if not _known:
        _known.update(available_timezones())
    return _known


_known: set[str] = set()


def ago(moment: datetime | None) -> str:
    """Say how long ago a moment was; over seven days the date."""
    if moment is None:
        return "Never"
    gone = clock.now() - moment
    if gone < timedelta(seconds=-1):
        return "in " + _span(-gone)
    if gone < timedelta(seconds=5):
        return "just now"
    return f"{_span(gone)} ago" if gone < WEEK else day(moment)


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "min"), (1, "sec")):
        if seconds >= size:
            count = seconds // size
            plural = "s" if count != 1 and unit in ("day", "hour") else ""
            return f"{count} {unit}{plural}"
    return "a moment"


def span(length: timedelta) -> str:
    """Write a length of time in its largest unit, as in "4 min"."""
    return _span(length)


def day(moment: datetime) -> str:
    """Write the date in the viewer's time zone, as in "12 Mar 2025"."""
    local = moment.astimezone(zone())
    return f"{local.day} {local:%b %Y}"


def here(moment: datetime) -> datetime:
    """Return the moment in the viewer's time zone."""
    return moment.astimezone(zone())


def iso(moment: datetime) -> str:
    """Write the moment for machines (RFC 3339), in the viewer's time zone."""
    return iso_local(here(moment))


def iso_local(local: datetime) -> str:
    """Write for machines what is in the viewer's time zone already."""
    return local.isoformat(timespec="seconds")


def full_time(moment: datetime) -> str:
    """Write the moment in full, as in "Fri 21 Nov 2025, 10:28:12 AEDT"."""
    return full_local(here(moment))


def full_local(local: datetime) -> str:
    """Write in full what is in the viewer's time zone already."""
    return local.strftime(f"%a {local.day} %b %Y, %H:%M:%S %Z")


def minute_time(moment: datetime) -> str:
    """Write what was planned, where seconds say nothing, as in "Fri 21 Nov 2025, 10:28 AEDT"."""
    local = moment.astimezone(zone())
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"


def clock_time(moment: datetime) -> str:
    """Write the clock time for logs; another day than today carries its date."""
    there = zone()
    local = moment.astimezone(there)
    today = clock.now().astimezone(there).date()
    return local.strftime("%H:%M:%S" if local.date() == today else f"{local.day} %b %Y, %H:%M:%S")


def duration(milliseconds: float | None) -> str:
    """Write a duration: "84 ms" under a second, else "1.2 s"."""
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"


def down_time(seconds: int) -> str:
    """Write a length of time in two units at most, as in "2 h 23 min"."""
    minutes = seconds // 60
    if not minutes:
        return f"{seconds} s"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2])


def uptime(share: float) -> str:
    """Write a share of uptime with two decimals, cut: only what was never down is 100."""
    return f"{math.floor(share * 100 + 1e-6) / 100:.2f}%"


def stretch(moment: datetime, hourly: bool, short: bool = False) -> str:
    """Write which hour or day a figure is of; hours in the viewer's time zone, days as they were rolled up, in UTC.

    Args:
        moment: its start.
        hourly: whether it is an hour.
        short: leave the date out.
    """
    if not hourly:
        return f"{moment.astimezone(UTC).day} {moment.astimezone(UTC):%b}"
    local = moment.astimezone(zone())
    return f"{local:%H:%M}" if short else f"{local.day} {local:%b, %H:%M}"


def number(value: int) -> str:
    """Write a whole number with commas."""
    return f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Write a share without decimals; nothing of nothing is 0%."""
    return f"{round(100 * part / whole) if whole else 0}%"


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun, as in "1 check" and "2 checks"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def lower_first(text: str) -> str:
    """Write a sentence so that it can stand after a colon."""
    return text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """Write words so that they can start a sentence."""
    return text[:1].upper() + text[1:]


FILTERS = (
    ago, span, day, iso, full_time, minute_time, clock_time, duration, down_time, uptime, stretch, number, percent,
    plural, lower_first, upper_first,
)  # fmt: skip


def init_app(app: Flask) -> None:
    """Register every filter under its own name."""
    for each in FILTERS:
        app.jinja_env.filters[each.__name__] = each
