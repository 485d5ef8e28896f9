"""Callers of the JSON API for tests: each answer is held against the OpenAPI document."""

import json
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from flask import Flask
from jsonschema_rs import Draft202012Validator
from werkzeug.routing import MapAdapter, RequestRedirect
from werkzeug.test import TestResponse

from portal.accounts import api_tokens
from portal.api import document
from portal.api.declaring import OPERATIONS
from portal.database import unit_of_work
from tests.support.people import Browser, Person, Team

DOCUMENT = document.build()
SMTP: dict[str, Any] = {
    "preset": "custom",
    "host": "mail.example.com",
    "security": "starttls",
    "port": 587,
    "username": "portal",
    "password": "correct horse battery",
    "from_email": "noreply@example.com",
}
OTHERS = ("openapi", "docs")
"""Views of the room that are not part of the document."""


def make_token(app: Flask, person: Person, *, scopes: Sequence[str] = ("admin",), days: int = 90) -> str:
    """Return a new token of a person."""
    with app.app_context(), unit_of_work():
        return api_tokens.create(
            user_id=person.user_id,
            organization_id=person.organization_id,
            name=f"Test {uuid.uuid4().hex[:8]}",
            scopes=scopes,
            days=days,
        )[1]


def smtp(**changes: Any) -> dict[str, Any]:
    """Return credentials of a mail server; a keyword changes or adds a field, Ellipsis takes it out."""
    return {name: value for name, value in {**SMTP, **changes}.items() if value is not ...}


def wanted(**changes: Any) -> dict[str, Any]:
    """Return the body that creates or overwrites an SMTP integration; a keyword changes or adds a member."""
    return {"provider": "smtp", "credentials": smtp(), "enabled": True, **changes}


class Reply:
    """What came back; `json` is the document in it, None where there is none."""

    def __init__(self, answer: TestResponse) -> None:
        self.status_code, self.headers, self.mimetype = answer.status_code, answer.headers, answer.mimetype
        self.data, self.text = answer.data, answer.text
        self.json: Any = answer.get_json(silent=True)


class Caller:
    """A program that calls the API with a token, or a browser's session that does so by script."""

    def __init__(
        self, app: Flask, *, token: str = "", browser: Browser | None = None, root: str = "/api/admin"
    ) -> None:
        self.app, self.root = app, root
        self.client = browser.client if browser else app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if browser:
            self.headers["X-CSRFToken"] = browser.csrf

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Call an address below the root and check that the document describes what comes back."""
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        headers = {**self.headers, **options.pop("headers", {})}
        found = self.client.open(f"{self.root}{path}", method=method, headers=headers, **options)
        answer = Reply(found)
        check_answer(self.app, method, f"{self.root}{path.partition('?')[0]}", answer)
        return answer

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, str]:
        """Call, and return what is wrong by field; nothing else than 422 is expected."""
        answer = self(method, path, body, **options)
        assert answer.status_code == 422, answer.text
        return {each["field"]: each["message"] for each in answer.json.get("errors", [])}


def check_answer(app: Flask, method: str, path: str, answer: Reply) -> None:
    """Fail unless the document says that this endpoint answers like that."""
    described = described_answers(app, method, path)
    if described is None:
        assert answer.status_code in (404, 405), f"{method} {path}"
        return
    shape = described.get(str(answer.status_code))
    assert shape is not None, f"{method} {path} answers {answer.status_code}, which is not described: {answer.text}"
    if "$ref" in shape:
        shape = DOCUMENT["components"]["responses"][shape["$ref"].rpartition("/")[2]]
    if "content" not in shape:
        assert (answer.data, answer.mimetype) == (b"", None)
        return
    ((kind, content),) = shape["content"].items()
    assert answer.mimetype == kind
    errors = [str(each) for each in validator(json.dumps(content["schema"])).iter_errors(answer.json)]
    assert errors == [], f"{method} {path} {answer.status_code}"


@cache
def validator(schema: str) -> Draft202012Validator:
    """Return what holds answers against a schema of the document; to make one takes longer than a call."""
    return Draft202012Validator({**json.loads(schema), "components": DOCUMENT["components"]}, validate_formats=True)


def described_answers(app: Flask, method: str, path: str) -> dict[str, Any] | None:
    """Return the answers that the document knows of an endpoint; None where there is no such endpoint."""
    adapter: MapAdapter = app.url_map.bind("localhost")
    if not adapter.test(path, method):
        return None
    try:
        endpoint, _ = adapter.match(path, method)
    except RequestRedirect:
        return None
    (operation,) = [each for each in OPERATIONS if endpoint == f"api.{each.name}"]
    found: dict[str, Any] = DOCUMENT["paths"][operation.url][operation.method.lower()]["responses"]
    return found


@pytest.fixture
def api(app: Flask, team: Team) -> Caller:
    """A program with an admin's token."""
    return Caller(app, token=make_token(app, team.admin))


@pytest.fixture
def by_session(app: Flask, team: Team) -> Caller:
    """The script of a page that an admin has open."""
    return Caller(app, browser=Browser(app, team.admin))


@pytest.fixture
def caller(app: Flask) -> Callable[[Person], Caller]:
    """Makes callers with a token of whoever is named."""
    return lambda person: Caller(app, token=make_token(app, person))
