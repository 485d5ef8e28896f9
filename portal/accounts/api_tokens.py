"""API tokens: made once, recognised by their digest, listed and revoked. They run inside the caller's transaction."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from portal import clock
from portal.accounts.errors import BadTokenError, NotFoundError
from portal.accounts.identity import Identity
from portal.accounts.models import ApiToken, Membership, Organization, User
from portal.audit import trail
from portal.database import db
from portal.security.api_tokens import is_well_formed, masked, new_api_token
from portal.security.tokens import token_digest
from portal.web.access import Role

LONGEST_DAYS = 366
DEFAULT_DAYS = 90
MOST = 100
"""Tokens that one organization may have at the same time."""
SEEN_EVERY = timedelta(minutes=5)
SCOPES = {
    "admin": "Everything that admins do with integrations and webhooks",
    "events:write": "Send events",
    "messages:write": "Send messages",
    "messages:read": "Read messages",
    "calendar:write": "Create and cancel calendar events",
    "texting:read": "Read numbers and conversations",
}
"""Scope → what a token with it may do."""


@dataclass(frozen=True)
class Listed:
    """A token as lists show it."""

    token: ApiToken
    maker: str

    @property
    def state(self) -> str:
        """Return in one word how the token is."""
        if self.token.revoked_at is not None:
            return "Revoked"
        return "Expired" if self.token.expires_at <= clock.now() else "Active"


def create(
    *,
    user_id: uuid.UUID,
    organization_id: uuid.UUID,
    name: str,
    scopes: Collection[str],
    days: int = DEFAULT_DAYS,
) -> tuple[ApiToken, str]:
    """Store a new token and return its row and the only copy of the token itself.

    Args:
        user_id: for whom it works: an admin or owner with two-factor authentication on.
        organization_id: where it works.
        name: what it is for; no other token in use has the name.
        scopes: what it may do.
        days: after how many days it ends, 1 to 366.

    Raises:
        BadTokenError: a value is wrong; the error names the field.
    """
    now = clock.now()
    _check(organization_id, name, scopes, days, now)
    text = new_api_token()
    row = ApiToken(
        digest=token_digest(text),
        masked=masked(text),
        user_id=user_id,
        organization_id=organization_id,
        name=name,
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    db.session.add(row)
    db.session.flush()
    _note("token.created", row, scopes=row.scopes, expires_at=row.expires_at.isoformat())
    return row, text


def _check(organization_id: uuid.UUID, name: str, scopes: Collection[str], days: int, now: datetime) -> None:
    in_use = db.session.scalars(
        select(ApiToken.name).where(ApiToken.organization_id == organization_id, *_alive(now))
    ).all()
    if name.casefold() in {each.casefold() for each in in_use}:
        raise BadTokenError("name", f"There is already a token named {name}. Choose another name, or revoke that one.")
    if len(in_use) >= MOST:
        raise BadTokenError("name", f"There are {MOST} tokens in use. Revoke one that is needed no more.")
    if not scopes:
        raise BadTokenError("scopes", "Choose at least one scope.")
    if not 1 <= days <= LONGEST_DAYS:
        raise BadTokenError("days", f"Use a whole number of days from 1 to {LONGEST_DAYS}.")


def identity_of(text: str) -> Identity | None:
    """Return for whom this token works, or None where it is unknown, expired or revoked, or its maker may no more."""
    if not is_well_formed(text):
        return None
    found = db.session.execute(
        select(ApiToken, User, Membership.role, Organization)
        .join(User, User.id == ApiToken.user_id)
        .join(Organization, Organization.id == ApiToken.organization_id)
        .join(
            Membership,
            (Membership.user_id == ApiToken.user_id) & (Membership.organization_id == ApiToken.organization_id),
        )
        .where(ApiToken.digest == token_digest(text), *_alive(clock.now()), User.disabled_at.is_(None))
    ).one_or_none()
    return None if found is None else _identity(*found)


def _identity(token: ApiToken, user: User, role: Role, organization: Organization) -> Identity:
    return Identity(
        user_id=user.id,
        organization_id=organization.id,
        organization_name=organization.name,
        role=role,
        name=user.name,
        email=user.email,
        time_zone=user.time_zone,
        session_id=token.id,
        two_factor=False,
        two_factor_enrolled=user.two_factor_enrolled,
        two_factor_needed=role is not Role.AGENT or organization.require_two_factor,
        recent_until=None,
        last_seen_at=token.last_used_at or token.created_at - SEEN_EVERY,
        token="",
        token_scopes=frozenset(token.scopes),
        token_name=token.name,
    )


def _alive(now: datetime) -> tuple[Any, ...]:
    return ApiToken.revoked_at.is_(None), ApiToken.expires_at > now


def is_stale(who: Identity) -> bool:
    """Return whether the time of the token's last use is due to be written again."""
    return who.last_seen_at <= clock.now() - SEEN_EVERY


def touch(token_id: uuid.UUID, *, ip: str) -> None:
    """Note that the token was used just now, and from where."""
    statement = update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=clock.now(), last_used_ip=ip[:45])
    db.session.execute(statement.execution_options(synchronize_session=False))


def listed(*, organization_id: uuid.UUID, limit: int = 200) -> Sequence[Listed]:
    """Return the tokens of an organization, newest first."""
    query = (
        select(ApiToken, User.name)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.organization_id == organization_id)
        .order_by(ApiToken.created_at.desc(), ApiToken.id.desc())
        .limit(limit)
    )
    return [Listed(token, maker) for token, maker in db.session.execute(query)]


def revoke(*, organization_id: uuid.UUID, token_id: uuid.UUID) -> ApiToken:
    """End a token at once; one that has ended stays as it is.

    Raises:
        NotFoundError: the organization has no such token.
    """
    mine = (ApiToken.id == token_id, ApiToken.organization_id == organization_id)
    row = db.session.scalar(select(ApiToken).where(*mine))
    if row is None:
        raise NotFoundError
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        db.session.flush()
        _note("token.revoked", row)
    return row


def _note(action: str, row: ApiToken, **facts: Any) -> None:
    trail.record(
        action=action,
        organization_id=row.organization_id,
        target_type="token",
        target_id=row.id,
        target_name=row.name,
        after={"shown": row.masked, **facts},
    )
