"""Pages of one's own account: profile, password, sessions, organization."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import abort, request, url_for
from flask.wrappers import Response

from portal.accounts import browser, devices, hashing, members, service, sessions, two_factor, values
from portal.accounts.errors import AccountsError, NotFoundError, TooManyTriesError, WeakPasswordError
from portal.accounts.forms import PasswordForm, ProfileForm
from portal.accounts.identity import Identity
from portal.accounts.models import User, UserSession
from portal.accounts.routes import blueprint
from portal.database import db, reading, unit_of_work
from portal.web.access import Who, allow
from portal.web.render import go_to, page


@dataclass(frozen=True)
class Shown:
    """One session as the list shows it."""

    id: uuid.UUID
    device: str
    ip: str
    last_seen_at: datetime
    created_at: datetime
    current: bool


@blueprint.get("/profile")
@allow(Who.MEMBER)
def profile() -> Response:
    """Show one's own account."""
    return _profile()


@blueprint.post("/profile")
@allow(Who.MEMBER)
def change_profile() -> Response:
    """Store name, phone and time zone, and whether the phone gets text messages about critical alerts."""
    form = ProfileForm()
    if not form.validate_on_submit():
        return _profile(details=form, status=422)
    with unit_of_work():
        service.change_profile(browser.member(), **form.values())
    return go_to(url_for("accounts.profile"), toast="Profile saved.")


@blueprint.post("/profile/password")
@allow(Who.MEMBER)
def change_password() -> Response:
    """Replace the password, for the current one."""
    form, who = PasswordForm(), browser.member()
    if not form.validate_on_submit():
        return _profile(password=form, status=422)
    try:
        opened = service.change_password(who, hasher=hashing.hasher(), **form.values())
    except AccountsError as error:
        form.refuse("new" if isinstance(error, WeakPasswordError) else "current", error)
        status = 429 if isinstance(error, TooManyTriesError) else 422
        return browser.slow_down(_profile(password=form, status=status), error)
    browser.go_on(opened)
    return go_to(url_for("accounts.profile"), toast="Password changed.", body="You were signed out everywhere else.")


@blueprint.post("/profile/sessions/<uuid:session_id>/revoke")
@allow(Who.MEMBER)
def revoke_session(session_id: uuid.UUID) -> Response:
    """End one of one's own sessions."""
    who = browser.member()
    try:
        with unit_of_work():
            if sessions.revoke(user_id=who.user_id, session_id=session_id):
                service.note_own("session.revoked", who)
    except NotFoundError:
        abort(404)
    if session_id == who.session_id:
        browser.forget()
        return go_to(url_for("accounts.login"), toast="Signed out.")
    return go_to(url_for("accounts.profile"), toast="Session ended.")


@blueprint.post("/profile/sessions/revoke-others")
@allow(Who.MEMBER)
def revoke_other_sessions() -> Response:
    """End every session of one's own but this one."""
    who = browser.member()
    with unit_of_work():
        ended = sessions.revoke_all(user_id=who.user_id, keep=who.session_id)
        if ended:
            service.note_own("session.revoked", who, sessions=ended)
    return go_to(url_for("accounts.profile"), toast="Signed out everywhere else.")


@blueprint.post("/profile/organization")
@allow(Who.MEMBER)
def switch_organization() -> Response:
    """Go on in another of one's organizations."""
    try:
        chosen = uuid.UUID(request.form.get("organization", ""))
        with unit_of_work():
            opened = service.switch_organization(browser.member(), organization_id=chosen)
    except (ValueError, NotFoundError):
        abort(404)
    who = browser.go_on(opened)
    return go_to(browser.home(who), toast=f"You are in {who.organization_name} now.")


def _profile(
    *, details: ProfileForm | None = None, password: PasswordForm | None = None, status: int = 200
) -> Response:
    """Render the account page; a form that was refused comes with its errors and entered values."""
    who = browser.member()
    with reading():
        user = db.session.get_one(User, who.user_id)
        shown = _facts(who, user)
    return page(
        "accounts/profile.html",
        status=status,
        details=details or ProfileForm(formdata=None, obj=user, sms_alerts=shown["wants_texts_since"] is not None),
        password=password or PasswordForm(formdata=None),
        time_zones=values.time_zones(),
        **shown,
    )


def _facts(who: Identity, user: User) -> dict[str, Any]:
    open_sessions = [_shown(each, who) for each in sessions.listed(user.id)]
    opt_in = members.opt_in_of(user)
    return {
        "wants_texts_since": opt_in.created_at if opt_in else None,
        "email": user.email,
        "password_changed_at": user.password_changed_at,
        "two_factor_on": user.totp_sealed is not None,
        "two_factor_since": user.totp_confirmed_at,
        "two_factor_needed": two_factor.is_needed(user.id),
        "codes_left": two_factor.recovery_codes_left(user.id),
        "open_sessions": sorted(open_sessions, key=lambda each: not each.current),
        "places": service.places(user.id),
        "here": who.organization_id,
    }


def _shown(row: UserSession, who: Identity) -> Shown:
    return Shown(
        id=row.id,
        device=devices.describe(row.user_agent),
        ip=row.ip or "Unknown",
        last_seen_at=row.last_seen_at,
        created_at=row.created_at,
        current=row.id == who.session_id,
    )
