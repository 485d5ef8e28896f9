"""Housekeeping of the accounts room: rows that have no meaning any more go."""

from portal.accounts import idempotency, sessions, throttle
from portal.database import unit_of_work


def tidy() -> int:
    """Delete sessions that ended long ago, throttle buckets that are full again and old idempotency keys.

    It owns its transactions, and returns how many rows went; several processes may run it at once.
    """
    with unit_of_work():
        found = sessions.purge() + throttle.purge()
    return found + _tidy_keys()


def _tidy_keys() -> int:
    """Delete old idempotency keys in short transactions, since there may be very many."""
    total = 0
    while True:
        with unit_of_work():
            found = idempotency.purge()
        total += found
        if found < idempotency.MOST_AT_ONCE:
            return total
