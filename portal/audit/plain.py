"""Values as the audit trail keeps them: plain, short, without secrets, the same on every database."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final

from portal.security.redaction import redact_mapping, strip_controls
from portal.security.secret import Secret

LONGEST: Final = 1000
"""Characters kept of one value."""
LONGEST_NAME: Final = 100
"""Characters kept of a field's name."""
ABOUT_SECRETS: Final = ("_replaced", "_removed", "_changed")
"""Endings of names that tell which secret changed, and hold none: `secrets_replaced` is a list of fields."""
_WHOLE_LIMIT: Final = 2**53
"""Numbers beyond this differ between JSON readers (RFC 8259, section 6), so they are kept as text."""


def plain_mapping(values: Mapping[str, object] | None) -> dict[str, Any] | None:
    """Return a copy that JSON can hold and that says nothing secret.

    Values under sensitive names and whatever looks like a token become `[redacted]`: a second line, for callers pass no
    secrets in the first place.
    """
    if values is None:
        return None
    named = {clean(str(name), LONGEST_NAME): value for name, value in values.items()}
    return {name: _redacted(name, value) for name, value in named.items()}


def _redacted(name: str, value: object) -> object:
    # Shortened first, since redaction reads every character, and after, since it may have lengthened a text.
    key = "value" if name.endswith(ABOUT_SECRETS) else name
    (redacted,) = redact_mapping({key: _plain(value, 4 * LONGEST)}).values()
    return _plain(redacted, LONGEST)


def clean(text: str, longest: int) -> str:
    """Return text that every database takes: no control characters, no lone surrogates, at most so many characters."""
    return shorten(strip_controls(text).encode("utf-8", "replace").decode(), longest)


def shorten(text: str, longest: int) -> str:
    """Return text cut to a number of characters, an ellipsis included where something was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(value: object, longest: int) -> object:
    if isinstance(value, Enum):
        return _plain(value.value, longest)
    if isinstance(value, Secret):
        return "[redacted]"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return {clean(str(name), LONGEST_NAME): _plain(each, longest) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, longest) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(each, longest) for each in value), key=str)
    return clean(_text(value), longest)


def _number(value: float) -> float | str:
    exact = abs(value) < _WHOLE_LIMIT if isinstance(value, int) else math.isfinite(value)
    return value if exact else str(value)


def _text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else str(value)
