"""The retry policy: after which waits a failed delivery is tried again, and when it is given up."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

JITTER: Final = 0.2
"""At most this share of a wait is added to it; nothing is ever taken off."""
LONGEST_RETRY_AFTER: Final = 24 * 3600
"""Seconds that a receiver can put the next attempt off."""
MOST_RETRIES: Final = 10
LONGEST_FIRST_DELAY: Final = 3600
LONGEST_DELAY: Final = 24 * 3600


class Strategy(StrEnum):
    """How the waits grow."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a delivery is tried again.

    Attributes:
        max_retries: attempts after the first one, 1 to 10.
        strategy: how the waits grow.
        first_delay: seconds before the first retry; with `fixed` before each.
        max_delay: seconds that no wait exceeds, before jitter.
        jitter: whether up to a fifth is added to each wait, so that many deliveries do not come back together.
        dead_letters: whether a delivery that ran out of retries is kept to be looked at; otherwise it is only failed.
    """

    max_retries: int = 3
    strategy: Strategy = Strategy.EXPONENTIAL
    first_delay: int = 5
    max_delay: int = 60
    jitter: bool = True
    dead_letters: bool = True

    def wait(self, retry: int) -> int:
        """Return the seconds before a retry, 1 for the first, without jitter."""
        growth = {
            Strategy.EXPONENTIAL: 1 << min(retry - 1, 30),
            Strategy.LINEAR: retry,
            Strategy.FIXED: 1,
        }[self.strategy]
        return min(self.first_delay * growth, max(self.max_delay, self.first_delay))

    def schedule(self) -> list[int]:
        """Return the waits of all retries in seconds, without jitter."""
        return [self.wait(retry) for retry in range(1, self.max_retries + 1)]

    @property
    def gives_up_after(self) -> int:
        """Seconds from the first attempt to the last, without jitter and the time that attempts take."""
        return sum(self.schedule())

    def next_attempt(
        self, *, attempts: int, now: datetime, retry_after: int | None = None, chance: float | None = None
    ) -> datetime | None:
        """Return when a failed delivery is tried again, None where it is given up.

        Args:
            attempts: so many were made, the failed one included.
            now: the moment at which it failed.
            retry_after: seconds that the receiver asked for; they only ever put the attempt off.
            chance: where in the range of the jitter it falls, 0 to 1; random where it is not given.
        """
        if attempts > self.max_retries:
            return None
        wait = float(self.wait(attempts))
        if self.jitter:
            wait *= 1 + JITTER * (random.random() if chance is None else chance)  # noqa: S311 - spreads load, no secret
        return now + timedelta(seconds=max(wait, min(retry_after or 0, LONGEST_RETRY_AFTER)))

    def as_dict(self) -> dict[str, object]:
        """Return the policy as the JSON API shows it."""
        return {
            "max_retries": self.max_retries,
            "retry_strategy": str(self.strategy),
            "fixed_delay_seconds": self.first_delay,
            "max_delay_seconds": self.max_delay,
            "enable_jitter": self.jitter,
            "enable_dlq": self.dead_letters,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return the policy that as_dict() wrote."""
        return cls(
            max_retries=stored["max_retries"],
            strategy=Strategy(stored["retry_strategy"]),
            first_delay=stored["fixed_delay_seconds"],
            max_delay=stored["max_delay_seconds"],
            jitter=stored["enable_jitter"],
            dead_letters=stored["enable_dlq"],
        )


DEFAULT: Final = RetryPolicy()
RECOMMENDED: Final = RetryPolicy(max_retries=10, first_delay=60, max_delay=LONGEST_DELAY)
"""What the page offers to whoever finds the default short: ten retries over about 17 hours."""
