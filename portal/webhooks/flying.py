"""What a dispatcher has claimed and not recorded yet, and who may have its places. Two threads share it."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from portal.webhooks import queue
from portal.webhooks.lookups import Found
from portal.webhooks.queue import Claimed
from portal.webhooks.shares import Shares


class Flying:
    """Deliveries from their claim to the commit of their result.

    The thread that keeps the books claims and records, the other begins and ends them. Each method is one step under
    the guard, so neither sees a half of what the other does.
    """

    def __init__(self, most: int) -> None:
        """Begin with nothing claimed, and so many places."""
        self._most: Final = most
        self._guard = threading.Lock()
        self._shares = Shares(most)
        self._open = 0
        self._since: dict[uuid.UUID, float] = {}
        self._began_at: dict[uuid.UUID, deque[float]] = {}

    @property
    def open(self) -> int:
        """How many are claimed and have no result yet."""
        return self._open

    @property
    def free(self) -> int:
        """How many more may be claimed: as many as may be under way, and as many again ahead."""
        return 2 * self._most - self._open

    def claimed(self, claims: Iterable[Claimed], now: float) -> None:
        """Note what was claimed, at monotonic seconds."""
        with self._guard:
            for each in claims:
                self._open += 1
                self._since[each.delivery_id] = now
                self._shares.claimed(each.webhook_id, now)

    def began(self, claimed: Claimed, *, limited: bool) -> None:
        """Note that one is under way, and when, where its webhook has a limit per second."""
        with self._guard:
            self._shares.began(claimed.webhook_id)
            if limited:
                self._began_at.setdefault(claimed.webhook_id, deque()).append(time.monotonic())

    def ended(self, claimed: Claimed, seconds: float | None, *, begun: bool) -> None:
        """Note that one is over, None where that says nothing of its webhook; it stays known until it is forgotten."""
        with self._guard:
            self._open -= 1
            self._shares.ended(claimed.webhook_id, seconds, time.monotonic(), begun=begun)

    def forget(self, claims: Iterable[Claimed]) -> None:
        """Forget what is recorded, or was given back."""
        with self._guard:
            for each in claims:
                self._since.pop(each.delivery_id, None)

    def since(self, claimed: Claimed) -> float:
        """Return when one was claimed, in monotonic seconds."""
        return self._since.get(claimed.delivery_id, 0.0)

    def has_place(self, webhook_id: uuid.UUID) -> bool:
        """Return whether one of a webhook may begin."""
        with self._guard:
            return self._shares.has_place(webhook_id, time.monotonic())

    def known(self, now: float) -> set[uuid.UUID]:
        """Return the deliveries that are not to be claimed anew, whatever the clock says of their leases."""
        with self._guard:
            return {each for each, since in self._since.items() if now - since < queue.LEASE.total_seconds()}

    def full(self, now: float) -> list[uuid.UUID]:
        """Return the webhooks that have all that they may have."""
        with self._guard:
            return self._shares.full(now)

    def share_out(
        self, waiting: Sequence[uuid.UUID], *, now: float, limit_of: Callable[[uuid.UUID], int | None]
    ) -> dict[uuid.UUID, int]:
        """Return how many to claim of each webhook that waits.

        Args:
            waiting: webhooks with due deliveries.
            now: monotonic seconds.
            limit_of: how many a second a webhook takes, None where any number.
        """
        with self._guard:
            return self._shares.share_out(
                waiting, free=self.free, now=now, allowance=lambda each: self._allowance(each, limit_of(each), now)
            )

    def _allowance(self, webhook_id: uuid.UUID, limit: int | None, now: float) -> int:
        """Return how many more a webhook's limit per second lets through right now."""
        if limit is None:
            return self.free
        began_at = self._began_at.setdefault(webhook_id, deque())
        while began_at and began_at[0] <= now - 1:
            began_at.popleft()
        return limit - len(began_at) - self._shares.unbegun(webhook_id)


class Lines:
    """Deliveries with their addresses that wait for a place, a line for each webhook. For the thread that sends."""

    def __init__(self, flying: Flying) -> None:
        """Begin with nobody waiting."""
        self._flying = flying
        self._lines: dict[uuid.UUID, deque[Found]] = {}

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return bool(self._lines)

    def add(self, found: Found) -> None:
        """Line one up behind those of its webhook."""
        self._lines.setdefault(found[1].webhook_id, deque()).append(found)

    def take(self) -> Found | None:
        """Return the next one of a webhook that has a place, each webhook in its turn; None where none has."""
        webhook_id = next(filter(self._flying.has_place, self._lines), None)
        return None if webhook_id is None else self._pop(webhook_id)

    def clear(self, webhook_id: uuid.UUID) -> list[Claimed]:
        """Let those of a webhook go, and return them."""
        return [claimed for _, claimed, _ in self._lines.pop(webhook_id, ())]

    def clear_all(self) -> list[Claimed]:
        """Let everybody go, and return them."""
        return [each for webhook_id in list(self._lines) for each in self.clear(webhook_id)]

    def _pop(self, webhook_id: uuid.UUID) -> Found:
        line = self._lines.pop(webhook_id)
        found = line.popleft()
        if line:
            self._lines[webhook_id] = line  # now the last
        return found
