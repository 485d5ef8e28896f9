"""The second factor: enrolling an authenticator app, spending its codes once, recovery codes, turning it off.

The functions run inside the caller's unit of work. Secrets are sealed to the row and field that they stand in.
"""

import uuid
from typing import Any

from sqlalchemy import delete, func, or_, select, update

from portal import clock, keyring
from portal.accounts.errors import NoPendingEnrolmentError, TwoFactorNeededError, WrongCodeError
from portal.accounts.models import Membership, Organization, RecoveryCode, User
from portal.audit import trail
from portal.database import db
from portal.security import recovery, totp
from portal.security.encryption import Context
from portal.web.access import Role

PEPPER = b"recovery codes"


def begin(user: User) -> str:
    """Make a new secret for an authenticator app; one in use stays in use until a code confirms the new one.

    Returns:
        The secret in base32.
    """
    secret = totp.new_secret()
    user.totp_pending_sealed = keyring.seal(secret, _context(user.id, "totp_pending"))
    db.session.flush()
    return secret


def pending_secret(user: User) -> str:
    """Return the secret that is being enrolled.

    Raises:
        NoPendingEnrolmentError: none is.
    """
    if user.totp_pending_sealed is None:
        raise NoPendingEnrolmentError
    return keyring.open_sealed(user.totp_pending_sealed, _context(user.id, "totp_pending"))


def confirm(user: User, *, code: str) -> None:
    """Put the pending secret to use, once, and make recovery codes for it.

    Raises:
        NoPendingEnrolmentError: no enrolment is under way, or another request just ended it.
        WrongCodeError: the code is not one of the pending secret.
    """
    secret = pending_secret(user)
    step = totp.matching_step(secret, code, at=clock.now(), last_step=None)
    if step is None:
        raise WrongCodeError
    values = {
        "totp_sealed": keyring.seal(secret, _context(user.id, "totp_secret")),
        "totp_pending_sealed": None,
        "totp_last_step": step,
        "totp_confirmed_at": clock.now(),
    }
    if not _update(User.id == user.id, User.totp_pending_sealed == user.totp_pending_sealed, **values):
        raise NoPendingEnrolmentError
    db.session.refresh(user)
    renew_recovery_codes(user)


def enrol_at_once(user: User) -> str:
    """Turn two-factor authentication on without a confirming code, for whoever is handed the secret; returns it."""
    secret = totp.new_secret()
    user.totp_sealed = keyring.seal(secret, _context(user.id, "totp_secret"))
    user.totp_confirmed_at = user.recovery_saved_at = clock.now()
    db.session.flush()
    return secret


def spend(user: User, *, code: str) -> str | None:
    """Use up a code of the authenticator app or a recovery code. Of requests with the same code exactly one succeeds.

    Returns:
        "totp" or "recovery", whichever it was, or None where the code is wrong or was used before.
    """
    if spend_totp(user, code=code):
        return "totp"
    digests = [digest for pepper in _peppers(user.id) if (digest := recovery.hash_code(code, pepper))]
    if digests and _spend_recovery(user.id, digests):
        return "recovery"
    return None


def spend_totp(user: User, *, code: str) -> bool:
    """Use up a code of the authenticator app; returns whether it was right and new."""
    if user.totp_sealed is None:
        return False
    secret = keyring.open_sealed(user.totp_sealed, _context(user.id, "totp_secret"))
    step = totp.matching_step(secret, code, at=clock.now(), last_step=user.totp_last_step)
    if step is None:
        return False
    newer = or_(User.totp_last_step.is_(None), User.totp_last_step < step)
    return _update(User.id == user.id, User.totp_sealed == user.totp_sealed, newer, totp_last_step=step)


def _spend_recovery(user_id: uuid.UUID, digests: list[bytes]) -> bool:
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.digest.in_(digests), RecoveryCode.used_at.is_(None))
    statement = update(RecoveryCode).where(*unused).values(used_at=clock.now())
    found: Any = db.session.execute(statement.execution_options(synchronize_session=False))
    return bool(found.rowcount == 1)


def renew_recovery_codes(user: User) -> None:
    """Replace all recovery codes by ten new ones, to be looked at until the person says that they are saved."""
    codes, key_id = recovery.new_codes(), keyring.mac_key_id("recovery")
    pepper = keyring.mac(PEPPER, purpose="recovery", key_id=key_id)
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    for code in codes:
        db.session.add(RecoveryCode(user_id=user.id, digest=recovery.hash_code(code, pepper), key_id=key_id))
    user.recovery_sealed = keyring.seal("\n".join(codes), _context(user.id, "recovery_codes"))
    user.recovery_saved_at = None
    db.session.flush()


def unsaved_recovery_codes(user: User) -> list[str]:
    """Return the recovery codes that the person has not yet said to have saved; afterwards nobody can see them."""
    if user.recovery_sealed is None:
        return []
    return keyring.open_sealed(user.recovery_sealed, _context(user.id, "recovery_codes")).split("\n")


def recovery_codes_saved(user: User) -> bool:
    """Note that the codes are saved, and forget them; returns whether there were any to save."""
    if user.recovery_sealed is None:
        return False
    user.recovery_sealed, user.recovery_saved_at = None, clock.now()
    db.session.flush()
    return True


def recovery_codes_left(user_id: uuid.UUID) -> int:
    """Return how many recovery codes can still be used."""
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0


def is_needed(user_id: uuid.UUID) -> bool:
    """Return whether any organization of the person, or their role in it, asks for two-factor authentication."""
    asked = or_(Membership.role != Role.AGENT, Organization.require_two_factor)
    query = select(Membership.id).join(Organization).where(Membership.user_id == user_id, asked).limit(1)
    return db.session.scalar(query) is not None


def turn_off(user: User) -> None:
    """Turn two-factor authentication off at the person's own wish.

    Raises:
        TwoFactorNeededError: role or organization ask for it.
    """
    if is_needed(user.id):
        raise TwoFactorNeededError
    wipe(user)


def wipe(user: User) -> None:
    """Forget secret and recovery codes; who needs two-factor authentication enrols anew at the next sign-in."""
    user.totp_sealed = user.totp_pending_sealed = user.recovery_sealed = None
    user.totp_last_step = user.totp_confirmed_at = user.recovery_saved_at = None
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.flush()


def note(action: str, *, user: User, organization_id: uuid.UUID | None, **facts: object) -> None:
    """Write what happened to someone's second factor into the audit trail."""
    trail.record(
        action=f"two_factor.{action}",
        organization_id=organization_id,
        target_type="user",
        target_id=user.id,
        target_name=user.name,
        after=facts or None,
    )


def _update(*conditions: Any, **values: Any) -> bool:
    """Change a user row only where the conditions still hold; of several requests at once one wins."""
    statement = update(User).where(*conditions).values(**values)
    found: Any = db.session.execute(statement.execution_options(synchronize_session=False))
    return bool(found.rowcount == 1)


def _peppers(user_id: uuid.UUID) -> list[bytes]:
    """Return the pepper of every data key that codes of this person were made with."""
    query = select(RecoveryCode.key_id).where(RecoveryCode.user_id == user_id).distinct()
    return [keyring.mac(PEPPER, purpose="recovery", key_id=key_id) for key_id in db.session.scalars(query)]


def _context(user_id: uuid.UUID, field: str) -> Context:
    return Context("totp", None, "users", user_id, field)
