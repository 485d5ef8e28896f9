"""How long a provider asks to wait: one reader for every spelling."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

SHORTEST: Final = 1
"""Seconds; a provider that says 0 or names a moment that is over is asked again after this."""
LONGEST: Final = 24 * 60 * 60
"""Seconds; nothing waits longer on a provider's word alone."""
_UNIX: Final = 1_000_000_000
_UNIX_MILLISECONDS: Final = 1_000_000_000_000
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,9})?")
_IN_TEXT: Final = re.compile(r"retry after (\d{4}-\d\d-\d\dT[\d:.]{5,15}(?:Z|[+-]\d\d:?\d\d))", re.IGNORECASE)
_RESETS: Final = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")


def retry_after(headers: Mapping[str, str], *, now: datetime, text: str = "") -> int | None:
    """Return the seconds to wait, from 1 to a day, or None where nothing readable says so.

    Read are Retry-After as seconds, as a date (RFC 9110, 10.2.3) and as an instant (Zoom); X-RateLimit-Reset as Unix
    seconds (SendGrid), as an instant (Checkr) and as seconds from now; and an instant inside the text (Gmail).

    Args:
        headers: of the answer, names in lower case.
        now: the time of day, for moments.
        text: the provider's own words.
    """
    found = _seconds(headers.get("retry-after", ""), now)
    for name in _RESETS:
        found = _seconds(headers.get(name, ""), now) if found is None else found
    if found is None and (inside := _IN_TEXT.search(text)):
        found = _seconds(inside[1], now)
    return None if found is None else int(max(SHORTEST, min(LONGEST, found)))


def _seconds(text: str, now: datetime) -> float | None:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _UNIX_MILLISECONDS:
            number /= 1000
        return number - now.timestamp() if number >= _UNIX else number
    moment = _moment(text)
    return (moment - now).total_seconds() if moment else None


def _moment(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except (ValueError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
