"""Who may have how many of the dispatcher's places: quick endpoints nearly all, slow ones few. Pure."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SLOW: Final = 1.0
"""Seconds after which an endpoint counts as slow."""
_WEIGHT: Final = 0.2
"""How much the newest exchange counts in the average of an endpoint."""


@dataclass(slots=True)
class _Pace:
    """How an endpoint does.

    Attributes:
        flying: requests under way.
        average: seconds that its exchanges took of late, None before the first.
        since: monotonic seconds at which the last one ended, or the first of those under way began.
    """

    flying: int = 0
    average: float | None = None
    since: float = 0.0


class Shares:
    """The places of a dispatcher, and who has them.

    An endpoint that answers quickly gives its places back at once, so it may have all but an eighth. A slow one has an
    eighth, so that seven of them still leave room. One that nobody knows yet has a quarter.
    """

    def __init__(self, most: int) -> None:
        """Begin with so many free places."""
        self._most = most
        self._paces: dict[uuid.UUID, _Pace] = {}

    def began(self, webhook_id: uuid.UUID, now: float) -> None:
        """Note that a request is under way, at monotonic seconds."""
        pace = self._paces.get(webhook_id)
        if pace is None:
            pace = self._paces[webhook_id] = _Pace()
        if not pace.flying:
            pace.since = now
        pace.flying += 1

    def ended(self, webhook_id: uuid.UUID, seconds: float, now: float) -> None:
        """Note that a request is over that took so many seconds."""
        pace = self._paces[webhook_id]
        pace.flying -= 1
        pace.since = now
        pace.average = seconds if pace.average is None else pace.average + _WEIGHT * (seconds - pace.average)

    def full(self, now: float) -> list[uuid.UUID]:
        """Return the webhooks that have all that they may have."""
        return [each for each, pace in self._paces.items() if pace.flying and pace.flying >= self._limit(pace, now)]

    def share_out(
        self, waiting: Sequence[uuid.UUID], *, free: int, now: float, allowance: Callable[[uuid.UUID], int]
    ) -> dict[uuid.UUID, int]:
        """Return how many more each of those that wait may have; the free ones are spread evenly.

        Args:
            waiting: webhooks with due deliveries.
            free: places.
            now: monotonic seconds.
            allowance: how many more a webhook's own limit lets through.
        """
        places: dict[uuid.UUID, int] = {}
        for number, webhook_id in enumerate(waiting):
            pace = self._paces.get(webhook_id, _Pace())
            even = -(-free // (len(waiting) - number))
            most = min(even, self._limit(pace, now) - pace.flying, allowance(webhook_id))
            if most > 0:
                places[webhook_id] = most
                free -= most
        return places

    def _limit(self, pace: _Pace, now: float) -> int:
        slow = (pace.average or 0) > SLOW or (pace.flying and now - pace.since > SLOW)
        if slow:
            return max(1, self._most // 8)
        return max(1, self._most // 4) if pace.average is None else self._most - self._most // 8
