"""People and organizations: creating them, profile, password, disabling, switching organization.

Plain functions flush and leave the commit to their caller. Those that hash a password own their transactions and say
so: a hash takes a tenth of a second, during which no connection may be held.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import func, select

from portal import clock
from portal.accounts import members, sessions, throttle, values
from portal.accounts.errors import EmailTakenError, NotFoundError, WeakPasswordError, WrongPasswordError
from portal.accounts.identity import Identity
from portal.accounts.models import Membership, Organization, User
from portal.audit import trail
from portal.database import db, unit_of_work
from portal.security.passwords import PasswordHasher
from portal.security.strength import check_strength
from portal.web.access import RECENT, Role


@dataclass(frozen=True, kw_only=True)
class Place:
    """An organization that a person works in."""

    organization_id: uuid.UUID
    name: str
    role: Role


def require_strong(password: str, *context: str) -> None:
    """Refuse a password that is easy to guess.

    Raises:
        WeakPasswordError: it is; the message says why.
    """
    weakness = check_strength(password, context)
    if weakness:
        raise WeakPasswordError(weakness)


def create_organization(*, name: str, time_zone: str = "UTC") -> Organization:
    """Store an organization under a slug of its own."""
    row = Organization(slug=_free_slug(name), name=name, time_zone=time_zone, created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    _note("organization.created", row, ("organization", row.id, row.name), after={"name": name, "slug": row.slug})
    return row


def _free_slug(name: str) -> str:
    wanted = values.slug(name)
    taken = set(db.session.scalars(select(Organization.slug).where(Organization.slug.startswith(wanted))))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(each for each in numbered if each not in taken)


def create_user(*, email: str, name: str, password_hash: str, time_zone: str = "UTC") -> User:
    """Store a user; what they may do comes with a membership.

    Args:
        email: as values.email returned it.
        name: as values.name returned it.
        password_hash: by PasswordHasher.
        time_zone: as values.time_zone returned it.

    Raises:
        EmailTakenError: the address is in use.
    """
    if user_by_email(email) is not None:
        raise EmailTakenError(email)
    now = clock.now()
    row = User(email=email, name=name, password_hash=password_hash, password_changed_at=now, created_at=now)
    row.time_zone = time_zone
    db.session.add(row)
    db.session.flush()
    return row


def add_member(*, user: User, organization: Organization, role: Role) -> Membership:
    """Let a user work in an organization.

    Raises:
        EmailTakenError: they do already.
    """
    mine = (Membership.user_id == user.id, Membership.organization_id == organization.id)
    if db.session.scalar(select(Membership.id).where(*mine)) is not None:
        raise EmailTakenError(user.email)
    row = Membership(user_id=user.id, organization_id=organization.id, role=role, created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    _note("member.created", organization, ("user", user.id, user.name), after={"email": user.email, "role": role})
    return row


def time_zone_of(organization_id: uuid.UUID) -> str:
    """Return the name of the time zone in which an organization counts its days."""
    return db.session.scalar(select(Organization.time_zone).where(Organization.id == organization_id)) or "UTC"


def phone_of(user_id: uuid.UUID) -> str:
    """Return the number that a person gave in their profile, in E.164; empty where they gave none."""
    return db.session.scalar(select(User.phone).where(User.id == user_id)) or ""


def user_by_email(email: str) -> User | None:
    """Return the user with this address (as values.email returned it), disabled or not."""
    return db.session.scalar(select(User).where(User.email == email))


def locked_user(user_id: uuid.UUID) -> User:
    """Return a user for changing: other changes of the same user wait until this transaction ends.

    Raises:
        NotFoundError: there is none.
    """
    query = select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    row = db.session.scalar(query)
    if row is None:
        raise NotFoundError
    return row


def places(user_id: uuid.UUID) -> list[Place]:
    """Return the organizations of a person, by name."""
    query = select(Organization, Membership.role).join(Membership).where(Membership.user_id == user_id)
    rows = db.session.execute(query.order_by(func.lower(Organization.name), Organization.id))
    return [Place(organization_id=row.id, name=row.name, role=role) for row, role in rows]


def change_profile(who: Identity, *, name: str, phone: str, time_zone: str, sms_alerts: bool = False) -> None:
    """Store name, phone and time zone (as `values` returned them); an entry names what changed.

    Args:
        who: the person.
        name: as it shall be.
        phone: as it shall be; empty for none.
        time_zone: as it shall be.
        sms_alerts: whether they want text messages about critical alerts, which takes a phone.
    """
    user = locked_user(who.user_id)
    before: dict[str, object] = {"sms_alerts": members.opt_in_of(user) is not None}
    after: dict[str, object] = {"name": name, "phone": phone, "time_zone": time_zone}
    before |= {field: getattr(user, field) for field in after}
    for field, value in after.items():
        setattr(user, field, value)
    db.session.flush()
    members.set_opt_in(user, wanted=sms_alerts)
    after["sms_alerts"] = members.opt_in_of(user) is not None
    changed = [field for field in after if before[field] != after[field]]
    if changed:
        trail.record(
            action="member.profile_changed",
            organization_id=who.organization_id,
            target_type="user",
            target_id=user.id,
            target_name=user.name,
            before={field: before[field] for field in changed},
            after={field: after[field] for field in changed},
        )


def check_password(who: Identity, *, password: str, hasher: PasswordHasher) -> str:
    """Ask a signed-in person for their password; returns the hash it matched. Owns its transactions.

    Raises:
        TooManyTriesError: too many wrong ones in this session.
        WrongPasswordError: it is not theirs.
    """
    tries = throttle.for_confirmation(session_id=who.session_id)
    with unit_of_work():
        throttle.take(tries)
        stored = locked_user(who.user_id).password_hash
    if not hasher.verify(stored, password):
        raise WrongPasswordError
    with unit_of_work():
        throttle.give_back(tries)
    return stored


def change_password(who: Identity, *, current: str, new: str, hasher: PasswordHasher) -> sessions.Opened:
    """Replace the password and sign out everywhere else. Owns its transactions.

    Returns:
        This session under its new token.

    Raises:
        WeakPasswordError: the new password is easy to guess.
        TooManyTriesError, WrongPasswordError: as check_password.
    """
    require_strong(new, who.email, who.name, who.organization_name)
    stored = check_password(who, password=current, hasher=hasher)
    fresh = hasher.hash(new)
    with unit_of_work():
        user = locked_user(who.user_id)
        if user.password_hash != stored:
            raise WrongPasswordError  # changed by another request while this one was hashing
        _set_password(user, fresh)
        sessions.revoke_all(user_id=user.id, keep=who.session_id)
        note_user("member.password_changed", user, who.organization_id)
        return sessions.rotate(who, recent_until=clock.now() + RECENT)


def reset_password(user_id: uuid.UUID, *, password_hash: str) -> None:
    """Give a user a new password by the operator's hand and sign them out everywhere. The second factor stays."""
    user = locked_user(user_id)
    _set_password(user, password_hash)
    sessions.revoke_all(user_id=user.id)
    note_user("member.password_reset", user)


def _set_password(user: User, password_hash: str) -> None:
    user.password_hash, user.password_changed_at = password_hash, clock.now()
    db.session.flush()


def disable(user_id: uuid.UUID) -> bool:
    """Keep a user from signing in, everywhere and at once; returns whether they could before."""
    user = locked_user(user_id)
    if user.disabled_at is not None:
        return False
    user.disabled_at = clock.now()
    db.session.flush()
    sessions.revoke_all(user_id=user.id)
    note_user("member.disabled", user)
    return True


def enable(user_id: uuid.UUID) -> bool:
    """Let a disabled user sign in again; returns whether they were disabled."""
    user = locked_user(user_id)
    if user.disabled_at is None:
        return False
    user.disabled_at = None
    db.session.flush()
    note_user("member.enabled", user)
    return True


def switch_organization(who: Identity, *, organization_id: uuid.UUID) -> sessions.Opened:
    """Go on in another organization of the same person, under a new token.

    Raises:
        NotFoundError: they are no member there.
    """
    if organization_id not in {each.organization_id for each in places(who.user_id)}:
        raise NotFoundError
    return sessions.rotate(who, organization_id=organization_id)


def note_user(action: str, user: User, organization_id: uuid.UUID | None = None) -> None:
    """Write what happened to a user into the trail of one organization, or of each that they work in."""
    theirs: list[uuid.UUID | None] = [each.organization_id for each in places(user.id)]
    for each in [organization_id] if organization_id else theirs or [None]:
        trail.record(action=action, organization_id=each, target_type="user", target_id=user.id, target_name=user.name)


def note_own(action: str, who: Identity, **facts: object) -> None:
    """Write what a member did to their own account into the trail of the organization that they work in."""
    trail.record(
        action=action,
        organization_id=who.organization_id,
        target_type="user",
        target_id=who.user_id,
        target_name=who.name,
        after=facts or None,
    )


def _note(
    action: str, organization: Organization, target: tuple[str, uuid.UUID, str], *, after: dict[str, object]
) -> None:
    kind, target_id, name = target
    trail.record(
        action=action,
        organization_id=organization.id,
        target_type=kind,
        target_id=target_id,
        target_name=name,
        after=after,
    )
