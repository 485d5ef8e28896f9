"""A retry policy as people see it: each attempt with its waits, in words, and where it stands on a time line."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal.webhooks.retry import JITTER, RetryPolicy

LEFT: Final = 2.0
WIDTH: Final = 95.3
"""Where the time line begins and how long it is, in percent of the chart."""
APART: Final = 18.0
"""Percent that two words below the line keep from one another, so that they do on a telephone."""
BEFORE_END: Final = 26.0
"""Percent that they keep from the end, whose words reach to the left."""
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of the schedule, its times in words.

    Attributes:
        number: 1 for the first try.
        wait: before it, without jitter.
        longest_wait: before it, with all of the jitter; as `wait` where there is none.
        since: from the event, without jitter.
        latest: from the event, with all of the jitter.
        at: the moment of it, were the event sent now and every attempt refused at once.
        x: where it stands on the time line, in percent.
        spread: how far it may be off to the right, in percent.
        labelled: whether there is room for its time below the line.
    """

    number: int
    wait: str
    longest_wait: str
    since: str
    latest: str
    at: datetime
    x: float
    spread: float
    labelled: bool


def attempts(policy: RetryPolicy, *, now: datetime) -> list[Attempt]:
    """Return every attempt that a policy makes, the first try included."""
    share = 1 + JITTER if policy.jitter else 1.0
    waits = [0, *policy.schedule()]
    times = [sum(waits[: number + 1]) for number in range(len(waits))]
    places = [_place(each, policy, times[-1] * share) for each in times]
    labelled = _with_room(places)
    return [
        Attempt(
            number=number + 1,
            wait=length(wait),
            longest_wait=length(wait * share),
            since=length(time),
            latest=length(time * share),
            at=now + timedelta(seconds=time),
            x=places[number],
            spread=round(_place(time * share, policy, times[-1] * share) - places[number], 1),
            labelled=labelled[number],
        )
        for number, (wait, time) in enumerate(zip(waits, times, strict=True))
    ]


def length(seconds: float) -> str:
    """Write a length of time exactly, to the second, as in "2 h 3 min 30 s"."""
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def spelled(seconds: float) -> str:
    """Write a length of time for a sentence: "35 seconds", "17 hours"; what is left of its largest unit is dropped."""
    whole = round(seconds)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}s"
    return "1 second" if whole == 1 else f"{whole} seconds"


def _place(seconds: float, policy: RetryPolicy, end: float) -> float:
    """Return where a time stands: the scale is logarithmic, so that the first waits can be told apart."""
    unit = policy.first_delay / 2
    return round(LEFT + WIDTH * math.log1p(seconds / unit) / math.log1p(end / unit), 1)


def _with_room(places: list[float]) -> list[bool]:
    """Choose whose words are shown: the first and the last always, between them those that keep apart."""
    shown = [False] * len(places)
    shown[0] = shown[-1] = True
    before = places[0]
    for number in range(1, len(places) - 1):
        if places[number] - before >= APART and places[-1] - places[number] >= BEFORE_END:
            shown[number], before = True, places[number]
    return shown
