"""JSON Schemas of event types: held against the data of events in bounded time, and nothing is fetched for them.

A validator cannot be interrupted, and nothing else of the process runs meanwhile. So a schema that could take long is
refused when it is stored: its weight is about how many checks it makes of one value.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jsonschema_rs import RegexOptions, ValidationError, ValidationErrorKind, Validator, validator_for

HEAVIEST: Final = 500
"""Weight that a schema may have: about how many checks it makes of one value."""
LARGEST_PATTERN: Final = 64 * 1024
"""Bytes of a compiled pattern."""
SECONDS: Final = 2.0
"""Processor time that the events of one request may take together."""
TOO_LONG: Final = "To hold these events against their schemas takes too long. Send fewer at once."
_SMALLEST_PATTERN: Final = 4096
_PATTERN_BYTES: Final = 400
"""Bytes of a compiled pattern that take as long as one other check."""
_SLOW: Final = {"uniqueItems": 10, "contains": 5}
"""Keywords that compare values with one another, or with each item anew, and what they weigh."""
_VALUES: Final = ("const", "enum")
_STORES: Final = ("$defs", "definitions")
_LOOKUPS: Final = 4
"""Names that are looked up in the time of one check."""
_DETAIL: Final = 200
"""Characters kept of what a validator says, which repeats what was sent."""
_TOO_HEAVY: Final = "This checks too much for each event. Leave parts of it out, or shorten its patterns."
_REFERS: Final = "References must lead to parts of this schema, as in #/$defs/address, and never around in a circle."


class Checker:
    """Holds data against one schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Prepare it, once for many events.

        Raises:
            ValidationError: it is no schema.
        """
        self._validator = _validator(json.dumps(schema))

    def misfit(self, data: Any) -> tuple[str, str] | None:
        """Return where data does not follow the schema, and how; None where it does."""
        # Collecting all errors takes a time that grows with their number squared, so only the first is asked for.
        if self._validator.is_valid(data):
            return None
        try:
            self._validator.validate(data)
        except ValidationError as error:
            path = "".join(f".{each}" for each in error.instance_path)
            return f"data{path}"[:_DETAIL], f"This does not follow the schema: {_short(error)}"
        return None


def problem(schema: Mapping[str, Any]) -> str:
    """Return why a schema will not do, "" where it will."""
    try:
        _validator(json.dumps(schema))
        heavy = _Scale(schema).weight(schema) > HEAVIEST
    except ValidationError as error:
        if isinstance(error.kind, ValidationErrorKind.Referencing):
            return f"A reference leads nowhere, or out of the schema, and nothing is fetched: {_short(error)}"
        return f"This is no JSON Schema: {_short(error)}"
    except _UnclearError:
        return _REFERS
    except (ValueError, RecursionError):
        return "This is nested too deeply."
    return _TOO_HEAVY if heavy else ""


@lru_cache(maxsize=256)
def _validator(text: str) -> Validator:
    """Return what holds data against a schema: patterns take linear time, and nothing is fetched.

    Raises:
        ValidationError: the text is no schema.
        ValueError: it is nested too deeply.
    """
    return validator_for(json.loads(text), offline=True, pattern_options=RegexOptions(size_limit=LARGEST_PATTERN))


class _UnclearError(Exception):
    """A reference whose weight cannot be told."""


class _Scale:
    """Weighs one schema: about how many checks it makes of a value; what is referred to counts each time."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Take a schema.

        Raises:
            _UnclearError: it holds another one with an address of its own, from which references are counted.
        """
        self._root = root
        self._known: dict[int, int] = {}
        self._under_way: set[int] = set()
        if any(isinstance(part.get("$id"), str) for part in _dicts(root) if part is not root):
            raise _UnclearError

    def weight(self, part: Any) -> int:
        """Return the weight of the schema, or of a part of it.

        Raises:
            _UnclearError: it refers to itself, or not to a part of the schema.
        """
        place = id(part)
        if not isinstance(part, dict | list) or place in self._known:
            return self._known.get(place, 0)
        if place in self._under_way:
            raise _UnclearError
        self._under_way.add(place)
        inner = map(self.weight, part) if isinstance(part, list) else (self._of(*each) for each in part.items())
        self._known[place] = 1 + sum(inner)
        self._under_way.remove(place)
        return self._known[place]

    def _of(self, name: str, value: Any) -> int:
        if isinstance(value, str):
            return self._of_text(name, value)
        if name in _VALUES:
            return _count(value)
        if name in _STORES:
            return 0
        if name == "properties" and isinstance(value, dict):  # each looks at another part of the value
            return len(value) // _LOOKUPS + max(map(self.weight, value.values()), default=0)
        patterns = value if name == "patternProperties" and isinstance(value, dict) else ()
        return self.weight(value) + _SLOW.get(name, 0) + sum(map(_pattern_weight, patterns))

    def _of_text(self, name: str, value: str) -> int:
        if name in ("$dynamicRef", "$recursiveRef"):
            raise _UnclearError
        if name == "$ref":
            return self.weight(_target(self._root, value))
        return _pattern_weight(value) if name == "pattern" else 0


def _target(root: Mapping[str, Any], reference: str) -> Any:
    """Return the part of a schema that a reference leads to: a pointer (RFC 6901), or an anchor."""
    head, sign, path = reference.partition("#")
    if head or not sign:
        raise _UnclearError
    if path and not path.startswith("/"):
        return next((part for part in _dicts(root) if part.get("$anchor") == path), root)
    place: Any = root
    for step in path.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            place = place[int(name)] if isinstance(place, list) else place[name]
        except (KeyError, ValueError, IndexError, TypeError):
            raise _UnclearError from None
    return place


def _dicts(part: Any) -> Iterator[Mapping[str, Any]]:
    """Return every object in a schema."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _dicts(each)


def _count(value: Any) -> int:
    """Return how many values a value holds, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, inner))


@lru_cache(maxsize=1024)
def _pattern_weight(pattern: str) -> int:
    """Return what a pattern weighs: the smallest size, doubled as often as it takes, in which it can be compiled."""
    size = _SMALLEST_PATTERN
    while size < LARGEST_PATTERN:
        try:
            validator_for({"pattern": pattern}, pattern_options=RegexOptions(size_limit=size), offline=True)
            break
        except ValidationError:
            size *= 2
    return size // _PATTERN_BYTES


def _short(error: ValidationError) -> str:
    text = " ".join(error.message.split())
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"
