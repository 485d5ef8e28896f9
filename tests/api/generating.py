"""Values that follow a JSON schema, or nearly, for tests that let the OpenAPI document say what to send."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Schema = Mapping[str, Any]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
JUNK: SearchStrategy[Any] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)
"""Anything that JSON can hold."""


def following(schema: Schema, document: Schema) -> SearchStrategy[Any]:
    """Return values that the schema allows."""
    if "$ref" in schema:
        return following(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return st.one_of([following(each, document) for each in schema[several]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_type(each, schema, document) for each in types])


def nearly(schema: Schema, document: Schema) -> SearchStrategy[Any]:
    """Return values that the schema allows, and such with a part replaced, added or left out."""
    return st.one_of(following(schema, document), following(schema, document).flatmap(_spoilt), JUNK)


def _spoilt(value: Any) -> SearchStrategy[Any]:
    if not isinstance(value, dict) or not value:
        return JUNK
    names = st.sampled_from(sorted(value))
    return st.one_of(
        st.builds(lambda name, junk: {**value, name: junk}, names, JUNK),
        st.builds(lambda name, junk: {**value, name: junk}, TEXTS, JUNK),
        names.map(lambda left_out: {name: each for name, each in value.items() if name != left_out}),
        names.flatmap(lambda name: _spoilt(value[name]).map(lambda inner: {**value, name: inner})),
    )


def _of_type(kind: str, schema: Schema, document: Schema) -> SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "array":
            return st.lists(following(schema["items"], document) if "items" in schema else JUNK, max_size=3)
        case "object":
            return _object(schema, document)
        case _:
            return _text(schema)


def _object(schema: Schema, document: Schema) -> SearchStrategy[Any]:
    properties = {name: following(each, document) for name, each in schema.get("properties", {}).items()}
    must = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: each for name, each in properties.items() if name in must},
        optional={name: each for name, each in properties.items() if name not in must},
    )


def _text(schema: Schema) -> SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=min(schema.get("maxLength", 20), 40))
    examples = schema.get("examples", [])
    return st.one_of(texts, st.sampled_from(examples)) if examples else texts
