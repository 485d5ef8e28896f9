"""Lists of the API: pages by cursor, the same everywhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from portal.database import Page
from portal.web.problems import Problem

T = TypeVar("T")
PLACE = ("cursor", "limit")
"""Parameters that say which page; all others narrow the list."""


def page(found: Page[T], shown: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return one page as it is answered."""
    return {"items": [shown(each) for each in found.items], "next_cursor": found.next_cursor}


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
