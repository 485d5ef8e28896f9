"""Web room: what every page shares, and nothing about any feature."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, abort, get_flashed_messages, request
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined

from portal.extensions import csrf
from portal.web import access, assets, errors, filters, headers, markup
from portal.web.access import check_rules
from portal.web.controls import Controls
from portal.web.cookies import CookieSessions

__all__ = ["check_rules", "init_app"]


def init_app(app: Flask, *, https: bool) -> None:
    """Give the application its headers, gate, filters, macros and error pages."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.session_interface = CookieSessions()
    headers.init_app(app, https=https)
    filters.init_app(app)
    errors.init_app(app)
    _guard(app)
    app.jinja_env.globals.update(parts(partial(assets.asset, debug=app.debug)), url_for=markup.addresses(app))
    _register_macros(app)
    app.context_processor(_shared)


def parts(asset: Callable[[str], str]) -> dict[str, Any]:
    """Return what templates call that is made in Python.

    Args:
        asset: returns the address of a front-end file.
    """
    icon = markup.icons(asset)
    return {
        "asset": asset,
        "attributes": markup.attributes,
        "hidden_fields": markup.hidden_fields,
        "csrf_field": markup.csrf_field,
        "icon": icon,
        "uptime_bar": markup.uptime_bar,
        **Controls(icon).functions(),
    }


def _guard(app: Flask) -> None:
    @app.before_request
    def _gate() -> Any:
        if headers.from_another_site():
            abort(403)
        if request.endpoint and not access.bears_token():
            _check_form_token()
        return access.gate()


def _check_form_token() -> None:
    """Refuse a write without the token of a form; whoever was signed out meanwhile is told that instead."""
    try:
        csrf.protect()
    except CSRFError:
        if access.needs_session() and access.signed_in() is None:
            abort(401)
        raise


def _shared() -> dict[str, Any]:
    return {"identity": access.signed_in(), "toasts": _toasts()}


def _toasts() -> list[dict[str, str]]:
    """Return what the page that sent the person here wants to say."""
    return [json.loads(str(message)) for message in get_flashed_messages(category_filter=["toast"])]


def _register_macros(app: Flask) -> None:
    """Make each macro of templates/components a global: fragments do not see what a page imports at its top."""
    folder = Path(str(app.template_folder)) / "components"
    for file in sorted(folder.glob("*.html")):
        module = app.jinja_env.get_template(f"components/{file.name}").module
        app.jinja_env.globals.update({name: macro for name, macro in vars(module).items() if not name.startswith("_")})
