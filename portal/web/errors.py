"""Errors as pages: what happened, what to do, the request id; a fragment request gets a fragment."""

import json
import logging
from dataclasses import dataclass

from flask import Flask, g, make_response, render_template, request
from flask.wrappers import Response
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from portal.database import db
from portal.extensions import login_manager
from portal.web import problems
from portal.web.problems import Problem
from portal.web.render import wants_fragment

log = logging.getLogger("portal.web")


@dataclass(frozen=True)
class Words:
    """What a page says about one status."""

    title: str
    text: str


WORDS = {
    400: Words("The request could not be read", "Go back, reload the page and try again."),
    401: Words("You are signed out", "Sign in again to go on. Nothing of this was stored."),
    403: Words(
        "You cannot open this page", "Integrations are managed by owners and admins. Ask one of them for access."
    ),
    404: Words("This page does not exist", "What it showed may have been deleted, or the address is mistyped."),
    405: Words("This address does not take that action", "Go back to the page and use its buttons."),
    413: Words("Too much was sent at once", "Shorten what you entered and try again. Nothing was stored."),
    422: Words("Something in the form is wrong", "Correct the marked fields and try again. Nothing was stored."),
    429: Words("Too many tries", "Wait a moment, then try again."),
    500: Words("Something went wrong in the portal", "Nothing was lost. Try again; if it stays, tell your operator."),
    503: Words("The database did not answer", "Nothing was lost. Try again in a moment."),
}


def init_app(app: Flask) -> None:
    """Answer every error of the application in words."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(Exception, _unexpected)


def answer(status: int, *, title: str = "", text: str = "") -> Response:
    """Render the error page of a status, or for HTMX its fragment: the script puts it in place or into a toast.

    The API gets a problem document.
    """
    if problems.wanted():
        return problems.problem(status, title=title, detail=text)
    words = WORDS.get(status, WORDS[500 if status >= 500 else 400])
    shown = {"status": status, "title": title or words.title, "text": text or words.text}
    if wants_fragment():
        return make_response(render_template("errors/fragment.html", **shown), status)
    return make_response(render_template("errors/error.html", **shown), status)


def _http(error: HTTPException) -> Response:
    if isinstance(error, Problem):
        return error.answer()
    if error.response is not None:
        return make_response(error.response)
    response = answer(error.code or 500)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _csrf(_error: CSRFError) -> Response:
    if problems.wanted():
        detail = "A session's writes need the header X-CSRFToken with the token of its pages; a token's writes do not."
        return problems.problem(403, title="CSRF token missing", detail=detail)
    return answer(
        400,
        title="This page is out of date",
        text="Somebody signed in or out in this browser since it was opened. Reload it and try again."
        " Nothing was stored.",
    )


def _database(error: OperationalError) -> Response:
    log.error("database: %s", json.dumps({"request": g.get("request_id"), "error": str(error.orig)}))
    return _answer_without_database(503)


def _unexpected(error: Exception) -> Response:
    log.error("request %s %s %s failed", g.get("request_id"), request.method, request.path, exc_info=error)
    try:
        db.session.rollback()  # PostgreSQL answers nothing more in a transaction that failed, and the page asks it
        return answer(500)
    except SQLAlchemyError:
        return _answer_without_database(500)


def _answer_without_database(status: int) -> Response:
    """Render the error page as for nobody: names and navigation would have to be read."""
    g._login_user = login_manager.anonymous_user()  # noqa: SLF001 - where Flask-Login keeps who is asking
    return answer(status)
