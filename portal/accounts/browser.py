"""What the routes of this room need of a request and of Flask's cookie: origin, tokens, where to go next."""

from flask import g, request, session
from flask.wrappers import Response
from flask_login import login_user

from portal.accounts import devices, sessions, values
from portal.accounts.errors import AccountsError, SignInExpiredError, TooManyTriesError
from portal.accounts.identity import Identity
from portal.accounts.sessions import Opened, Origin
from portal.audit import trail
from portal.database import reading
from portal.web import access
from portal.web.access import Role

PENDING = "pending"
SETUP = "setup"
"""Key of the cookie that says that the person is still in the first run."""


def origin(email: str = "") -> Origin:
    """Return where the request comes from; with an email also whether that account knows the browser."""
    device = devices.known_device(email) if email else ""
    return Origin(ip=request.remote_addr or "", user_agent=request.user_agent.string, device=device)


def member() -> Identity:
    """Return who is signed in, in views that only members reach."""
    who = access.identity()
    assert isinstance(who, Identity)  # noqa: S101 - accounts itself puts it there
    return who


def target() -> str:
    """Return the page to go to afterwards, "" where none is named or it is not one of this portal."""
    return values.own_path(request.args.get("next", ""))


def home(who: Identity) -> str:
    """Return the page that a member starts on."""
    return "/profile" if who.role is Role.AGENT else "/admin/integrations"


def enter(opened: Opened) -> Identity:
    """Begin a session in the browser: everything the cookie held before is dropped.

    Raises:
        SignInExpiredError: the session ended in the same moment.
    """
    session.clear()
    return go_on(opened)


def go_on(opened: Opened) -> Identity:
    """Put the new token of a session that goes on into the cookie; open forms of other tabs stay valid.

    Raises:
        SignInExpiredError: the session ended in the same moment.
    """
    with reading():
        who = sessions.identity_of(opened.token)
    if who is None:
        raise SignInExpiredError
    login_user(who)
    trail.set_actor(actor(who))
    return who


def wait_for_second_step(opened: Opened) -> None:
    """Keep the token of a pending sign-in in the cookie, and nothing else."""
    session.clear()
    session[PENDING] = opened.token


def forget() -> None:
    """Drop everything the cookie holds; whoever looks on is nobody."""
    session.clear()
    g.pop("_login_user", None)


def actor(who: Identity) -> trail.Actor:
    """Return the member, or the API token that works for them, as the audit trail names it."""
    if who.token_scopes is not None:
        return trail.Actor("token", who.session_id, f"{who.token_name} of {who.name}")
    return trail.Actor("user", who.user_id, who.name)


def slow_down(response: Response, error: AccountsError) -> Response:
    """Say in the header, too, when the next try counts, where that is what is wrong."""
    if isinstance(error, TooManyTriesError):
        response.status_code = 429
        response.headers["Retry-After"] = str(error.retry_after)
    return response
