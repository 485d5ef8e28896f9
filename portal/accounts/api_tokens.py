"""API tokens: made once, recognised by their digest, listed and revoked. They run inside the caller's transaction."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, select, update

from portal import clock
from portal.accounts.errors import BadTokenError, NotFoundError
from portal.accounts.identity import Identity
from portal.accounts.models import ApiToken, Membership, Organization, User
from portal.audit import trail
from portal.database import db
from portal.prepared import Prepared
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


_LIVE: Final = Prepared(
    select(
        ApiToken.id, ApiToken.name, ApiToken.scopes, ApiToken.created_at, ApiToken.last_used_at,
        User.id.label("user_id"), User.name.label("user_name"), User.email, User.time_zone,
        and_(User.totp_sealed.is_not(None), User.recovery_saved_at.is_not(None)).label("enrolled"),
        Membership.role,
        Organization.id.label("organization_id"), Organization.name.label("organization_name"),
        Organization.require_two_factor,
    )
    .join(User, User.id == ApiToken.user_id)
    .join(Organization, Organization.id == ApiToken.organization_id)
    .join(
        Membership,
        (Membership.user_id == ApiToken.user_id) & (Membership.organization_id == ApiToken.organization_id),
    )
    .where(
        ApiToken.digest == bindparam("digest", type_=ApiToken.digest.type),
        ApiToken.revoked_at.is_(None),
        ApiToken.expires_at > bindparam("now", type_=ApiToken.expires_at.type),
        User.disabled_at.is_(None),
    )
)  # fmt: skip


class _Live(NamedTuple):
    """A token that works, and for whom."""

    id: uuid.UUID
    name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    user_id: uuid.UUID
    user_name: str
    email: str
    time_zone: str
    enrolled: bool
    role: Role
    organization_id: uuid.UUID
    organization_name: str
    require_two_factor: bool


def identity_of(text: str) -> Identity | None:
    """Return for whom this token works, or None where it is unknown, expired or revoked, or its maker may no more."""
    if not is_well_formed(text):
        return None
    for found in _LIVE.all(_Live, digest=token_digest(text), now=clock.now()):
        return _identity(found)
    return None


def _identity(found: _Live) -> Identity:
    return Identity(
        user_id=found.user_id,
        organization_id=found.organization_id,
        organization_name=found.organization_name,
        role=found.role,
        name=found.user_name,
        email=found.email,
        time_zone=found.time_zone,
        session_id=found.id,
        two_factor=False,
        two_factor_enrolled=bool(found.enrolled),
        two_factor_needed=found.role is not Role.AGENT or found.require_two_factor,
        recent_until=None,
        last_seen_at=found.last_used_at or found.created_at - SEEN_EVERY,
        token="",
        token_scopes=frozenset(found.scopes),
        token_name=found.name,
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
