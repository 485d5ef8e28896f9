"""Members as those see them who send them something: names and addresses of people who may sign in."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select

from portal import clock
from portal.accounts.models import Membership, SmsOptIn, User
from portal.database import db
from portal.web.access import Role


@dataclass(frozen=True)
class Member:
    """One person in one organization."""

    user_id: uuid.UUID
    name: str
    email: str
    phone: str
    role: Role


def listed(*, organization_id: uuid.UUID) -> Sequence[Member]:
    """Return all members, by name."""
    return _found(_members(organization_id))


def admins(*, organization_id: uuid.UUID) -> Sequence[Member]:
    """Return the owners and admins, by name."""
    return _found(_members(organization_id).where(Membership.role.in_((Role.OWNER, Role.ADMIN))))


def of_ids(*, organization_id: uuid.UUID, user_ids: Collection[uuid.UUID]) -> Sequence[Member]:
    """Return those of these users that are members, by name."""
    return _found(_members(organization_id).where(User.id.in_(user_ids))) if user_ids else ()


def wanting_texts(*, organization_id: uuid.UUID) -> Sequence[Member]:
    """Return the members who asked for text messages about critical alerts, on the number that they have now."""
    query = _members(organization_id).join(SmsOptIn, SmsOptIn.user_id == User.id)
    return _found(query.where(SmsOptIn.phone == User.phone, User.phone != ""))


def _members(organization_id: uuid.UUID) -> Select[User, Role]:
    query = select(User, Membership.role).join(Membership, Membership.user_id == User.id)
    query = query.where(Membership.organization_id == organization_id, User.disabled_at.is_(None))
    return query.order_by(User.name, User.id)


def _found(query: Select[User, Role]) -> Sequence[Member]:
    return [Member(user.id, user.name, user.email, user.phone, role) for user, role in db.session.execute(query)]


def opt_in_of(user: User) -> SmsOptIn | None:
    """Return since when a person wants text messages about critical alerts; None where they do not."""
    row = db.session.get(SmsOptIn, user.id)
    return row if row is not None and user.phone and row.phone == user.phone else None


def set_opt_in(user: User, *, wanted: bool) -> None:
    """Store whether a person wants text messages about critical alerts, on the number that they have now."""
    row = db.session.get(SmsOptIn, user.id)
    if row is None and wanted and user.phone:
        db.session.add(SmsOptIn(user_id=user.id, phone=user.phone, created_at=clock.now()))
    elif row is not None and not (wanted and user.phone):
        db.session.delete(row)
    elif row is not None and row.phone != user.phone:
        row.phone, row.created_at = user.phone, clock.now()
    db.session.flush()
