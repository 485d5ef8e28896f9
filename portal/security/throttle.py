"""The arithmetic of throttling: token buckets. Where their state is kept is the caller's business."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import NamedTuple

from portal.security.addresses import unmapped


class BucketState(NamedTuple):
    """How many tokens a bucket held at a moment."""

    tokens: float
    at: datetime


class Taken(NamedTuple):
    """What came of an attempt: the state to store, whether it may go on, and if not, the seconds to wait."""

    state: BucketState
    allowed: bool
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """A limit of ``capacity`` attempts at once, which come back evenly within ``refill_seconds``.

    “10 per 5 minutes” is Bucket(10, 300). A state older than refill_seconds is a full bucket and need not be kept.
    """

    capacity: int
    refill_seconds: float

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.refill_seconds <= 0:
            raise ValueError("a bucket needs a capacity and a time to refill")

    def take(self, state: BucketState | None, now: datetime, cost: int = 1) -> Taken:
        """Takes tokens if there are enough; a refused attempt takes none, so that waiting always helps.

        None as state is a fresh, full bucket. A clock that went back refills nothing and takes nothing away. Raises
        ValueError for a cost that the bucket can never hold.
        """
        if not 0 < cost <= self.capacity:
            raise ValueError("the cost is between 1 and the bucket's capacity")
        tokens = self._refilled(state, now)
        if tokens >= cost:
            return Taken(BucketState(tokens - cost, now), True, 0)
        wait = (cost - tokens) * self.refill_seconds / self.capacity
        return Taken(BucketState(tokens, now), False, math.ceil(wait))

    def _refilled(self, state: BucketState | None, now: datetime) -> float:
        if state is None:
            return float(self.capacity)
        passed = max(now - state.at, timedelta()).total_seconds()
        return min(float(self.capacity), state.tokens + passed * self.capacity / self.refill_seconds)


def address_key(ip: str) -> str:
    """What a client is counted by: its IPv4 address, or the /64 of its IPv6 address, which one person can use whole.

    A text that is no address gives "unknown", so that all of these share one bucket.
    """
    try:
        address = unmapped(ip)
    except ValueError:
        return "unknown"
    return str(address) if address.version == 4 else str(ip_network((int(address), 64), strict=False))
