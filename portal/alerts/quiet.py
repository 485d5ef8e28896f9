"""Times of the day where an organization is: quiet hours, the moment of a digest. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def is_time(text: str) -> bool:
    """Return whether a text is a time of the day, as 08:00."""
    return _TIME.fullmatch(text) is not None


def after_quiet(moment: datetime, *, zone: str, start: str, end: str) -> datetime:
    """Return the first moment from this one on that lies outside the quiet hours.

    What counts is the clock on the wall: where it is set back, quiet hours that end within that hour end the second
    time; where it is set forward past their end, they end right then.

    Args:
        moment: any.
        zone: name of the time zone.
        start: time of the day; empty without quiet hours.
        end: time of the day, on the next day where it is earlier than the start.
    """
    if not start or not end or start == end:
        return moment
    local = moment.astimezone(ZoneInfo(zone))
    shown = f"{local:%H:%M}"
    inside = start <= shown < end if start < end else (shown >= start or shown < end)
    if not inside:
        return moment
    days = 1 if start > end and shown >= start else 0
    ends = [_at(local.date() + timedelta(days=days), end, zone, fold) for fold in (0, 1)]
    return next((each for each in ends if each > moment), moment)


def next_time(moment: datetime, *, zone: str, at: str) -> datetime:
    """Return the first moment after this one at which it is this time of the day; a day without it has the next one."""
    today = moment.astimezone(ZoneInfo(zone)).date()
    found = (_at(today + timedelta(days=days), at, zone, 0) for days in range(-1, 3))
    return next(each for each in found if each > moment)


def _at(day: date, text: str, zone: str, fold: int) -> datetime:
    """Return when it is this time on this day; a time that is left out when the clock is set forward lies after it."""
    return datetime.combine(day, time.fromisoformat(text), ZoneInfo(zone)).replace(fold=fold).astimezone(UTC)
