"""Signing in, in steps: password, second factor, and later the confirmation of who is there; and signing out.

These functions own their transactions, since hashing happens between them.
"""

import re
import uuid

from sqlalchemy import select

from portal import clock
from portal.accounts import service, sessions, throttle, two_factor, values
from portal.accounts.errors import (
    NoOrganizationError,
    SignInExpiredError,
    WrongAnswerError,
    WrongCodeError,
    WrongCredentialsError,
    WrongPasswordError,
)
from portal.accounts.identity import Identity
from portal.accounts.models import Membership, SessionState, User, UserSession
from portal.accounts.sessions import Opened, Origin
from portal.audit import trail
from portal.database import db, reading, unit_of_work
from portal.security.passwords import PasswordHasher
from portal.web.access import RECENT


def sign_in(*, email: str, password: str, origin: Origin, hasher: PasswordHasher) -> Opened:
    """First step: check the password and open a session, which waits for the second factor where one is on.

    Unknown, disabled and wrong take the same time and give the same answer.

    Raises:
        TooManyTriesError: this account, this address or all together guess too fast.
        WrongCredentialsError: email or password is wrong, or the user is disabled.
        NoOrganizationError: the person belongs to no organization.
    """
    tries = throttle.for_sign_in(email=email, ip=origin.ip, device=origin.device)
    with unit_of_work():
        throttle.take(tries)
    stored = _stored_hash(values.email_or_none(email))
    if not hasher.verify(stored, password):
        with unit_of_work():
            _note_refusal(email, "password")
        raise WrongCredentialsError
    assert stored is not None  # noqa: S101 - nothing verifies against no hash
    renewed = hasher.hash(password) if hasher.needs_rehash(stored) else stored
    with unit_of_work():
        throttle.give_back(tries)
        return _admit(stored, renewed, values.email(email), origin)


def _stored_hash(email: str | None) -> str | None:
    """Return the password hash of a user who may sign in."""
    with reading():
        user = service.user_by_email(email) if email else None
        return user.password_hash if user and user.disabled_at is None else None


def _admit(stored: str, renewed: str, email: str, origin: Origin) -> Opened:
    found = service.user_by_email(email)
    user = service.locked_user(found.id) if found else None
    if user is None or user.disabled_at is not None or user.password_hash != stored:
        raise WrongCredentialsError  # changed while the password was being checked
    user.password_hash = renewed
    opened = sessions.open_session(
        user=user,
        organization_id=_last_organization(user.id),
        origin=origin,
        pending=user.totp_sealed is not None,
    )
    if not opened.pending:
        _note_start(opened, user)
    return opened


def _last_organization(user_id: uuid.UUID) -> uuid.UUID:
    """Return where the person worked last, else the organization they joined first."""
    full = (UserSession.user_id == user_id, UserSession.state == SessionState.FULL)
    newest = UserSession.created_at.desc(), UserSession.id.desc()
    last = db.session.scalar(select(UserSession.organization_id).where(*full).order_by(*newest).limit(1))
    mine = select(Membership.organization_id).where(Membership.user_id == user_id)
    first = last or db.session.scalar(mine.order_by(Membership.created_at, Membership.id).limit(1))
    if first is None:
        raise NoOrganizationError
    return first


def second_step(*, token: str, code: str, origin: Origin) -> Opened:
    """Second step: spend a code of the authenticator app or a recovery code, and make the session a full one.

    Args:
        token: of the pending session.
        code: as typed.
        origin: the browser; its known device, if any, counts its tries on its own.

    Raises:
        SignInExpiredError: the first step was never done or is over five minutes ago.
        TooManyTriesError: too many codes for this person.
        WrongCodeError: the code is wrong or was used before.
    """
    with unit_of_work():
        pending = sessions.pending_session(token)
        user = service.locked_user(pending.user_id)
        if user.disabled_at is not None:
            raise SignInExpiredError
        tries = throttle.for_second_factor(user_id=user.id, device=origin.device)
        throttle.take(tries)
        kind = two_factor.spend(user, code=code)
        if kind:
            throttle.give_back(tries)
            return _finish(pending, user, kind)
        _note_refusal(user.email, "code")
    raise WrongCodeError


def _finish(pending: UserSession, user: User, kind: str) -> Opened:
    opened = sessions.complete(pending)
    _note_start(opened, user)
    if kind == "recovery":
        left = two_factor.recovery_codes_left(user.id)
        with trail.acting_as(_actor(user)):
            two_factor.note("recovery_code_used", user=user, organization_id=pending.organization_id, left=left)
    return opened


def pending_email(token: str) -> str:
    """Return who is about to give the second factor.

    Raises:
        SignInExpiredError: nobody is.
    """
    user = db.session.get(User, sessions.pending_session(token).user_id)
    if user is None or user.disabled_at is not None:
        raise SignInExpiredError
    return user.email


def confirm(who: Identity, *, answer: str, hasher: PasswordHasher) -> Opened:
    """Ask a signed-in person once more for password or code; both count as given for ten minutes.

    Raises:
        TooManyTriesError: too many wrong answers in this session.
        WrongAnswerError: neither password nor a fresh code.
    """
    _require_answer(who, answer, hasher)
    with unit_of_work():
        return sessions.rotate(who, recent_until=clock.now() + RECENT)


def confirm_within(who: Identity, *, answer: str, hasher: PasswordHasher) -> None:
    """Do the same inside a form of another page, under the same token: that page's own requests are still on their way.

    Raises:
        TooManyTriesError: too many wrong answers in this session.
        WrongAnswerError: neither password nor a fresh code.
    """
    _require_answer(who, answer, hasher)
    with unit_of_work():
        sessions.extend_recent(who, until=clock.now() + RECENT)


def _require_answer(who: Identity, answer: str, hasher: PasswordHasher) -> None:
    if not _is_code(who, answer):
        try:
            service.check_password(who, password=answer, hasher=hasher)
        except WrongPasswordError:
            raise WrongAnswerError from None


def _is_code(who: Identity, answer: str) -> bool:
    """Spend the answer as a code of the authenticator app, where it looks like one."""
    if not re.fullmatch(r"\s*[0-9]{3}\s?[0-9]{3}\s*", answer):
        return False
    tries = throttle.for_confirmation(session_id=who.session_id)
    right = False
    with unit_of_work():
        throttle.take(tries)
        right = two_factor.spend_totp(service.locked_user(who.user_id), code=answer)
        if right:
            throttle.give_back(tries)
    if not right:
        raise WrongAnswerError
    return True


def sign_out(who: Identity) -> None:
    """End a session. Ending it twice is harmless."""
    with unit_of_work():
        if sessions.revoke(user_id=who.user_id, session_id=who.session_id):
            _note("session.ended", user_id=who.user_id, name=who.name, organization_id=who.organization_id)


def _actor(user: User) -> trail.Actor:
    return trail.Actor("user", user.id, user.name)


def _note_start(opened: Opened, user: User) -> None:
    row = db.session.get_one(UserSession, opened.session_id)
    with trail.acting_as(_actor(user)):
        _note("session.started", user_id=user.id, name=user.name, organization_id=row.organization_id)


def _note_refusal(email: str, reason: str) -> None:
    """Write a refused sign-in into the trail, unless there were many of late.

    The typed address is kept only where it is one of ours: people type passwords into the wrong field.
    """
    known = values.email_or_none(email)
    user = service.user_by_email(known) if known else None
    if not throttle.allowed(throttle.for_audit(whose=str(user.id) if user else "unknown")):
        return
    places = service.places(user.id) if user else []
    trail.record(
        action="session.refused",
        organization_id=places[0].organization_id if places else None,
        target_type="user",
        target_id=user.id if user else None,
        target_name=user.name if user else "Unknown account",
        after={"wrong": reason},
    )


def _note(action: str, *, user_id: uuid.UUID, name: str, organization_id: uuid.UUID) -> None:
    trail.record(
        action=action, organization_id=organization_id, target_type="user", target_id=user_id, target_name=name
    )
