"""Who may call a route: every view carries a rule, and one gate enforces it before the view runs."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar, cast

from flask import Flask, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.web.problems import PREFIX, Problem

RECENT = timedelta(minutes=10)
"""How long a password or code counts as given recently (product: recent authentication)."""

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


class Role(StrEnum):
    """What a member may do in an organization."""

    OWNER = "owner"
    ADMIN = "admin"
    AGENT = "agent"


class Identity(Protocol):
    """Who is asking: the signed-in member as this request sees them. Accounts sets it before each request."""

    user_id: uuid.UUID
    organization_id: uuid.UUID
    organization_name: str
    role: Role
    name: str
    email: str
    time_zone: str
    session_id: uuid.UUID
    two_factor: bool
    two_factor_enrolled: bool
    recent_until: datetime | None
    token_scopes: frozenset[str] | None
    """What the API token may do that asks; None where a browser's session does."""

    @property
    def is_authenticated(self) -> bool:
        """Whether sign-in is complete, the second factor included where one is enrolled."""

    @property
    def two_factor_due(self) -> bool:
        """Whether nothing but the enrolment of two-factor authentication is open."""


class Who(StrEnum):
    """Who may call a view."""

    ANYONE = "anyone"
    """Nobody needs to be signed in."""
    PENDING = "pending"
    """The password was right, the second factor is still due."""
    MEMBER = "member"
    """Any signed-in member."""
    ADMIN = "admin"
    """Owners and admins, with two-factor authentication on."""
    OWNER = "owner"
    """Owners, with two-factor authentication on."""


@dataclass(frozen=True)
class Rule:
    """What the gate asks of the caller of one view."""

    who: Who
    recent: bool = False
    """Whether password or code must have been given in the last ten minutes."""
    scope: str = ""
    """What an API token must be allowed to do. A view with a scope belongs to the JSON API: it takes tokens beside
    sessions, and answers whoever may not call it by problem documents."""
    tokens_only: bool = False
    """Whether the view is for applications, so that a browser's session counts for nothing."""


def allow(who: Who, *, recent: bool = False, scope: str = "", tokens_only: bool = False) -> Callable[[View], View]:
    """Attach the rule to a view; a view without one stops the start of the portal."""

    def mark(view: View) -> View:
        view.access_rule = Rule(who, recent, scope, tokens_only)  # type: ignore[attr-defined]
        return view

    return mark


def identity() -> Identity:
    """Return who is signed in. Call it only in views whose rule guarantees that somebody is."""
    return cast(Identity, current_user._get_current_object())  # noqa: SLF001 - how werkzeug's proxies are opened


def signed_in() -> Identity | None:
    """Return who is signed in, or None."""
    who: Identity | None = current_user._get_current_object()  # noqa: SLF001 - asked once, not at each attribute
    return who if who is not None and who.is_authenticated else None


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """Return the rule of an endpoint; the static files belong to anyone."""
    if endpoint == "static":
        return Rule(Who.ANYONE)
    return getattr(app.view_functions[endpoint], "access_rule", None)


def scopes(app: Flask) -> list[str]:
    """Return the scopes that some view of the API asks for, sorted."""
    rules = (rule_of(app, endpoint) for endpoint in app.view_functions)
    return sorted({rule.scope for rule in rules if rule and rule.scope})


def needs_session() -> bool:
    """Return whether the requested view is a page for members only."""
    rule = rule_of(current_app, request.endpoint) if request.endpoint else None
    return rule is not None and not rule.scope and rule.who not in (Who.ANYONE, Who.PENDING)


def bearer() -> str:
    """Return the token that the request to the API bears, "" where it bears none or goes elsewhere."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if request.path.startswith(PREFIX) and scheme.lower() == "bearer" else ""


def bears_token() -> bool:
    """Return whether the request stands on an API token, so that its cookies count for nothing."""
    return bool(bearer())


def check_rules(app: Flask) -> None:
    """Refuse an application with a view that nobody decided about.

    Raises:
        RuntimeError: a view has no rule.
    """
    missing = sorted(name for name in app.view_functions if rule_of(app, name) is None)
    if missing:
        raise RuntimeError(f"no access rule on: {', '.join(missing)}")


def gate() -> ResponseReturnValue | None:
    """Enforce the rule of the requested view; nothing runs before it but loading the identity."""
    if request.endpoint is None:
        return None
    rule = rule_of(current_app, request.endpoint)
    if rule is None:
        abort(403)
    if rule.who in (Who.ANYONE, Who.PENDING):
        return None  # a pending sign-in is checked by the view itself: there is no identity yet
    who = signed_in()
    if rule.scope:
        _refuse_call(rule, who)
        return None
    if who is None or who.token_scopes is not None:
        return _elsewhere(url_for("accounts.login", next=_here()))
    return _refuse(rule, who)


def _refuse_call(rule: Rule, who: Identity | None) -> None:
    """Refuse a call of the API that the rule does not allow.

    Raises:
        Problem: it does not; the title says why.
    """
    if who is None:
        told = {"WWW-Authenticate": "Bearer"}
        if bears_token():
            detail = "The token is unknown, expired or revoked. Make a new one under Settings, API tokens."
            raise Problem(401, title="Token not accepted", detail=detail, headers=told)
        raise Problem(401, headers=told)
    if who.token_scopes is None and rule.tokens_only:
        detail = "This is for applications: send a token as “Authorization: Bearer prt_…”."
        raise Problem(401, title="Token required", detail=detail, headers={"WWW-Authenticate": "Bearer"})
    if who.token_scopes is not None and rule.scope not in who.token_scopes:
        raise Problem(403, title="Scope missing", detail=f"The token has not the scope {rule.scope}.")
    if rule.who in (Who.ADMIN, Who.OWNER) and who.role is Role.AGENT:
        raise Problem(403, title="Admins only", detail="This is for owners and admins.")
    if rule.who is Who.OWNER and who.role is not Role.OWNER:
        raise Problem(403, title="Owners only", detail="This is for owners.")
    if not who.two_factor_enrolled and (rule.who in (Who.ADMIN, Who.OWNER) or who.two_factor_due):
        detail = "Turn two-factor authentication on in the portal first."
        raise Problem(403, title="Two-factor authentication required", detail=detail)
    if rule.recent and who.token_scopes is not None:
        raise Problem(403, title="Session required", detail="Tokens may not do this. Do it in the portal.")
    if rule.recent:
        require_recent(who)


def require_recent(who: Identity) -> None:
    """Refuse a session of the API whose last confirmation is long ago; tokens have nothing to confirm with, and pass.

    Raises:
        Problem: it is.
    """
    if who.token_scopes is None and not is_recent(who):
        detail = "Enter your password or a code in the portal, then send this again within ten minutes."
        raise Problem(403, title="Recent authentication required", detail=detail)


def _refuse(rule: Rule, who: Identity) -> ResponseReturnValue | None:
    if rule.who in (Who.ADMIN, Who.OWNER):
        if who.role is Role.AGENT or (rule.who is Who.OWNER and who.role is not Role.OWNER):
            abort(403)
        if not who.two_factor_enrolled:
            return _elsewhere(url_for("accounts.two_factor_required", next=_here()))
    if rule.recent and not is_recent(who):
        return _elsewhere(url_for("accounts.confirm", next=_here()))
    return None


def is_recent(who: Identity) -> bool:
    """Return whether the member gave password or code within the last ten minutes."""
    return who.recent_until is not None and clock.now() < who.recent_until


def _here() -> str:
    """Return the page to come back to: this one, or for a form or fragment the page that it stands on."""
    if request.method == "GET" and not request.headers.get("HX-Request"):
        return request.full_path.rstrip("?")
    current = request.headers.get("HX-Current-URL") or request.referrer or ""
    path = current.removeprefix(request.host_url.rstrip("/"))
    return path if path != current else ""


def _elsewhere(url: str) -> ResponseReturnValue:
    """Send a person to another page; a fragment request is told so by header, since a redirect would be swapped in."""
    if request.headers.get("HX-Request"):
        return "", 401, {"HX-Redirect": url}
    return redirect(url, 303)
