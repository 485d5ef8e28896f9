"""Who may be checked next: bounded places, shares for each server, and what waits claimed until a place is free."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from portal.health.checks import Ready
from portal.providers import catalogue
from portal.providers.base import CHECKS_AT_ONCE

AHEAD_SECONDS: Final = 0.4
"""So much work may wait claimed for each server, by how long its last checks took: fast ones come in large batches."""
AHEAD_MOST: Final = 250
"""Claims that may wait, of all servers together."""
MOST_KNOWN: Final = 1_000
"""Servers whose speed is remembered."""
WEIGHT: Final = 0.2
"""Of the newest check in how long checks of a server take."""


@dataclass
class _Group:
    """One server: how many checks it gets at once, what runs and what waits."""

    limit: int
    running: int = 0
    reserved: int = 0
    seconds: float | None = None
    """How long its checks take; None as long as nobody knows."""
    waiting: deque[Ready] = field(default_factory=deque)

    @property
    def called_for(self) -> int:
        """How many places it takes, or will as soon as they are free."""
        return min(self.limit, self.running + self.reserved + len(self.waiting))

    def room(self) -> int:
        """Return how many more may be claimed: as many as run at once, and what they get done shortly."""
        most = self.limit
        if self.seconds is not None:
            most += min(AHEAD_MOST, int(self.limit * AHEAD_SECONDS / max(self.seconds, 0.0001)))
        return most - self.running - self.reserved - len(self.waiting)


def limit_of(group: str) -> int:
    """Return how many checks a server gets at once from a process."""
    try:
        return catalogue.get(group.partition(":")[0]).checks_at_once
    except catalogue.UnknownProvider:
        return CHECKS_AT_ONCE


class Places:
    """The places of one process; any thread may ask."""

    def __init__(self, most: int, limit: Callable[[str], int] = limit_of) -> None:
        """Prepare them.

        Args:
            most: checks at the same time.
            limit: of them for a server, by its name.
        """
        self._most = most
        self._limit = limit
        self._lock = threading.RLock()
        self._rests = threading.Condition(self._lock)
        self._groups: dict[str, _Group] = {}
        self._turns: deque[str] = deque()
        """Servers of which something waits, the next one first."""
        self._running = self._waiting = 0
        self._reserved: Counter[str] = Counter()
        self._called_for = 0
        """Places that servers take or will take, each at most its limit."""

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return bool(self._running or self._waiting)

    def room(self) -> int:
        """Return how many claims there is room for, of whichever servers."""
        with self._lock:
            return self._most + AHEAD_MOST - self._taken() if self._most else 0

    def full(self) -> list[str]:
        """Return the servers that may get none now."""
        with self._lock:
            return [name for name in self._groups if self._room_of(name) <= 0]

    def reserve(self, group: str) -> bool:
        """Keep room for a claim of a server; returns whether there is some."""
        with self._lock:
            if self._room_of(group) <= 0:
                return False
            with self._changing(self._groups[group]) as known:
                known.reserved += 1
            self._reserved[group] += 1
            return True

    def settle(self, ready: Sequence[Ready]) -> int:
        """Let claims wait for their places, and forget what was reserved: it was for them, or came to nothing.

        Returns:
            How many of those that wait can start now.
        """
        with self._lock:
            for name in self._reserved:
                with self._changing(self._groups[name]) as group:
                    group.reserved = 0
            self._reserved.clear()
            for each in ready:
                self._add(each)
            if len(self._groups) > MOST_KNOWN:
                self._groups = {name: each for name, each in self._groups.items() if each.running or each.waiting}
            startable = sum(min(len(each.waiting), each.limit - each.running) for each in self._in_turn())
            return min(self._most - self._running, startable)

    def take(self) -> Ready | None:
        """Return the next claim that may start, and give it a place; servers take turns."""
        with self._lock:
            if self._running >= self._most:
                return None
            for _ in range(len(self._turns)):
                name = self._turns.popleft()
                group = self._groups[name]
                ready = group.waiting.popleft() if group.running < group.limit else None
                if group.waiting:
                    self._turns.append(name)
                if ready:
                    group.running += 1
                    self._running += 1
                    self._waiting -= 1
                    return ready
            return None

    def ended(self, name: str, seconds: float) -> None:
        """Free a place.

        Args:
            name: the server.
            seconds: how long the check took.
        """
        with self._lock:
            group = self._groups[name]
            with self._changing(group):
                group.running -= 1
            self._running -= 1
            known = group.seconds
            group.seconds = seconds if known is None else known + (seconds - known) * WEIGHT
            if not self.busy:
                self._rests.notify_all()

    def close(self) -> list[Ready]:
        """Give no place any more; returns all that waited for one."""
        with self._lock:
            self._most = 0
            unstarted = [ready for group in self._in_turn() for ready in group.waiting]
            for group in self._in_turn():
                with self._changing(group):
                    group.waiting.clear()
            self._turns.clear()
            self._waiting = 0
            self._rests.notify_all()
            return unstarted

    def wait(self, timeout: float | None) -> bool:
        """Wait until nothing runs or waits; returns whether that came about in so many seconds."""
        with self._rests:
            return self._rests.wait_for(lambda: not self.busy, timeout)

    def _add(self, ready: Ready) -> None:
        name = ready.claim.group
        group = self._group(name)
        if not group.waiting:
            self._turns.append(name)
        with self._changing(group):
            group.waiting.append(ready)
        self._waiting += 1

    def _room_of(self, name: str) -> int:
        """Return how many checks of a server may be claimed now.

        Of one that is not known to be fast none waits claimed behind taken places: another process may have some.
        """
        known = self._group(name)
        fast = known.seconds is not None and known.seconds < AHEAD_SECONDS
        return min(known.room(), self.room() if fast else self._most - self._called_for)

    @contextmanager
    def _changing(self, group: _Group) -> Iterator[_Group]:
        """Keep count of the places called for, while a server's numbers change."""
        self._called_for -= group.called_for
        yield group
        self._called_for += group.called_for

    def _taken(self) -> int:
        return self._running + self._waiting + self._reserved.total()

    def _in_turn(self) -> list[_Group]:
        return [self._groups[name] for name in self._turns]

    def _group(self, name: str) -> _Group:
        found = self._groups.get(name)
        if found is None:
            found = self._groups[name] = _Group(self._limit(name))
        return found
