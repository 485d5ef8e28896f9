"""Words for JSON Schema (draft 2020-12), which OpenAPI 3.1 uses as it is: closed objects, nullables, references."""

from collections.abc import Collection
from typing import Any

Schema = dict[str, Any]
MOST = 200
"""Rows that one page of a list may have."""
ANY_TYPE = ["object", "array", "string", "number", "boolean", "null"]
"""Any JSON value."""
USUAL = 50
"""Rows of a page where nothing else is asked for."""


def record(*optional: str, **properties: Schema) -> Schema:
    """Return the schema of an object with these properties and no others; all but the optional ones must be there."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name in properties if name not in optional]
    return found | ({"required": required} if required else {})


def changes(**properties: Schema) -> Schema:
    """Return the schema of an object of which any property may be left out."""
    return record(*properties, **properties)


def told(schema: Schema, about: str) -> Schema:
    """Return a schema with a description."""
    return {**schema, "description": about}


def text(about: str = "", **more: Any) -> Schema:
    """Return the schema of a text; `more` are further keywords."""
    return {"type": "string", **more, **_about(about)}


def one_of(values: Collection[str], about: str = "") -> Schema:
    """Return the schema of a text that is one of these."""
    return {"type": "string", "enum": [str(each) for each in values], **_about(about)}


def whole(about: str = "", *, low: int = 0, high: int | None = None, **more: Any) -> Schema:
    """Return the schema of a whole number between two bounds, both included."""
    return {"type": "integer", "minimum": low, **({} if high is None else {"maximum": high}), **more, **_about(about)}


def number(about: str = "", *, low: float = 0, high: float | None = None) -> Schema:
    """Return the schema of any number between two bounds, both included."""
    return {"type": "number", "minimum": low, **({} if high is None else {"maximum": high}), **_about(about)}


def yes_or_no(about: str = "") -> Schema:
    """Return the schema of true or false."""
    return {"type": "boolean", **_about(about)}


def identifier(about: str = "") -> Schema:
    """Return the schema of an id."""
    return {"type": "string", "format": "uuid", **_about(about)}


def moment(about: str = "") -> Schema:
    """Return the schema of a time (RFC 3339)."""
    return {"type": "string", "format": "date-time", **_about(about)}


def anything(about: str = "") -> Schema:
    """Return the schema of an object that is not described further."""
    return {"type": "object", "additionalProperties": True, **_about(about)}


def many(schema: Schema, about: str = "") -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": schema, **_about(about)}


def maybe(schema: Schema) -> Schema:
    """Return the schema with null beside what it allows."""
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    found = {**schema, "type": [schema["type"], "null"]}
    return found | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def ref(name: str) -> Schema:
    """Return a reference to a schema among the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(schema: Schema) -> Schema:
    """Return the schema of one page of a list."""
    cursor = maybe(text("Where the next page starts; null on the last one."))
    return record(items=many(schema), next_cursor=cursor)


def paging() -> dict[str, Schema]:
    """Return the parameters of every list that has pages."""
    return {
        "limit": whole("Rows in one page.", low=1, high=MOST, default=USUAL),
        "cursor": text("The next_cursor of the page before.", minLength=1),
    }


def _about(about: str) -> Schema:
    return {"description": about} if about else {}
