"""How many requests a played provider takes in a while, counted for each account by itself."""

import time
from collections import deque
from collections.abc import Callable
from math import ceil
from threading import Lock
from typing import Any

from portal.sandbox.state import State


class Rate:
    """So many requests in so many seconds; what is counted is forgotten when the sandbox is reset."""

    def __init__(self, state: State, slug: str, *, most: int, seconds: float) -> None:
        self._state = state
        self._shelf = f"{slug} rate"
        self._most = most
        self._seconds = seconds
        self._lock = Lock()
        self.clock: Callable[[], float] = time.monotonic

    def wait(self, account: str) -> int:
        """Count a request of an account; return 0, or after how many whole seconds it would be taken."""
        now = self.clock()
        counted: dict[str, Any] = self._state.shelf(self._shelf, dict)
        taken: deque[float] = counted.setdefault(account, deque())
        with self._lock:
            while taken and taken[0] <= now - self._seconds:
                taken.popleft()
            if len(taken) >= self._most:
                return max(1, ceil(taken[0] + self._seconds - now))
            taken.append(now)
            return 0
