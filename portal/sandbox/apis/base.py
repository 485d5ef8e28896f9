"""What an API that the sandbox plays over HTTPS consists of, and the answers all of them need."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Flask
from werkzeug.wrappers import Response

from portal.sandbox.state import FaultMode, State

PAGE: Final = "<html><head><title>Service gateway</title></head><body><h1>Back soon</h1></body></html>\n"
"""What a gateway in front of a provider shows in place of an answer."""
Refusal = Callable[[], Response]


@dataclass(frozen=True, kw_only=True)
class Api:
    """A provider's web API, as the sandbox plays it. A new one: one file with its ALL_CAPS instance, one line in APIS.

    Attributes:
        slug: the provider's name in faults and requests.
        hosts: the host names under which it is reached; *.example.com stands for every name below.
        make: builds the application that answers; what it must remember it keeps in the state.
        refusals: how it answers while a fault is on; the modes that are not here are the server's matter.
        accounts: what it accepts, published: name to value.
        hidden_path: a regular expression for what must not be remembered of a path, where that holds a secret.
    """

    slug: str
    hosts: tuple[str, ...]
    make: Callable[[State], Flask]
    refusals: Mapping[FaultMode, Refusal]
    accounts: Mapping[str, str]
    hidden_path: str = ""


def api_app(slug: str) -> Flask:
    """Return an application without routes whose JSON keeps the order it was written in."""
    app = Flask(f"portal.sandbox.{slug}", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's own provider has it
    return app


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON; works outside an application too."""
    return Response(json.dumps(body), status, dict(headers or {}), mimetype="application/json")


def spoiled(answer: Response) -> Response:
    """Return the answer as a broken service gives it: JSON that ends in the middle, or a page where nothing was due."""
    content = answer.get_data()
    if answer.mimetype == "application/json" and len(content) > 1:
        return Response(content[: len(content) // 2], answer.status_code, mimetype="application/json")
    return Response(PAGE, 200, mimetype="text/html")
