"""API tokens: made once, recognised by their digest, listed and revoked. They run inside the caller's transaction."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select, update

from portal import clock
from portal.accounts.errors import BadTokenError, NotFoundError
from portal.accounts.holders import Holder, held_by
from portal.accounts.identity import Identity
from portal.accounts.models import ApiToken, User
from portal.audit import trail
from portal.database import db
from portal.prepared import Prepared
from portal.security.api_tokens import is_well_formed, masked, new_api_token
from portal.security.tokens import token_digest

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
    held_by(
        ApiToken, ApiToken.id, ApiToken.name, ApiToken.scopes, ApiToken.created_at, ApiToken.last_used_at
    ).where(
        ApiToken.digest == bindparam("digest", type_=ApiToken.digest.type),
        ApiToken.revoked_at.is_(None),
        ApiToken.expires_at > bindparam("now", type_=ApiToken.expires_at.type),
    )
)  # fmt: skip


class _Token(NamedTuple):
    """What an identity takes from its token."""

    id: uuid.UUID
    name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None


def identity_of(text: str) -> Identity | None:
    """Return for whom this token works, or None where it is unknown, expired or revoked, or its maker may no more."""
    if not is_well_formed(text):
        return None
    for found in _LIVE.all(lambda *row: row, digest=token_digest(text), now=clock.now()):
        return _identity(_Token(*found[:5]), Holder(*found[5:]))
    return None


def _identity(token: _Token, holder: Holder) -> Identity:
    return Identity(
        **holder.as_identity(),
        session_id=token.id,
        two_factor=False,
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
