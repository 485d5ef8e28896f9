"""Who acts and from where, for the thread or request that is running."""

import getpass
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "system", "token", "command"]


@dataclass(frozen=True)
class Actor:
    """Who does something: a member, the portal itself, an API token or a command in the shell."""

    kind: Kind
    id: uuid.UUID | None = None
    name: str = ""
    ip: str = ""
    """Where from; empty means the address of the running request, if any."""


@dataclass(frozen=True)
class Origin:
    """The request that something happened in; empty outside of requests."""

    ip: str = ""
    request_id: str = ""


SYSTEM = Actor("system", name="Portal")
"""Jobs, and whatever nobody else answers for."""

_actor: ContextVar[Actor] = ContextVar("portal_actor", default=SYSTEM)
_find_origin: Callable[[], Origin] = Origin


def operator() -> Actor:
    """Return the person in the shell, as whom commands act."""
    try:
        return Actor("command", name=f"{getpass.getuser()} in the shell")
    except (KeyError, OSError):
        return Actor("command", name="The shell")


def current_actor() -> Actor:
    """Return who acts now."""
    return _actor.get()


def set_actor(actor: Actor) -> None:
    """Let somebody act until the request ends."""
    _actor.set(actor)


@contextmanager
def acting_as(actor: Actor) -> Iterator[Actor]:
    """Let somebody act within a block."""
    token = _actor.set(actor)
    try:
        yield actor
    finally:
        _actor.reset(token)


def origin() -> Origin:
    """Return the request that is running."""
    return _find_origin()


def find_origin_with(finder: Callable[[], Origin]) -> None:
    """Tell how to find the running request; services know no Flask."""
    global _find_origin  # noqa: PLW0603 - set once, by the composition root
    _find_origin = finder
