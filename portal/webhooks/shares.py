"""Who may have how many of the dispatcher's places: quick endpoints nearly all, slow ones few. Pure."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SLOW: Final = 1.0
"""Seconds after which an endpoint counts as slow."""
QUICK: Final = 0.25
"""Seconds up to which an endpoint has as many claimed ahead as may be under way, so that no place waits for a claim."""
_WEIGHT: Final = 0.2
"""How much the newest exchange counts in the average of an endpoint."""


@dataclass(slots=True)
class _Pace:
    """How an endpoint does.

    Attributes:
        claimed: deliveries that have no result yet, under way or not.
        flying: requests under way.
        average: seconds that its exchanges took of late, None before the first.
        since: monotonic seconds at which the last one ended, or the first of those under way began.
    """

    claimed: int = 0
    flying: int = 0
    average: float | None = None
    since: float = 0.0


class Shares:
    """The places of a dispatcher, and who has them.

    An endpoint that answers quickly gives its places back at once, so it may have all but an eighth. A slow one has an
    eighth, so that seven of them still leave room. One that nobody knows yet has a quarter. Of the quick, as many again
    are claimed ahead: they wait in here for a place, and hold back no other.
    """

    def __init__(self, most: int) -> None:
        """Begin with so many free places."""
        self._most = most
        self._paces: dict[uuid.UUID, _Pace] = {}

    def claimed(self, webhook_id: uuid.UUID, now: float) -> None:
        """Note that a delivery was claimed, at monotonic seconds."""
        pace = self._paces.get(webhook_id)
        if pace is None:
            pace = self._paces[webhook_id] = _Pace()
        if not pace.claimed:
            pace.since = now
        pace.claimed += 1

    def began(self, webhook_id: uuid.UUID) -> None:
        """Note that a claimed one is under way."""
        self._paces[webhook_id].flying += 1

    def ended(self, webhook_id: uuid.UUID, seconds: float | None, now: float, *, begun: bool) -> None:
        """Note that a claimed one is over, whether or not it was ever under way; None where that says nothing of it."""
        pace = self._paces[webhook_id]
        pace.claimed -= 1
        pace.flying -= begun
        pace.since = now
        if seconds is not None:
            pace.average = seconds if pace.average is None else pace.average + _WEIGHT * (seconds - pace.average)

    def has_place(self, webhook_id: uuid.UUID, now: float) -> bool:
        """Return whether a claimed one may begin."""
        pace = self._paces[webhook_id]
        return pace.flying < self._limit(pace, now)

    def unbegun(self, webhook_id: uuid.UUID) -> int:
        """Return how many are claimed and not under way yet."""
        pace = self._paces.get(webhook_id)
        return pace.claimed - pace.flying if pace else 0

    def full(self, now: float) -> list[uuid.UUID]:
        """Return the webhooks that have all that they may have."""
        return [each for each, pace in self._paces.items() if pace.claimed and self._more(pace, now) <= 0]

    def share_out(
        self, waiting: Sequence[uuid.UUID], *, free: int, now: float, allowance: Callable[[uuid.UUID], int]
    ) -> dict[uuid.UUID, int]:
        """Return how many more each of those that wait may have; the free ones are spread evenly.

        Args:
            waiting: webhooks with due deliveries.
            free: places, those ahead included.
            now: monotonic seconds.
            allowance: how many more a webhook's own limit lets through.
        """
        places: dict[uuid.UUID, int] = {}
        for number, webhook_id in enumerate(waiting):
            pace = self._paces.get(webhook_id, _Pace())
            even = -(-free // (len(waiting) - number))
            most = min(even, self._more(pace, now), allowance(webhook_id))
            if most > 0:
                places[webhook_id] = most
                free -= most
        return places

    def _more(self, pace: _Pace, now: float) -> int:
        """Return how many more may be claimed: of a quick one as many ahead as may be under way."""
        limit = self._limit(pace, now)
        ahead = pace.average is not None and pace.average <= QUICK and not _is_slow(pace, now)
        return (2 * limit if ahead else limit) - pace.claimed

    def _limit(self, pace: _Pace, now: float) -> int:
        if _is_slow(pace, now):
            return max(1, self._most // 8)
        return max(1, self._most // 4) if pace.average is None else self._most - self._most // 8


def _is_slow(pace: _Pace, now: float) -> bool:
    return (pace.average or 0) > SLOW or (pace.claimed > 0 and now - pace.since > SLOW)
