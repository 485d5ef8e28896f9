"""Accounts room: organizations, users, sessions, two-factor authentication."""

import logging
from collections.abc import Callable

from flask import Flask, current_app, g, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from portal.accounts import (
    api_tokens,
    browser,
    hashing,
    organization_routes,
    profile_routes,
    sessions,
    token_routes,
    two_factor_routes,
)
from portal.accounts.identity import Identity
from portal.accounts.routes import blueprint
from portal.audit import trail
from portal.database import glancing, unit_of_work
from portal.extensions import login_manager
from portal.security.passwords import PasswordHasher
from portal.web import access
from portal.web.access import Who
from portal.web.render import go_to

__all__ = ["init_app", "organization_routes", "profile_routes", "token_routes", "two_factor_routes"]

log = logging.getLogger("portal.accounts")
POLL = "X-Portal-Poll"
"""Header of requests that a page sends by itself: they do not keep a session alive."""
ENROLLING = frozenset(
    f"accounts.{name}"
    for name in (
        "two_factor_required",
        "two_factor_start",
        "two_factor_enrol",
        "recovery_codes",
        "recovery_codes_file",
        "recovery_codes_saved",
        "recovery_codes_new",
        "confirm",
        "switch_organization",
    )
)
"""All that is open to a member whose two-factor authentication is due."""


def init_app(app: Flask) -> None:
    """Register the pages, and recognise whoever sends a request."""
    login_manager.session_protection = None
    login_manager.user_loader(_load)
    login_manager.request_loader(lambda _request: _load_bearer())
    hashing.use_hasher(app, PasswordHasher())
    app.before_request(_recognise)
    app.register_blueprint(blueprint)


def _load(token: str) -> Identity | None:
    """Return who holds the token of the cookie. Runs once per request, in a transaction of its own.

    Where the database fails this request belongs to nobody, so that the error page can be rendered.
    """
    if access.bears_token():
        return _load_bearer()
    return _once(lambda: sessions.identity_of(token), _touch)


def _load_bearer() -> Identity | None:
    """Return for whom the API token of this request works, where it bears a good one; its cookie is not looked at."""
    token = access.bearer()
    return _once(lambda: api_tokens.identity_of(token), _use) if token else None


def _once(
    find: Callable[[], Identity | None],
    seen: Callable[[Identity], None],
) -> Identity | None:
    if g.get("identity_failed"):
        return None
    g.identity_failed = True
    with glancing():
        who = find()
    if who:
        seen(who)
    g.identity_failed = False
    return who


def _touch(who: Identity) -> None:
    if sessions.is_stale(who) and POLL not in request.headers:
        _note(lambda: sessions.touch(who.session_id))


def _use(who: Identity) -> None:
    if api_tokens.is_stale(who):
        _note(lambda: api_tokens.touch(who.session_id, ip=request.remote_addr or ""))


def _note(write: Callable[[], None]) -> None:
    """Note that a session or token is in use; a database too busy for that is no reason to refuse the request."""
    try:
        with unit_of_work():
            write()
    except OperationalError:
        log.warning("the time of a last use could not be written")


def _recognise() -> ResponseReturnValue | None:
    """Load the identity before a view opens a transaction, name it to the audit trail, hold back who must enrol."""
    if request.endpoint == "static":
        return None
    who = access.signed_in()
    if not isinstance(who, Identity):
        return None
    trail.set_actor(browser.actor(who))
    if who.token_scopes is None and who.two_factor_due and _is_closed(request.endpoint):
        return go_to(url_for("accounts.two_factor_required"))
    return None


def _is_closed(endpoint: str | None) -> bool:
    rule = access.rule_of(current_app, endpoint) if endpoint else None
    return rule is not None and rule.who not in (Who.ANYONE, Who.PENDING) and endpoint not in ENROLLING
