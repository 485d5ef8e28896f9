"""Errors of the JSON API: problem documents (RFC 9457), to return or to raise anywhere below a view."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import g, jsonify, request
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException

TYPE = "application/problem+json"
PREFIX = "/api/"
PAGES = ("/api/docs",)
"""Pages for people below the API's address."""

TITLES: Mapping[int, tuple[str, str]] = {
    400: ("Request not understood", "Send the request as the documentation at /api/docs describes it."),
    401: ("Credentials missing", "Send a token as “Authorization: Bearer prt_…”, or sign in as an admin."),
    403: ("Not allowed", "These credentials may not do this."),
    404: ("Not found", "There is nothing at this address, or it belongs to somebody else."),
    405: ("Method not allowed", "The header Allow lists the methods of this address."),
    409: ("Conflict", "The request does not fit what is stored now."),
    413: ("Request too large", "Send less at once. Nothing was stored."),
    415: ("Not JSON", "Send the body as application/json."),
    422: ("Values not valid", "Correct the fields listed under errors. Nothing was stored."),
    429: ("Too many requests", "Wait for as many seconds as the header Retry-After says."),
    500: ("Error in the portal", "Try again; if it stays, tell your operator the request id."),
    503: ("Database not answering", "Nothing was stored. Try again in a moment."),
}

Errors = Sequence[tuple[str, str]]
"""Pairs of field and sentence."""


class Problem(HTTPException):
    """An error of the API, raised by whoever finds it.

    Attributes:
        title: what kind of problem it is; the same for every case of it.
        errors: the fields that are wrong, each with a sentence.
        headers: more headers of the answer.
        more: further members of the document.
    """

    def __init__(
        self,
        status: int,
        *,
        title: str = "",
        detail: str = "",
        errors: Errors = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.code, self.title, self.errors = status, title, errors
        self.headers, self.more = dict(headers or {}), more

    def answer(self) -> Response:
        """Return the answer."""
        response = problem(
            self.code or 500, title=self.title, detail=self.description or "", errors=self.errors, **self.more
        )
        response.headers.update(self.headers)
        return response


def problem(status: int, *, title: str = "", detail: str = "", errors: Errors = (), **more: Any) -> Response:
    """Return a problem document.

    Args:
        status: HTTP status.
        title: a few words; those of the status where none are given.
        detail: what happened, then what to do.
        errors: the fields that are wrong, each with a sentence.
        more: further members of the document.
    """
    words = TITLES.get(status) or TITLES[500 if status >= 500 else 400]
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": title or words[0],
        "status": status,
        "detail": detail or words[1],
        "request_id": g.get("request_id"),
    }
    if errors:
        document["errors"] = [{"field": field, "message": message} for field, message in errors]
    response = jsonify(document | more)
    response.status_code, response.mimetype = status, TYPE
    return response


def wanted() -> bool:
    """Return whether errors of this request are answered as problem documents: it is one to the API."""
    return request.path.startswith(PREFIX) and not request.path.startswith(PAGES)
