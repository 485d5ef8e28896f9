"""Addresses of endpoints, looked up in threads: a name service may be slow, and the dispatcher has but one."""

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from portal.security.addresses import AddressPolicy, NetworkError
from portal.security.network import Address
from portal.webhooks import sending
from portal.webhooks.queue import Claimed
from portal.webhooks.sending import Endpoint

ADDRESS_SECONDS: Final = 30.0
"""How long a name's address is used again without looking it up."""
THREADS: Final = 8
Found = tuple[Endpoint, Claimed, Address | NetworkError]

log = logging.getLogger("portal.webhooks")


class Lookups:
    """Deliveries that wait for an address, and those that have theirs. All but the threads' work is for one thread."""

    def __init__(self, policy: AddressPolicy, wake: Callable[[], None]) -> None:
        """Prepare it.

        Args:
            policy: which addresses may be dialled.
            wake: is called by a thread that found one.
        """
        self._policy = policy
        self._wake = wake
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="webhook-dns")
        self._known: dict[tuple[str, int, bool], tuple[float, Address]] = {}
        self._ready: deque[Found] = deque()
        self._answers: deque[Found] = deque()
        self._asked = 0

    @property
    def count(self) -> int:
        """Deliveries that are in here."""
        return self._asked + len(self._ready)

    @property
    def has_ready(self) -> bool:
        """Whether some have their address, and only wait to be taken."""
        return bool(self._ready or self._answers)

    def add(self, endpoint: Endpoint, claimed: Claimed) -> None:
        """Find the address of an endpoint."""
        known = self._known.get(_key(endpoint))
        if known and known[0] > time.monotonic():
            self._ready.append((endpoint, claimed, known[1]))
            return
        self._asked += 1
        self._threads.submit(self._ask, endpoint, claimed)

    def take(self) -> Found | None:
        """Return a delivery with its address, or why there is none; None where all are still asked for."""
        while self._answers:
            endpoint, claimed, found = self._answers.popleft()
            self._asked -= 1
            if isinstance(found, Address):
                self._known[_key(endpoint)] = (time.monotonic() + ADDRESS_SECONDS, found)
            self._ready.append((endpoint, claimed, found))
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Ask for no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, endpoint: Endpoint, claimed: Claimed) -> None:
        """Look an address up. Runs in a thread of its own, and leaves all counting to the dispatcher's."""
        found: Address | NetworkError
        try:
            found = sending.address_of(endpoint, self._policy)
        except NetworkError as error:
            found = error
        except Exception:  # the job runner: a fault of ours must not let a delivery wait for ever
            log.exception("the address of webhook %s cannot be looked up", endpoint.webhook_id)
            found = NetworkError("The portal could not look the address up; see its log.")
        self._answers.append((endpoint, claimed, found))
        self._wake()


def _key(endpoint: Endpoint) -> tuple[str, int, bool]:
    return endpoint.host, endpoint.port, endpoint.encrypted
