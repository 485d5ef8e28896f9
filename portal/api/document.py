"""The OpenAPI 3.1 document, made from the declarations of the endpoints."""

from http import HTTPStatus
from typing import Any, Final

from portal.api import components, idempotency
from portal.api.declaring import OPERATIONS, Operation
from portal.api.schema import Schema, ref

TAGS: Final = (
    "Integrations", "Health", "Alerts", "Webhooks", "Accepted events", "Deliveries", "Dead letters", "Event types",
    "Audit", "Events",
)  # fmt: skip
"""The headings in the order in which they are shown."""
VERSION: Final = "1.0"
TITLE: Final = "Integrations Portal"
ABOUT: Final = (
    "Errors are problem documents (RFC 9457). Times are RFC 3339 in UTC, ids are UUIDs. Lists answer items and "
    "next_cursor; the list of integrations is a plain array. Secrets are write-only: answers hold their last four "
    "characters at most, and a masked value that is sent back is refused. Writes by a session need the header "
    "X-CSRFToken; those by a token do not."
)
SECURITY: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "prt_",
        "description": "An API token, made under Settings, API tokens.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "portal",
        "description": "The cookie of an admin who is signed in with two-factor authentication.",
    },
}
PROBLEMS: Final = {
    400: "The request is not understood.",
    401: "Credentials are missing, expired or revoked.",
    403: "These credentials may not do this; the title says why.",
    404: "There is no such thing in this organization.",
    409: "It does not fit what is stored now.",
    413: "The request is too large.",
    415: "The body is not JSON.",
    422: "Values are wrong; errors names each.",
    429: "Too much at once; the header Retry-After says how many seconds to wait.",
    503: "The database does not answer, or its disk is full; nothing was stored.",
}
PATH_TYPES: Final = {"uuid": {"type": "string", "format": "uuid"}, "string": {"type": "string"}}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST},
    "description": "A repeat within 24 hours is answered as the first time, and does nothing.",
}
WITH_BODY: Final = (400, 413, 415, 422)


def build() -> Schema:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in sorted(OPERATIONS, key=lambda each: TAGS.index(each.tag)):
        paths.setdefault(each.url, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in TAGS],
        "paths": paths,
        "components": {
            "schemas": components.all_schemas(),
            "responses": {_name(status): _problem(about) for status, about in PROBLEMS.items()}
            | {"Problem": _problem("The portal or its database failed.")},
            "securitySchemes": SECURITY,
        },
    }


def problems_of(operation: Operation) -> list[int]:
    """Return the statuses of problems that an endpoint answers."""
    found = {401, 403, 422, *operation.problems}
    if operation.body or operation.method == "POST":
        found |= set(WITH_BODY)
    if operation.path_names:
        found.add(404)
    return sorted(found)


def _operation(operation: Operation) -> Schema:
    answers: Schema = {str(status): _answer(each.about, each.schema) for status, each in operation.answers.items()}
    problems = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in problems_of(operation)}
    found: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": _security(operation),
        "responses": answers | problems | {"default": {"$ref": "#/components/responses/Problem"}},
    }
    if operation.about:
        found["description"] = operation.about
    if parameters := _parameters(operation):
        found["parameters"] = parameters
    if operation.body:
        content = {"schema": operation.body.schema(), "example": operation.body.example}
        found["requestBody"] = {"required": operation.body.needed, "content": {"application/json": content}}
    return found


def _security(operation: Operation) -> list[Schema]:
    ways: list[Schema] = [{"token": [operation.scope]}] if operation.tokens else []
    return [*ways, {"session": []}] if operation.sessions else ways


def _parameters(operation: Operation) -> list[Schema]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": PATH_TYPES[kind]}
        for name, kind in operation.path_types.items()
    ]
    header = [IDEMPOTENCY_KEY] if operation.idempotent else []
    return path + [_query(name, schema) for name, schema in operation.query.items()] + header


def _query(name: str, schema: Schema) -> Schema:
    shown = {key: value for key, value in schema.items() if key != "description"}
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": "query", "required": False, "schema": shown, **about}


def _answer(about: str, schema: Schema | None) -> Schema:
    return {"description": about} | ({"content": {"application/json": {"schema": schema}}} if schema else {})


def _problem(about: str) -> Schema:
    return {"description": about, "content": {"application/problem+json": {"schema": ref("Problem")}}}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")
