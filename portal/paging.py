"""Pages of lists that are read by key, never by offset; counting that stops in time."""

import json
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from portal.database import db

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list that is read by key, never by offset."""

    items: list[T]
    next_cursor: str | None
    """Where the next page starts; None at the end."""
    total: int | None = None
    """How many there are on all pages, up to COUNT_LIMIT and one, where that came out by the way."""


CURSOR_LENGTH = 4000
"""Longest cursor in characters; one of a name in any alphabet is shorter."""


def encode_cursor(*key: datetime | uuid.UUID | str) -> str:
    """Pack the sort key of a page's last row into a text that a URL can carry."""
    parts = [each.isoformat() if isinstance(each, datetime) else str(each) for each in key]
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[str]:
    """Unpack a cursor. It comes from an address, so that anybody may have written it.

    Raises:
        ValueError: it is not one, or not of this list.
    """
    if len(cursor) > CURSOR_LENGTH:
        raise ValueError("too long for a cursor")
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except RecursionError:
        raise ValueError("not a cursor") from None
    if not isinstance(parts, list) or len(parts) != length or not all(map(_is_storable, parts)):
        raise ValueError("not a cursor of this list")
    return parts


def cursor_moment(part: str) -> datetime:
    """Return the moment in a part of a cursor.

    Raises:
        ValueError: it is none, or has no time zone.
    """
    moment = datetime.fromisoformat(part)
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _is_storable(part: object) -> bool:
    """Return whether it is a text that a database can be asked about: no NUL, no half of a surrogate pair."""
    return isinstance(part, str) and not re.search("[\x00\ud800-\udfff]", part)


COUNT_LIMIT = 10_000
"""Counting stops here, so that a list of a million rows opens as fast as a short one."""


def count_rows(query: Select[Any]) -> int:
    """Count what a query finds, up to one more than COUNT_LIMIT."""
    return db.session.scalar(counting(query)) or 0


def count_rows_of(page: Page[Any], query: Select[Any], cursor: str) -> int:
    """Count a list as count_rows() does, but not where its first page is all of it.

    Args:
        page: one page of it.
        query: all of it.
        cursor: where the page begins; "" is at the first row.
    """
    return len(page.items) if page.next_cursor is None and not cursor else count_rows(query)


def counting(query: Select[Any], most: ColumnElement[int] | None = None) -> Select[int]:
    """Return the statement that counts what a query finds, up to `most`, or one more than COUNT_LIMIT."""
    # Of no column, so that an index answers alone where it can.
    bare: Select[Any] = query.with_only_columns(literal_column("1"), maintain_column_froms=True)
    found = bare.order_by(None).limit(COUNT_LIMIT + 1 if most is None else most).subquery()
    return select(func.count()).select_from(found)
