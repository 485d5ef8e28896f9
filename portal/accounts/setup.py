"""First run: a one-time code, printed where only the operator sees it, lets one person become the owner.

These functions own their transactions.
"""

from typing import Any

from sqlalchemy import delete, select

from portal import clock
from portal.accounts import service, sessions, throttle, two_factor
from portal.accounts.errors import SetupClosedError, WrongSetupCodeError
from portal.accounts.models import Membership, SetupCode
from portal.accounts.sessions import Opened, Origin
from portal.audit import trail
from portal.database import db, unit_of_work
from portal.security import recovery
from portal.security.passwords import PasswordHasher
from portal.security.tokens import token_digest
from portal.web.access import Role


def issue_code() -> str:
    """Make a new one-time code for /setup and end the one before; "" once there is an owner. Call it at each start."""
    code = recovery.new_codes(1)[0]
    with unit_of_work():
        db.session.execute(delete(SetupCode))
        if not is_open():
            return ""
        db.session.add(SetupCode(digest=_digest(code), created_at=clock.now()))
    return code


def is_open() -> bool:
    """Return whether nobody owns this portal yet. Runs inside the caller's transaction."""
    return db.session.scalar(select(Membership.id).where(Membership.role == Role.OWNER).limit(1)) is None


def claim(
    *,
    code: str,
    organization: str,
    name: str,
    email: str,
    password: str,
    origin: Origin,
    hasher: PasswordHasher,
) -> Opened:
    """Make the first organization and its owner, sign them in and begin to enrol their authenticator app.

    Of several people with the same code one succeeds. If they leave now, signing in takes up where they stopped.

    Args:
        code: the one-time code as typed.
        organization: its name, as values.name returned it.
        name: of the owner, as values.name returned it.
        email: of the owner, as values.email returned it.
        password: as typed.
        origin: the browser.
        hasher: of the application.

    Raises:
        SetupClosedError: there is an owner already.
        TooManyTriesError: too many wrong codes from this address.
        WrongSetupCodeError: the code is wrong.
        WeakPasswordError: the password is easy to guess.
        EmailTakenError: the address is in use.
    """
    _check_code(code, origin)
    service.require_strong(password, organization, name, email)
    password_hash = hasher.hash(password)
    with unit_of_work():
        _spend_code(code)
        user = service.create_user(email=email, name=name, password_hash=password_hash)
        with trail.acting_as(trail.Actor("user", user.id, user.name)):
            place = service.create_organization(name=organization)
            service.add_member(user=user, organization=place, role=Role.OWNER)
            trail.record(
                action="setup.completed",
                organization_id=place.id,
                target_type="user",
                target_id=user.id,
                target_name=user.name,
            )
        two_factor.begin(user)
        return sessions.open_session(user=user, organization_id=place.id, origin=origin, pending=False)


def _check_code(code: str, origin: Origin) -> None:
    """Look at the code before any work is done for it; only a right one is free."""
    tries = throttle.for_setup(ip=origin.ip)
    with unit_of_work():
        throttle.take(tries)
        right = db.session.get(SetupCode, _digest(code)) is not None
        if not is_open():
            raise SetupClosedError  # asked last, since somebody else may have used the code a moment ago
        if right:
            throttle.give_back(tries)
    if not right:
        raise WrongSetupCodeError


def _spend_code(code: str) -> None:
    spent: Any = db.session.execute(delete(SetupCode).where(SetupCode.digest == _digest(code)))
    if spent.rowcount != 1:
        raise WrongSetupCodeError if is_open() else SetupClosedError


def _digest(code: str) -> bytes:
    return token_digest(recovery.normalise_code(code) or "")
