"""When the next check comes: at a moment of its own within the interval, the same after every restart."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

JITTER: Final = 0.02
"""Share of the interval by which each check comes earlier or later: other clocks tick at whole minutes too."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def phase(integration_id: uuid.UUID, interval: timedelta) -> timedelta:
    """Return where in the interval an integration has its moment: by its id, so evenly over all of them."""
    share = int.from_bytes(blake2b(integration_id.bytes, digest_size=8).digest()) / 2**64
    return interval * share


def next_slot(integration_id: uuid.UUID, interval: timedelta, now: datetime, *, least: float = 0.0) -> datetime:
    """Return the next moment of an integration, a little shifted.

    It is counted from now, whatever was due before: after a downtime one check makes up for all that were missed.

    Args:
        integration_id: whose.
        interval: between two checks.
        now: from when on.
        least: share of the interval that has to pass first.
    """
    earliest = now + interval * least
    own = _EPOCH + phase(integration_id, interval)
    slot = own + interval * (-((own - earliest) // interval))
    return slot + interval * random.uniform(-JITTER, JITTER)  # noqa: S311 - spreads load, protects nothing
