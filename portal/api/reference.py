"""The OpenAPI document as its page shows it: endpoints by heading, with curl commands, fields and sample answers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal.api.schema import Schema

TYPES: Final = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "array": "list",
    "null": "null",
}
FORMATS: Final = {"uuid": "id", "date-time": "time"}
SAMPLES: Final[dict[str, Any]] = {
    "string": "text",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "uuid": "019ac3f2-6f1e-7cc1-9d5a-5b8f2f6f3a10",
    "date-time": "2026-11-21T08:30:00Z",
}
BY_PROVIDER: Final = "fields of the provider"


@dataclass(frozen=True)
class Row:
    """One field or parameter as a table shows it."""

    name: str
    type: str
    required: bool
    about: str


@dataclass(frozen=True)
class Sample:
    """An answer: status, what it means, and how it looks."""

    status: str
    about: str
    body: str


@dataclass(frozen=True)
class Endpoint:
    """One endpoint as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    parameters: list[Row]
    fields: list[Row]
    curl: str
    answers: list[Sample]
    problems: list[str]


def of(document: Schema, *, base: str) -> dict[str, Any]:
    """Return what the page shows of a document.

    Args:
        document: the OpenAPI document.
        base: the portal's address, without a slash at its end.
    """
    reader = _Reader(document, base)
    names = document["components"]["schemas"]
    providers = {name.removesuffix("Credentials"): names[name] for name in names if name.endswith("Credentials")}
    return {
        "about": document["info"]["description"],
        "groups": reader.groups(),
        "providers": {slug: list(reader.rows(schema)) for slug, schema in providers.items()},
        "start": f'curl "{base}/api/admin/integrations" \\\n  -H "Authorization: Bearer $PORTAL_TOKEN"',
        "problem": _pretty(
            {
                "type": "about:blank",
                "title": "Values not valid",
                "status": 422,
                "detail": "Correct the fields listed under errors. Nothing was stored.",
                "errors": [{"field": "credentials.port", "message": "This must be a whole number or null."}],
                "request_id": SAMPLES["uuid"],
            }
        ),
    }


class _Reader:
    """Follows the references of one document."""

    def __init__(self, document: Schema, base: str) -> None:
        self.document, self.base = document, base

    def groups(self) -> list[tuple[str, list[Endpoint]]]:
        """Return the endpoints by heading."""
        found: dict[str, list[Endpoint]] = {each["name"]: [] for each in self.document["tags"]}
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                found[operation["tags"][0]].append(self._endpoint(method.upper(), path, operation))
        return list(found.items())

    def _endpoint(self, method: str, path: str, operation: Schema) -> Endpoint:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        problems = [each for each in operation["responses"] if each.startswith("4")]
        return Endpoint(
            id=operation["operationId"].replace("_", "-"),
            method=method,
            path=path,
            summary=operation["summary"],
            about=operation.get("description", ""),
            parameters=[self._parameter(each) for each in operation.get("parameters", [])],
            fields=list(self.rows(self._first(content["schema"]))) if content else [],
            curl=_curl(method, f"{self.base}{path}", content.get("example")),
            answers=[
                Sample(status, each["description"], self._body(each))
                for status, each in operation["responses"].items()
                if status.startswith("2")
            ],
            problems=problems,
        )

    def _parameter(self, parameter: Schema) -> Row:
        return Row(
            parameter["name"], self._type(parameter["schema"]), parameter["required"], parameter.get("description", "")
        )

    def _first(self, schema: Schema) -> Schema:
        """Return the schema itself, or of several the first: they differ in the credentials alone."""
        schema = self._followed(schema)
        return self._first(schema["oneOf"][0]) if "discriminator" in schema else schema

    def rows(self, schema: Schema, prefix: str = "") -> Iterator[Row]:
        """Yield the fields of an object, those of objects inside it with their path."""
        schema = self._followed(schema)
        for name, each in schema.get("properties", {}).items():
            required, about = name in schema.get("required", ()), each.get("description", "")
            if name == "credentials":
                yield Row(prefix + name, BY_PROVIDER, required, about)
            elif name == "provider":
                yield Row(prefix + name, "a provider's slug", required, about)
            else:
                yield Row(prefix + name, self._type(each), required, about or each.get("title", ""))
                yield from self.rows(each, f"{prefix}{name}.")

    def _type(self, schema: Schema) -> str:
        schema = self._followed(schema)
        default = [f"default {schema['default']}"] if "default" in schema else []
        if "enum" in schema:
            return ", ".join([*("null" if each is None else str(each) for each in schema["enum"]), *default])
        types = schema.get("type", "object")
        words = [
            FORMATS.get(schema.get("format", ""), TYPES.get(each, each)) for each in _list(types) if each != "null"
        ]
        if "minimum" in schema and "maximum" in schema:
            words.append(f"{schema['minimum']:,} to {schema['maximum']:,}")
        return ", ".join([*words, *default, *(["or null"] if "null" in types else [])])

    def _body(self, answer: Schema) -> str:
        content = answer.get("content", {}).get("application/json")
        return _pretty(self._sample(content["schema"])) if content else ""

    def _sample(self, schema: Schema) -> Any:
        """Return a value as the schema allows it, for people to see."""
        schema = self._followed(schema)
        if "examples" in schema:
            return schema["examples"][0]
        if "oneOf" in schema:
            return self._sample(schema["oneOf"][0])
        if "enum" in schema:
            return schema["enum"][0]
        kind = _list(schema.get("type", "object"))[0]
        if kind == "object":
            return {key: self._sample(each) for key, each in schema.get("properties", {}).items()}
        if kind == "array":
            return [self._sample(schema["items"])]
        if schema.get("type") == ["string", "null"] and "format" not in schema:
            return None
        return SAMPLES.get(schema.get("format", ""), SAMPLES[kind])

    def _followed(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        found: Schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found


def _curl(method: str, url: str, example: Mapping[str, Any] | None) -> str:
    lines = [f'curl "{url}"' if method == "GET" else f'curl -X {method} "{url}"']
    lines.append('-H "Authorization: Bearer $PORTAL_TOKEN"')
    if example is not None:
        lines += ['-H "Content-Type: application/json"', f"-d '{_pretty(example)}'"]
    return " \\\n  ".join(lines)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
