"""The portal's only clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

_made_up: Final[ContextVar[datetime | None]] = ContextVar("portal_made_up_time", default=None)


def now() -> datetime:
    """Return the present moment as an aware UTC datetime."""
    return _made_up.get() or datetime.now(UTC)


def made_up() -> datetime | None:
    """Return the moment that at() says it is, None where the clock runs as usual."""
    return _made_up.get()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Let it be another moment for what runs inside: so that the demo's history comes from the services themselves."""
    token = _made_up.set(moment)
    try:
        yield
    finally:
        _made_up.reset(token)
