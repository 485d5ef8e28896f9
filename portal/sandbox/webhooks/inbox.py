"""What each endpoint got, newest last, within bounds: by endpoint in number, and over all in bytes."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from portal.sandbox.state import WEBHOOKS, timestamp

MOST_ENDPOINTS: Final = 100
MOST_KEPT: Final = 200
"""Requests of one endpoint."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""Of all requests together, about."""
MOST_IDS: Final = 5000
"""Ids of messages that an endpoint knows again."""
Entry = dict[str, Any]


@dataclass
class Endpoint:
    """One endpoint.

    Attributes:
        name: the last part of its address.
        secret: to check signatures with, "" where nobody told it.
        status: what it answers while nothing is wrong.
        got: so many requests came in total.
        entries: the newest of them, oldest first.
    """

    name: str
    secret: str = field(default="", repr=False)
    status: int = 200
    got: int = 0
    entries: deque[Entry] = field(default_factory=deque, repr=False)
    seen: OrderedDict[str, tuple[int, bool]] = field(default_factory=OrderedDict, repr=False)
    """Message id → how often it came, and whether it was accepted."""


class Inbox:
    """The endpoints and what they got. Any thread may use it."""

    def __init__(self, number: Callable[[], int]) -> None:
        """Begin with nothing; `number` gives each request its number."""
        self._number = number
        self._lock = Lock()
        self._endpoints: OrderedDict[str, Endpoint] = OrderedDict()
        self._bytes = 0

    def tell(self, name: str, *, secret: str | None = None, status: int | None = None) -> None:
        """Tell an endpoint its secret ("" takes it away) or what to answer; what is None stays."""
        with self._lock:
            endpoint = self._endpoint(name)
            endpoint.secret = endpoint.secret if secret is None else secret
            endpoint.status = endpoint.status if status is None else status

    def about(self, name: str) -> tuple[str, int]:
        """Return an endpoint's secret and the status that it answers with."""
        with self._lock:
            endpoint = self._endpoint(name)
            return endpoint.secret, endpoint.status

    def receive(self, name: str, message_id: str, about: Entry) -> Entry:
        """Keep a request; returns it with its number, time, and how often its message came before."""
        with self._lock:
            endpoint = self._endpoint(name)
            endpoint.got += 1
            times, accepted = endpoint.seen.pop(message_id, (0, False))
            if message_id:
                endpoint.seen[message_id] = (times + 1, accepted)
            entry = {
                "id": self._number(),
                "provider": WEBHOOKS,
                "endpoint": name,
                "at": timestamp(),
                "count": endpoint.got,
                "times": times + 1,
                "accepted_before": accepted,
                "status": None,
                **about,
            }
            endpoint.entries.append(entry)
            self._bytes += _weight(entry)
            self._shrink(endpoint)
            return entry

    def answered(self, entry: Entry, status: int) -> None:
        """Note what a request was answered with."""
        with self._lock:
            entry["status"] = status
            endpoint = self._endpoints.get(entry["endpoint"])
            message_id = entry["webhook_id"]
            if endpoint and 200 <= status < 300 and message_id in endpoint.seen:
                endpoint.seen[message_id] = (endpoint.seen[message_id][0], True)

    def endpoints(self) -> list[dict[str, Any]]:
        """Return the endpoints by name, each with its requests, newest first; never a secret."""
        with self._lock:
            return [
                {
                    "name": each.name,
                    "has_secret": bool(each.secret),
                    "status": each.status,
                    "received": each.got,
                    "items": [dict(entry) for entry in reversed(each.entries)],
                }
                for _, each in sorted(self._endpoints.items())
            ]

    def requests(self) -> list[Entry]:
        """Return what all endpoints got, newest first."""
        with self._lock:
            return sorted((dict(entry) for entry in self._entries()), key=lambda entry: -entry["id"])

    def forget(self, name: str) -> None:
        """Forget what an endpoint got; its secret and status stay."""
        with self._lock:
            endpoint = self._endpoint(name)
            self._drop(endpoint, len(endpoint.entries))
            endpoint.got = 0
            endpoint.seen.clear()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._endpoints.clear()
            self._bytes = 0

    def _entries(self) -> Iterator[Entry]:
        for each in self._endpoints.values():
            yield from each.entries

    def _endpoint(self, name: str) -> Endpoint:
        """Return an endpoint, made where there is none.

        Of too many the one that was quiet for longest goes, those that know a secret last.
        """
        found = self._endpoints.setdefault(name, Endpoint(name))
        self._endpoints.move_to_end(name)
        if len(self._endpoints) > MOST_ENDPOINTS:
            others = [each for each in self._endpoints.values() if each is not found]
            gone = next((each for each in others if not each.secret), others[0])
            self._drop(gone, len(gone.entries))
            del self._endpoints[gone.name]
        return found

    def _shrink(self, endpoint: Endpoint) -> None:
        self._drop(endpoint, len(endpoint.entries) - MOST_KEPT)
        while len(endpoint.seen) > MOST_IDS:
            endpoint.seen.popitem(last=False)
        while self._bytes > MOST_BYTES:
            full = (each for each in self._endpoints.values() if each.entries)
            self._drop(min(full, key=lambda each: each.entries[0]["id"]), 1)

    def _drop(self, endpoint: Endpoint, count: int) -> None:
        for _ in range(count):
            self._bytes -= _weight(endpoint.entries.popleft())


def _weight(entry: Entry) -> int:
    """Return about how many bytes a request takes; the same at any time."""
    return 2000 + len(entry["body"]) + sum(len(name) + len(value) for name, value in entry["headers"].items())
