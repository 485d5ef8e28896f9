"""Reading requests of the API: body and parameters become checked values, or a problem that names every field."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from flask import request
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from portal.api.schema import Schema, record
from portal.security.redaction import strip_controls
from portal.web.problems import Problem

MOST_ERRORS: Final = 20
"""Fields that one answer names."""
NAME_LENGTH: Final = 60
TYPES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
}
NO_MOMENT: Final = "Use a time such as 2026-11-21T08:30:00Z."

Errors = list[tuple[str, str]]


class Rules:
    """A schema that values must follow, made ready when the first one comes: where it stays, keep its rules, too."""

    def __init__(self, schema: Schema) -> None:
        """Keep the schema, which nobody changes any more."""
        self._schema: Final = schema

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self._schema)

    def errors(self, value: Any) -> Errors:
        """Return the fields of a value that break them, each with a sentence; MOST_ERRORS are enough."""
        found: Errors = []
        for error in self._validator.iter_errors(value):
            found += _named(error)
            if len(found) > MOST_ERRORS:
                break
        return found


NO_FIELDS: Final = Rules(record())


def body(rules_for: Callable[[Any], Rules], *, most_bytes: int | None = None) -> dict[str, Any]:
    """Return the request's JSON object.

    Args:
        rules_for: returns what the object must follow.
        most_bytes: that it may have, where that is not what every request may.

    Raises:
        Problem: 415 it is not JSON by its header, 400 it cannot be read, 413 it is too large, 422 its values are wrong.
    """
    if request.mimetype != "application/json":
        raise Problem(415)
    if most_bytes:
        request.max_content_length = most_bytes
    sent = _parsed(request.get_data())
    if not isinstance(sent, dict):
        raise Problem(422, errors=[("body", "This must be an object.")])
    return dict(checked(sent, rules_for(sent)))


def is_there() -> bool:
    """Return whether the request carries anything."""
    return bool(request.get_data())


def no_body() -> None:
    """Refuse a body that would be ignored; an empty object is as good as nothing.

    Raises:
        Problem: as for `body`.
    """
    if request.get_data():
        body(lambda _sent: NO_FIELDS)


def query(parameters: Mapping[str, Schema], rules: Rules) -> dict[str, Any]:
    """Return the parameters of the address, typed; those with a default are always there.

    Args:
        parameters: what it may carry.
        rules: of all of them together, any of which may be left out.

    Raises:
        Problem: one is unknown, given twice or has a wrong value.
    """
    if not (parameters or request.query_string):
        return {}
    given = {name: _typed(values[0], parameters.get(name, {})) for name, values in request.args.lists()}
    twice = [(_field(name), "Give it once.") for name, values in request.args.lists() if len(values) > 1]
    found = rules.errors(given) + twice
    for name in [name for name, each in parameters.items() if each.get("format") == "date-time" and name in given]:
        given[name] = _moment(given[name])
        if given[name] is None:
            found.append((name, NO_MOMENT))
    if found:
        raise _invalid(found)
    return {name: schema["default"] for name, schema in parameters.items() if "default" in schema} | given


def moment(text: str, field: str) -> datetime:
    """Return the moment that a member of a body names.

    Raises:
        Problem: it names none, or leaves out the zone.
    """
    found = _moment(text)
    if found is None:
        raise _invalid([(field, NO_MOMENT)])
    return found


def identifier(text: str, field: str) -> uuid.UUID:
    """Return the id that a parameter or member names.

    Raises:
        Problem: it names none.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _invalid([(field, "This is no id.")]) from None


def checked(value: Any, rules: Rules) -> Any:
    """Return a value that follows the rules.

    Raises:
        Problem: it does not; every field that is wrong is named.
    """
    found = rules.errors(value)
    if found:
        raise _invalid(found)
    return value


def _invalid(errors: Errors) -> Problem:
    return Problem(422, errors=errors[:MOST_ERRORS])


def _parsed(data: bytes) -> Any:
    try:
        text = data.decode()
        value = json.loads(text, parse_constant=_refuse)
        # A half surrogate pair was written as \ud800, and a number beyond all bounds as 1e999.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise Problem(400, detail="The body is nested too deeply.") from None
    except UnicodeEncodeError:
        raise Problem(400, detail="The body contains half of a surrogate pair. Write the whole character.") from None
    except ValueError:
        raise Problem(400, detail="The body is not JSON in UTF-8.") from None
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _typed(text: str, schema: Schema) -> Any:
    """Return a parameter as the type that it should have, where it can be read so."""
    is_number = schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]{1,9}", text)
    return int(text) if is_number else text


def _moment(text: str) -> datetime | None:
    """Return the moment that a text names with its zone; a plus that the address turned into a blank counts."""
    try:
        found = datetime.fromisoformat(re.sub(r" (?=\d\d:\d\d$)", "+", text))
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _named(error: ValidationError) -> Errors:
    """Return the fields that an error is about, each with a sentence."""
    kind, path = error.kind, [str(each) for each in error.instance_path]
    if isinstance(kind, ValidationErrorKind.Required):
        return [(_field(*path, kind.property), "This is required.")]
    if isinstance(kind, ValidationErrorKind.AdditionalProperties):
        return [(_field(*path, name), "There is no such field.") for name in kind.unexpected[:MOST_ERRORS]]
    return [(_field(*path) or "body", _sentence(kind))]


def _sentence(kind: ValidationErrorKind) -> str:
    match kind:
        case ValidationErrorKind.Type(types):
            return f"This must be {' or '.join(TYPES[each] for each in types if each in TYPES)}."
        case ValidationErrorKind.Enum(options):
            return f"Use one of: {', '.join(str(each) for each in options if each is not None)}."
        case ValidationErrorKind.Minimum(limit) | ValidationErrorKind.Maximum(limit):
            return f"Use {limit} or {'more' if isinstance(kind, ValidationErrorKind.Minimum) else 'less'}."
        case ValidationErrorKind.MinLength():
            return "This must not be empty."
        case ValidationErrorKind.MaxLength(limit):
            return f"Shorten this to {limit} characters."
        case ValidationErrorKind.MinItems(limit) | ValidationErrorKind.MaxItems(limit):
            return f"List at {'least' if isinstance(kind, ValidationErrorKind.MinItems) else 'most'} {limit}."
        case _:
            return "This does not look right."


def _field(*path: str) -> str:
    """Return a field's name as an answer may repeat it: it was written by whoever sent the request."""
    return strip_controls(".".join(path), keep="")[:NAME_LENGTH]
