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

    @property
    def is_authenticated(self) -> bool:
        """Whether sign-in is complete, the second factor included where one is enrolled."""


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


def allow(who: Who, *, recent: bool = False) -> Callable[[View], View]:
    """Attach the rule to a view; a view without one stops the start of the portal."""

    def mark(view: View) -> View:
        view.access_rule = Rule(who, recent)  # type: ignore[attr-defined]
        return view

    return mark


def identity() -> Identity:
    """Return who is signed in. Call it only in views whose rule guarantees that somebody is."""
    return cast(Identity, current_user._get_current_object())  # noqa: SLF001 - how werkzeug's proxies are opened


def signed_in() -> Identity | None:
    """Return who is signed in, or None."""
    return identity() if current_user and current_user.is_authenticated else None


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """Return the rule of an endpoint; the static files belong to anyone."""
    if endpoint == "static":
        return Rule(Who.ANYONE)
    return getattr(app.view_functions[endpoint], "access_rule", None)


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
    if who is None:
        return _elsewhere(url_for("accounts.login", next=_here()))
    return _refuse(rule, who)


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
