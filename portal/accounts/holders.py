"""Who holds a session or an API token: the person and their membership, as both are looked up in each request."""

import uuid
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from portal.accounts.models import ApiToken, Membership, Organization, User, UserSession
from portal.web.access import Role


class Holder(NamedTuple):
    """A member, by the columns that held_by() reads."""

    user_id: uuid.UUID
    name: str
    email: str
    time_zone: str
    asks_for_code: bool
    """Whether two-factor authentication is on."""
    codes_saved: bool
    """Whether its recovery codes are."""
    role: Role
    organization_id: uuid.UUID
    organization_name: str
    require_two_factor: bool

    def as_identity(self) -> dict[str, Any]:
        """Return what an Identity takes from its holder."""
        return {
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "organization_name": self.organization_name,
            "role": self.role,
            "name": self.name,
            "email": self.email,
            "time_zone": self.time_zone,
            "two_factor_enrolled": bool(self.asks_for_code and self.codes_saved),
            "two_factor_needed": self.role is not Role.AGENT or self.require_two_factor,
        }


def held_by(row: type[UserSession] | type[ApiToken], *own: Any) -> Select[Any]:
    """Return the query of rows whose holders may sign in: columns of their own, then those of Holder.

    Args:
        row: what is held.
        own: columns of it.
    """
    of_holder = (Membership.user_id == row.user_id) & (Membership.organization_id == row.organization_id)
    return (
        select(
            *own, User.id.label("user_id"), User.name.label("user_name"), User.email, User.time_zone,
            User.totp_sealed.is_not(None).label("asks_for_code"),
            User.recovery_saved_at.is_not(None).label("codes_saved"), Membership.role,
            Organization.id.label("organization_id"), Organization.name.label("organization_name"),
            Organization.require_two_factor,
        )
        .join(User, User.id == row.user_id)
        .join(Organization, Organization.id == row.organization_id)
        .join(Membership, of_holder)
        .where(User.disabled_at.is_(None))
    )  # fmt: skip
