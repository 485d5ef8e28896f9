"""The style guide: every component in every state on one page, for whoever builds pages and for the tests that look."""

import re
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from flask import request, url_for
from flask.wrappers import Response
from wtforms import BooleanField, EmailField, Form, PasswordField

from portal import clock
from portal.overview.routes import blueprint
from portal.web.access import Who, allow
from portal.web.assets import STATIC_DIR
from portal.web.render import add_toast, go_to, page

PARTS = {"example-live": "live", "drawer-host": "drawer"}
"""Element that is replaced: block of the page that takes its place."""
DONE = "Nothing happened: this is an example."


class Example(Form):
    """A form as Flask-WTF hands it to a template."""

    email = EmailField("Email", description="Sign-in name.")
    password = PasswordField("Password")
    remember = BooleanField("Remember me")


@blueprint.get("/admin/style-guide")
@allow(Who.ADMIN)
def style_guide() -> Response:
    """Show every component in every state."""
    block = PARTS.get(request.headers.get("HX-Target", ""), "main")
    return page("style_guide/index.html", block=block, **_examples())


@blueprint.post("/admin/style-guide")
@allow(Who.ADMIN)
def try_out() -> Response:
    """Change nothing, and say so in a toast: where the examples that are forms lead."""
    if not request.headers.get("HX-Request"):
        return go_to(url_for("overview.style_guide"), toast=DONE, tone="info")
    return add_toast(Response(status=204), DONE, tone="info", undo={"url": request.path, "fields": {}})


def _examples() -> dict[str, Any]:
    now = clock.now()
    return {
        "here": url_for("overview.style_guide"),
        "drawer_open": request.args.get("drawer") == "open",
        "now": now,
        "moments": _moments(now),
        "icons": icons(),
        "wtf": _form(),
        "days": ["none"] * 3 + ["ok"] * 40 + ["warn"] + ["ok"] * 20 + ["err", "warn"] + ["ok"] * 24,
    }


def _moments(now: datetime) -> list[datetime]:
    lengths = (timedelta(0), timedelta(minutes=2), timedelta(hours=5), timedelta(days=3), timedelta(days=40))
    return [now - length for length in lengths]


def _form() -> Example:
    """Return a form that the server refused."""
    form = Example(data={"email": "noreply@northline", "remember": True})
    form.form_errors = ["Email or password is wrong. Try again."]
    form.email.errors = ["This is no email address. Write it like name@example.org."]
    return form


@cache
def icons() -> list[str]:
    """Return the names of all icons, sorted."""
    return sorted(re.findall(r'id="i-([\w-]+)"', (STATIC_DIR / "icons.svg").read_text(encoding="utf-8")))
