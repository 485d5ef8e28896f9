"""Filters of a webhook on the data of events: paths with dots, each with a value or several. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

MOST: Final = 20
"""Paths that one webhook may name."""
LONGEST_PATH: Final = 200
LARGEST: Final = 16 * 1024
"""Bytes of all filters as JSON."""
_PLAIN: Final = (str, int, float, bool, type(None))

Filters = Mapping[str, Any]


def let_through(filters: Filters | None, data: Any) -> bool:
    """Return whether every path leads to one of its values; where it meets a list, one member is enough."""
    return all(_has(data, path, wanted) for path, wanted in (filters or {}).items())


def problem(filters: Filters) -> str:
    """Return what is wrong with filters, "" where nothing is."""
    if len(filters) > MOST:
        return f"Use at most {MOST} filters."
    text = json.dumps(filters, ensure_ascii=False)
    if len(text.encode()) > LARGEST or "\\u0000" in text:
        return f"Shorten the filters to {LARGEST // 1024} KiB of text."
    for path, wanted in filters.items():
        if not all(path.split(".")) or len(path) > LONGEST_PATH:
            return f"“{path[:60]}” is no path. Write the names of fields with dots between."
        if (not wanted and isinstance(wanted, list)) or not all(isinstance(each, _PLAIN) for each in _several(wanted)):
            return f"Give {path[:60]} a text, a number, true, false or null, or a list of them."
    return ""


def _has(data: Any, path: str, wanted: Any) -> bool:
    return any(_same(found, each) for found in _at(data, path.split(".")) for each in _several(wanted))


def _at(data: Any, names: list[str]) -> Iterator[Any]:
    if isinstance(data, list):
        for each in data:
            yield from _at(each, names)
    elif not names:
        yield data
    elif isinstance(data, Mapping) and names[0] in data:
        yield from _at(data[names[0]], names[1:])


def _several(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _same(found: Any, wanted: Any) -> bool:
    """Return whether two values are the same in JSON, where true is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
