"""What every contestant offers to a measure, whatever it is made of."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

THREADS = 12
"""Threads that hand events over at the same time."""


class System(Protocol):
    """A system that runs."""

    def accept(self, count: int, *, batch: int = 1) -> float:
        """Hand events over, so many at a time, and return when that began, in seconds of the monotonic clock."""

    def recorded(self) -> int:
        """Return of how many deliveries the result is stored."""

    def release(self) -> None:
        """Let what was filled in be sent."""

    def cpu(self) -> Mapping[str, float]:
        """Return the CPU seconds used so far: `own` processes, `database`, `broker`."""


class Contestant(Protocol):
    """A system that can be started with nothing in it, any number of times."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def running(self) -> AbstractContextManager[System]:
        """Run it, ready to accept and to send."""

    def filled(self, count: int) -> AbstractContextManager[System]:
        """Run it with a full queue, of which nothing is sent before `release`."""
