"""Lists of the API: pages by cursor, the same everywhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from portal.paging import Page, decode_cursor, encode_cursor
from portal.web.problems import Problem

T = TypeVar("T")
PLACE = ("cursor", "limit")
"""Parameters that say which page; all others narrow the list."""


def page(found: Page[T], shown: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return one page as it is answered."""
    return {"items": [shown(each) for each in found.items], "next_cursor": found.next_cursor}


def cut(rows: Sequence[T], query: Mapping[str, Any], *, key: Callable[[T], str]) -> Page[T]:
    """Return one page of a list that is short enough to be read as a whole.

    Args:
        rows: all of them, in their order.
        query: the request's parameters.
        key: returns what no two rows have in common.

    Raises:
        ValueError: the cursor is none of this list, or its row is gone.
    """
    start = 0
    if "cursor" in query:
        (last,) = decode_cursor(query["cursor"], 1)
        start = [key(each) for each in rows].index(last) + 1
    end = start + query["limit"]
    return Page(list(rows[start:end]), encode_cursor(key(rows[end - 1])) if end < len(rows) else None)


def place(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that say which page."""
    return {name: query[name] for name in PLACE if name in query}


def without_place(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that narrow the list."""
    return {name: value for name, value in query.items() if name not in PLACE}


@contextmanager
def good_cursor() -> Iterator[None]:
    """Answer for a cursor that is not one of the list.

    Raises:
        Problem: it is not.
    """
    try:
        yield
    except ValueError:
        raise Problem(
            422, errors=[("cursor", "Use the next_cursor of the page before, with the same filters.")]
        ) from None
