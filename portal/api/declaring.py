"""Endpoints of the JSON API: one declaration each, from which requests are checked and the OpenAPI document is made."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property, wraps
from typing import Any, Final

from flask import Blueprint
from flask.wrappers import Response

from portal.api import faults, reading
from portal.api.reading import Rules
from portal.api.schema import Schema, changes
from portal.web.access import Who, allow

blueprint = Blueprint("api", __name__, url_prefix="/api")
OPERATIONS: Final[list["Operation"]] = []
"""Every endpoint, in the order in which the document shows them."""

View = Callable[..., Any]
Choose = Callable[..., Schema]
"""Returns the schema that one body must follow; gets the body, and what stands in the path by name."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a request carries.

    Attributes:
        schema: returns what the document shows; the providers' declarations are part of it.
        choose: returns what one body is held against, once it says which provider it is for; None is `schema` for all.
        example: shown in the documentation.
        needed: whether the request must have one; nothing is then as good as an empty object.
    """

    schema: Callable[[], Schema]
    choose: Choose | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    needed: bool = True

    def rules_for(self, sent: Any, path: Mapping[str, Any]) -> Rules:
        """Return what one body is held against."""
        return Rules(self.choose(sent, **path)) if self.choose else self._rules

    @cached_property
    def _rules(self) -> Rules:
        return Rules(self.schema())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What comes back with one status; `schema` is None where nothing comes."""

    about: str
    schema: Schema | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One endpoint.

    Attributes:
        name: of the view; the document's operationId.
        method: in capitals.
        path: below /api, as Flask writes it.
        summary: a few words; `about` says what there is to add.
        tag: under which heading the documentation shows it.
        scope: what a token must be allowed to do.
        query: the parameters that the address may carry.
        problems: statuses it answers besides those that follow from the rest.
        sessions: whether a browser's session may call it, too.
        tokens: whether a token may.
        idempotent: whether it takes an Idempotency-Key.
        most_bytes: of a body; None is what every request may carry.
    """

    name: str
    method: str
    path: str
    summary: str
    about: str
    tag: str
    scope: str
    answers: Mapping[int, Answer]
    query: Mapping[str, Schema]
    body: Body | None
    problems: tuple[int, ...]
    sessions: bool = True
    tokens: bool = True
    idempotent: bool = False
    most_bytes: int | None = None

    @cached_property
    def query_rules(self) -> Rules:
        """What the parameters of the address must follow."""
        return Rules(changes(**self.query))

    @property
    def url(self) -> str:
        """The path as OpenAPI writes it, from the root."""
        return "/api" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.path)

    @property
    def path_names(self) -> list[str]:
        """The names of what the path carries."""
        return list(self.path_types)

    @property
    def path_types(self) -> dict[str, str]:
        """Name of what the path carries → Flask's name of its type."""
        return {name: kind or "string" for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", self.path)}


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A part of the API with one address, one audience and one scope."""

    prefix: str
    who: Who
    scope: str
    sessions: bool = True
    """Whether a browser's session may call it, beside tokens."""

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        tag: str,
        answers: Mapping[int, Answer],
        query: Mapping[str, Schema] | None = None,
        body: Body | None = None,
        problems: tuple[int, ...] = (),
        recent: bool = False,
        idempotent: bool = False,
        most_bytes: int | None = None,
    ) -> Callable[[View], View]:
        """Declare an endpoint. The view's docstring is its documentation, and the view gets only what was checked.

        It is called with what stands in the path, and with `query` and `body` where they are declared; it returns what
        is answered, or a pair of that and the status where the declaration names several.

        Args:
            method: in capitals.
            path: below the surface's address, as Flask writes it.
            tag: under which heading the documentation shows it.
            answers: status → what comes back.
            query: the parameters that the address may carry.
            body: what a request carries.
            problems: statuses it answers besides those that follow from the rest.
            recent: only for sessions with a confirmation of the last ten minutes.
            idempotent: takes an Idempotency-Key; the view runs its work through idempotency.once().
            most_bytes: of a body, where it is not what every request may carry.
        """

        def declare(view: View) -> View:
            summary, _, about = inspect.cleandoc(view.__doc__ or "").partition("\n")
            operation = Operation(
                name=view.__name__,
                method=method,
                path=self.prefix + path,
                summary=summary.rstrip("."),
                about=" ".join(about.split()),
                tag=tag,
                scope=self.scope,
                answers=answers,
                query=query or {},
                body=body,
                problems=problems,
                sessions=self.sessions,
                tokens=not recent,
                idempotent=idempotent,
                most_bytes=most_bytes,
            )
            OPERATIONS.append(operation)
            rule = allow(self.who, recent=recent, scope=self.scope, tokens_only=not self.sessions)
            run = rule(_runner(operation, view))
            blueprint.add_url_rule(operation.path, operation.name, run, methods=[method])
            return view

        return declare


def _runner(operation: Operation, view: View) -> View:
    @wraps(view)
    def run(**path: Any) -> Response:
        given = {**path, **_checked(operation, path)}
        with faults.as_problems():
            found = view(**given)
        return _respond(operation, found)

    return run


def _checked(operation: Operation, path: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters and body as the declaration wants them."""
    given: dict[str, Any] = {"query": reading.query(operation.query, operation.query_rules)}
    if operation.body:
        shape, most = operation.body, operation.most_bytes
        is_there = shape.needed or reading.is_there()
        given["body"] = reading.body(lambda sent: shape.rules_for(sent, path), most_bytes=most) if is_there else {}
    elif operation.method == "POST":
        reading.no_body()
    return given if operation.query else {name: value for name, value in given.items() if name != "query"}


def _respond(operation: Operation, found: Any) -> Response:
    value, status = found if isinstance(found, tuple) else (found, next(iter(operation.answers)))
    if operation.answers[status].schema is None:
        response = Response(status=status)
        del response.headers["Content-Type"]
        return response
    text = json.dumps(value, default=_plain, ensure_ascii=False)  # masks stay legible in a terminal
    return Response(text.encode(errors="replace"), status, mimetype="application/json")


def _plain(value: object) -> str:
    """Return times in UTC as RFC 3339 writes them, and everything else (ids) as text."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def moment(value: datetime) -> str:
    """Return a moment in UTC as RFC 3339 writes it, to the microsecond."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


admin = Surface(prefix="/admin", who=Who.ADMIN, scope="admin")
"""What admins do, in the portal or by a token."""
events = Surface(prefix="/v1", who=Who.MEMBER, scope="events:write", sessions=False)
"""What applications do that send events."""
