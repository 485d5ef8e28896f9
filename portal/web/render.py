"""Full page or fragment: decided here and nowhere else; also toasts and where to go after a form."""

import json
from hashlib import blake2b
from typing import Any

from flask import flash, make_response, redirect, render_template, request
from flask.wrappers import Response
from jinja2_fragments.flask import render_block

from portal import clock


def wants_fragment() -> bool:
    """Return whether HTMX asked for a part of the page; history restores and boosted links want the whole."""
    headers = request.headers
    return bool(headers.get("HX-Request")) and not (
        headers.get("HX-Boosted") or headers.get("HX-History-Restore-Request")
    )


def page(template: str, *, block: str = "main", status: int = 200, **context: Any) -> Response:
    """Render the template, or for HTMX only its block.

    Args:
        template: path below templates/.
        block: what a fragment request gets of it.
        status: HTTP status.
        context: variables of the template.
    """
    html = render_block(template, block, **context) if wants_fragment() else render_template(template, **context)
    return make_response(html, status)


def fragment(template: str, block: str, *, status: int = 200, **context: Any) -> Response:
    """Render one block, whoever asks."""
    return make_response(render_block(template, block, **context), status)


def version_of(*seen: object) -> str:
    """Return a short name for what a part of a page shows, the same as long as that is the same.

    A minute is part of it, since pages say how many minutes ago something was.

    Args:
        seen: whatever the part is made of; each is told apart by its repr.
    """
    minute = clock.now().replace(second=0, microsecond=0)
    return blake2b(repr((minute, seen)).encode(), digest_size=8).hexdigest()


def is_shown(version: str) -> bool:
    """Return whether the region that asks for itself again shows this version already: then it needs no answer."""
    return wants_fragment() and request.headers.get("X-Portal-Poll") == version


def nothing_new() -> Response:
    """Answer a region that nothing changed."""
    return Response(status=204)


def add_toast(
    response: Response, title: str, *, tone: str = "ok", body: str = "", undo: dict[str, Any] | None = None
) -> Response:
    """Let the page show a toast once the response has arrived (header HX-Trigger).

    Args:
        response: what is answered.
        title: one sentence.
        tone: ok, warn, err, info or off.
        body: what there is to add.
        undo: address and form fields that take the change back, as {"url": …, "fields": {…}}.
    """
    return trigger(response, "toast", {"tone": tone, "title": title, "body": body, "undo": undo})


def trigger(response: Response, event: str, detail: object = None) -> Response:
    """Fire an event in the page once the response has arrived, beside those already asked for."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**events, event: detail})
    return response


def came_from(otherwise: str) -> str:
    """Return the page of the portal that a form stood on; another site's address counts as none."""
    path = (request.referrer or "").removeprefix(request.host_url.rstrip("/"))
    return path if path.startswith("/") and not path.startswith("//") else otherwise


def go_to(url: str, *, toast: str = "", tone: str = "ok", body: str = "") -> Response:
    """Leave for another page of the portal after a form, with a toast there."""
    if toast:
        flash(json.dumps({"tone": tone, "title": toast, "body": body}), "toast")
    if request.headers.get("HX-Request"):
        response = make_response("", 204)
        response.headers["HX-Redirect"] = url
        return response
    return make_response(redirect(url, 303))
