"""What the sandbox remembers: faults that are switched on, requests it got and messages it took, within bounds."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from threading import Lock
from typing import Any, Final

MOST_KEPT: Final = 1000
LONGEST_DELAY: Final = 600_000
"""Milliseconds."""
MOST_TIMES: Final = 1_000_000


class FaultMode(StrEnum):
    """What a provider can be made to do wrong."""

    NONE = "none"
    TIMEOUT = "timeout"
    ERROR_500 = "error_500"
    RATE_LIMIT = "rate_limit"
    BAD_CREDENTIALS = "bad_credentials"
    REVOKED = "revoked"
    SLOW = "slow"
    MALFORMED = "malformed"
    # From here on only the receiver of webhooks knows them.
    UNAVAILABLE = "unavailable"
    GONE = "gone"
    DISABLE = "disable"
    ABORT_MESSAGE = "abort_message"
    FLAKY = "flaky"
    REDIRECT = "redirect"
    RESET = "reset"
    ENDLESS = "endless"
    NOT_HTTP = "not_http"


WEBHOOKS: Final = "webhooks"
"""Under this name the receiver of webhooks stands among the providers."""
PROVIDER_MODES: Final = tuple(FaultMode)[: tuple(FaultMode).index(FaultMode.UNAVAILABLE)]


class BadFault(ValueError):
    """A fault that was asked for does not exist; the text is a sentence."""


@dataclass(frozen=True)
class Fault:
    """A fault: what goes wrong, after how many milliseconds, for how many connections or requests (None: all)."""

    mode: FaultMode = FaultMode.NONE
    delay_ms: int | None = None
    times: int | None = None

    @classmethod
    def read(cls, asked: object, modes: Sequence[FaultMode] = PROVIDER_MODES) -> "Fault":
        """Read a fault from JSON.

        Args:
            asked: what somebody wants.
            modes: those there are.

        Raises:
            BadFault: it has a wrong shape.
        """
        if not isinstance(asked, Mapping) or set(asked) - {"mode", "delay_ms", "times"}:
            raise BadFault("A fault is an object with mode and, if wanted, delay_ms and times.")
        mode = next((each for each in modes if each == asked.get("mode")), None)
        if mode is None:
            raise BadFault(f"mode must be one of: {', '.join(modes)}.")
        delay = _whole(asked, "delay_ms", 0, LONGEST_DELAY)
        return cls(mode=mode, delay_ms=delay, times=_whole(asked, "times", 1, MOST_TIMES))

    def as_dict(self) -> dict[str, object]:
        """Return the fault as JSON."""
        return {"mode": str(self.mode), "delay_ms": self.delay_ms, "times": self.times}


def modes_of(provider: str) -> tuple[FaultMode, ...]:
    """Return what a provider can be made to do wrong."""
    return tuple(FaultMode) if provider == WEBHOOKS else PROVIDER_MODES


def _whole(asked: Mapping[str, object], name: str, low: int, high: int) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadFault(f"{name} must be a whole number from {low} to {high}.")
    return value


MAIL_PASSWORD: Final = "sandbox-password"  # noqa: S105 - the sandbox's published password


class State:
    """Shared by the sandbox's servers, each of which runs in threads of its own.

    Attributes:
        providers: slugs of the providers that the sandbox plays.
        mail_password: the one password that the mail server accepts, with any user name.
    """

    def __init__(self, providers: Iterable[str] = ("smtp",), *, mail_password: str = MAIL_PASSWORD) -> None:
        self.providers = tuple(providers)
        self.mail_password = mail_password
        self._lock = Lock()
        self._faults: dict[str, Fault] = {}
        self._requests: deque[dict[str, object]] = deque(maxlen=MOST_KEPT)
        self._outbox: deque[dict[str, object]] = deque(maxlen=MOST_KEPT)
        self._shelves: dict[str, dict[str, Any]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._numbers = count(1)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the faults change, so that what hangs can go on."""
        self._listeners.append(callback)

    def set_fault(self, provider: str, fault: Fault) -> None:
        """Switch a fault on, or off with the mode none."""
        with self._lock:
            self._faults[provider] = fault
        self._tell()

    def take_fault(self, provider: str) -> Fault:
        """Return the fault for the next connection or request of a provider, and count it."""
        with self._lock:
            fault = self._faults.get(provider, Fault())
            if fault.times is not None:
                left = fault.times - 1
                self._faults[provider] = replace(fault, times=left) if left else Fault()
            return fault

    def fault(self, provider: str) -> Fault:
        """Return the fault that is switched on for a provider, and leave it as it is."""
        with self._lock:
            return self._faults.get(provider, Fault())

    def faults(self) -> dict[str, Fault]:
        """Return what is switched on, by provider."""
        with self._lock:
            return {provider: self._faults.get(provider, Fault()) for provider in self.providers}

    def number(self) -> int:
        """Return the next number of what is remembered."""
        return next(self._numbers)

    def received(self, provider: str, about: dict[str, object]) -> dict[str, object]:
        """Remember a request; the caller may add to the returned entry while it goes on. Never give it a password."""
        entry = {"id": self.number(), "provider": provider, "at": timestamp(), **about}
        with self._lock:
            self._requests.append(entry)
        return entry

    def sent(self, channel: str, message: dict[str, object]) -> None:
        """Put a message that a provider "sent" into the outbox."""
        with self._lock:
            self._outbox.append({"id": self.number(), "channel": channel, "at": timestamp(), **message})

    def requests(self, provider: str | None = None) -> list[dict[str, object]]:
        """Return what was received, newest first."""
        with self._lock:
            return [dict(entry) for entry in reversed(self._requests) if provider in (None, entry["provider"])]

    def outbox(self, channel: str | None = None) -> list[dict[str, object]]:
        """Return what was sent, newest first."""
        with self._lock:
            return [dict(entry) for entry in reversed(self._outbox) if channel in (None, entry["channel"])]

    def shelf(self, provider: str, fill: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what a provider keeps by itself, to be read and changed; `fill` makes it anew after a reset."""
        with self._lock:
            if provider not in self._shelves:
                self._shelves[provider] = fill()
            return self._shelves[provider]

    def reset(self) -> None:
        """Forget everything and switch every fault off."""
        with self._lock:
            self._faults.clear()
            self._requests.clear()
            self._outbox.clear()
            self._shelves.clear()
        self._tell()

    def _tell(self) -> None:
        for callback in list(self._listeners):
            callback()


def timestamp() -> str:
    """Return this moment as the sandbox writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
