"""What turning the second factor on and off does to sessions and the audit trail.

Apart from turn_off the functions run inside the caller's unit of work.
"""

import uuid

from portal import clock
from portal.accounts import service, sessions, throttle, two_factor
from portal.accounts.errors import TwoFactorNeededError, WrongCodeError
from portal.accounts.identity import Identity
from portal.accounts.models import User
from portal.accounts.sessions import Opened
from portal.database import unit_of_work
from portal.security.passwords import PasswordHasher
from portal.web.access import RECENT


def start(who: Identity) -> None:
    """Begin to enrol an authenticator app: there is a secret to scan from now on."""
    two_factor.begin(service.locked_user(who.user_id))


def finish(who: Identity, *, code: str) -> Opened:
    """Turn two-factor authentication on with a code of the new app, and sign out everywhere else.

    Returns:
        This session under its new token.

    Raises:
        NoPendingEnrolmentError: nothing was begun, or another request just finished it.
        WrongCodeError: the code is not one of the new app.
    """
    user = service.locked_user(who.user_id)
    two_factor.confirm(user, code=code)
    sessions.revoke_all(user_id=user.id, keep=who.session_id)
    two_factor.note("enrolled", user=user, organization_id=who.organization_id)
    return sessions.rotate(who, two_factor=True, recent_until=clock.now() + RECENT)


def replace_recovery_codes(who: Identity) -> None:
    """Make ten new recovery codes; the old ones end at once.

    Raises:
        TwoFactorNeededError: two-factor authentication is not on, so there is nothing to recover.
    """
    user = service.locked_user(who.user_id)
    if user.totp_sealed is None:
        raise TwoFactorNeededError
    two_factor.renew_recovery_codes(user)
    two_factor.note("recovery_codes_replaced", user=user, organization_id=who.organization_id)


def save_recovery_codes(who: Identity) -> bool:
    """Note that the person has saved their recovery codes; returns whether there were any to save."""
    return two_factor.recovery_codes_saved(service.locked_user(who.user_id))


def turn_off(who: Identity, *, password: str, code: str, hasher: PasswordHasher) -> Opened:
    """Turn two-factor authentication off, for password and code, and sign out everywhere else. Owns its transactions.

    Returns:
        This session under its new token.

    Raises:
        TooManyTriesError, WrongPasswordError: as service.check_password.
        WrongCodeError: the code is wrong or was used before.
        TwoFactorNeededError: role or organization ask for it.
    """
    service.check_password(who, password=password, hasher=hasher)
    tries = throttle.for_second_factor(user_id=who.user_id, device="")
    with unit_of_work():
        user = service.locked_user(who.user_id)  # before the buckets, in the order of signing in: no deadlock
        throttle.take(tries)
        if two_factor.spend(user, code=code) is not None:
            throttle.give_back(tries)
            return _turned_off(who, user)
    raise WrongCodeError


def _turned_off(who: Identity, user: User) -> Opened:
    two_factor.turn_off(user)
    sessions.revoke_all(user_id=user.id, keep=who.session_id)
    two_factor.note("removed", user=user, organization_id=who.organization_id)
    return sessions.rotate(who, two_factor=False, recent_until=clock.now() + RECENT)


def reset(user_id: uuid.UUID) -> bool:
    """Forget someone's second factor by the operator's hand and sign them out everywhere; returns whether it was on."""
    user = service.locked_user(user_id)
    was_on = user.totp_sealed is not None
    two_factor.wipe(user)
    sessions.revoke_all(user_id=user.id)
    service.note_user("two_factor.reset", user)
    return was_on
