"""Stretches of maintenance as pure arithmetic: when a window is, when it comes again, what overlaps becomes one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

Stretch = tuple[datetime, datetime]
"""From a moment, up to another that does not belong to it."""
WEEK: Final = timedelta(days=7)


class Repeats(StrEnum):
    """How often a window comes."""

    ONCE = "once"
    WEEKLY = "weekly"
    """On the same day of the week at the same time of day, whatever daylight saving does to the clock."""


@dataclass(frozen=True)
class Plan:
    """When maintenance is.

    Attributes:
        starts_at: of its first time.
        ends_at: of its first time.
        repeats: how often it comes.
        zone: name of the time zone in which its time of day counts.
        stopped_at: when somebody ended or removed it; nothing of it is after that.
    """

    starts_at: datetime
    ends_at: datetime
    repeats: Repeats
    zone: str = "UTC"
    stopped_at: datetime | None = None

    def between(self, start: datetime, end: datetime) -> Iterator[Stretch]:
        """Return its times that touch a stretch, oldest first, cut where it was stopped but not at the stretch."""
        stop = self.stopped_at or datetime.max.replace(tzinfo=UTC)
        for begin, until in self._times(start):
            if begin >= min(end, stop):
                return
            if min(until, stop) > max(begin, start):
                yield begin, min(until, stop)

    def _times(self, start: datetime) -> Iterator[Stretch]:
        """Return its times, beginning with one that is over before a moment, or its first."""
        if self.repeats is Repeats.ONCE:
            yield self.starts_at, self.ends_at
            return
        number = max(0, (start - self.ends_at) // WEEK - 1)
        while True:
            yield self._time(number)
            number += 1

    def _time(self, weeks: int) -> Stretch:
        """Return its time so many weeks later.

        One that would begin in the hour that daylight saving leaves out begins after it, and lasts as long as ever.
        """
        begin, until = self._later(self.starts_at, weeks), self._later(self.ends_at, weeks)
        left_out = self._wall(begin) != self._wall(self.starts_at)
        return begin, begin + (self.ends_at - self.starts_at) if left_out else until

    def is_usual(self, stretch: Stretch) -> bool:
        """Return whether a time begins and ends when clocks on a wall show the same as at the first one."""
        begin, until = stretch
        first = (self._wall(self.starts_at), self._wall(self.ends_at))
        return (self._wall(begin), self._wall(until)) == first

    def _wall(self, moment: datetime) -> time:
        return moment.astimezone(ZoneInfo(self.zone)).time()

    def _later(self, moment: datetime, weeks: int) -> datetime:
        """Return the moment when clocks on a wall show the same so many weeks later."""
        if not weeks:
            return moment
        on_the_wall = moment.astimezone(ZoneInfo(self.zone))
        return (on_the_wall + weeks * WEEK).astimezone(moment.tzinfo)


def merged(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return stretches oldest first, with those that overlap or touch made one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)
