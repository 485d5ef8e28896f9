"""Housekeeping of the accounts room: rows that have no meaning any more go."""

from portal.accounts import sessions, throttle
from portal.database import unit_of_work


def tidy() -> int:
    """Delete sessions that ended long ago and throttle buckets that are full again; returns how many.

    It owns its transaction; several processes may run it at once.
    """
    with unit_of_work():
        return sessions.purge() + throttle.purge()
