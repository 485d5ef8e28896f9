"""Sessions on the server: opened, recognised by their token, rotated, listed and revoked.

A session ends 30 minutes after its last request and 12 hours after its start; one that waits for the second factor
ends after 5 minutes. Unless said otherwise the functions run inside the caller's transaction.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from portal import clock
from portal.accounts.errors import NotFoundError, SignInExpiredError
from portal.accounts.holders import Holder, held_by
from portal.accounts.identity import Identity
from portal.accounts.models import SessionState, User, UserSession
from portal.database import db
from portal.prepared import Prepared
from portal.security.tokens import random_token, token_digest
from portal.web.access import RECENT

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
PENDING = timedelta(minutes=5)
SEEN_EVERY = timedelta(minutes=1)
KEPT = timedelta(days=30)
"""How long ended sessions stay in the table, for whoever looks into an incident."""
AGENT_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a request comes from."""

    ip: str
    user_agent: str
    device: str = ""
    """Id of this browser, where the account it speaks of has signed in with it before."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A session that was just opened or rotated, with the only copy of its new token."""

    token: str
    session_id: uuid.UUID
    user_id: uuid.UUID
    pending: bool = False
    """Whether the second factor is still due."""


def open_session(*, user: User, organization_id: uuid.UUID, origin: Origin, pending: bool) -> Opened:
    """Store a new session.

    Args:
        user: who signs in.
        organization_id: where they work; they must be a member.
        origin: the browser, for the list of sessions.
        pending: whether the second factor is still due.
    """
    now, token = clock.now(), random_token()
    row = UserSession(
        token_digest=token_digest(token),
        user_id=user.id,
        organization_id=organization_id,
        state=SessionState.PENDING if pending else SessionState.FULL,
        recent_until=None if pending else now + RECENT,
        ip=origin.ip[:45],
        user_agent=origin.user_agent[:AGENT_LENGTH].replace("\x00", ""),
        created_at=now,
        last_seen_at=now,
        expires_at=now + (PENDING if pending else ABSOLUTE),
    )
    db.session.add(row)
    db.session.flush()
    return Opened(token=token, session_id=row.id, user_id=user.id, pending=pending)


def pending_session(token: str) -> UserSession:
    """Return the session that waits for its second factor.

    Raises:
        SignInExpiredError: there is none with this token, or it took too long.
    """
    row = db.session.scalar(
        select(UserSession).where(
            UserSession.token_digest == token_digest(token),
            UserSession.state == SessionState.PENDING,
            UserSession.revoked_at.is_(None),
            UserSession.expires_at > clock.now(),
        )
    )
    if row is None:
        raise SignInExpiredError
    return row


def complete(pending: UserSession) -> Opened:
    """Make a pending session a full one, once, under a new token.

    Raises:
        SignInExpiredError: another request did so, or it was revoked meanwhile.
    """
    now = clock.now()
    changes = {"state": SessionState.FULL, "two_factor": True, "recent_until": now + RECENT}
    ends = {"last_seen_at": now, "expires_at": now + ABSOLUTE}
    waiting = (UserSession.id == pending.id, UserSession.state == SessionState.PENDING)
    token = _rotate(*waiting, **changes, **ends)
    if token is None:
        raise SignInExpiredError
    return Opened(token=token, session_id=pending.id, user_id=pending.user_id)


def rotate(who: Identity, **changes: Any) -> Opened:
    """Give a session a new token, and its columns new values; the old token opens nothing from now on.

    Raises:
        NotFoundError: the session was revoked meanwhile.
    """
    token = _rotate(UserSession.id == who.session_id, **changes)
    if token is None:
        raise NotFoundError
    return Opened(token=token, session_id=who.session_id, user_id=who.user_id)


def extend_recent(who: Identity, *, until: datetime) -> None:
    """Let the last confirmation of a session count until then; its token stays."""
    db.session.execute(update(UserSession).where(UserSession.id == who.session_id).values(recent_until=until))


def _rotate(*conditions: Any, **changes: Any) -> str | None:
    token = random_token()
    statement = update(UserSession).where(*conditions, UserSession.revoked_at.is_(None))
    found: Any = db.session.execute(
        statement.values(token_digest=token_digest(token), **changes).execution_options(synchronize_session=False)
    )
    return token if found.rowcount == 1 else None


class _Session(NamedTuple):
    """What an identity takes from its session."""

    id: uuid.UUID
    two_factor: bool
    recent_until: datetime | None
    last_seen_at: datetime


def identity_of(token: str) -> Identity | None:
    """Return who holds this token, or None where the session ended, or the user or their membership did."""
    now = clock.now()
    for found in _LIVE.all(lambda *row: row, digest=token_digest(token), now=now, seen=now - IDLE):
        return _identity(token, _Session(*found[:4]), Holder(*found[4:]))
    return None


def _identity(token: str, session: _Session, holder: Holder) -> Identity | None:
    if holder.asks_for_code and not session.two_factor:
        return None  # the second factor was turned on elsewhere: this session never gave it
    return Identity(
        **holder.as_identity(),
        session_id=session.id,
        two_factor=session.two_factor,
        recent_until=session.recent_until,
        last_seen_at=session.last_seen_at,
        token=token,
    )


_LIVE: Final = Prepared(
    held_by(UserSession, UserSession.id, UserSession.two_factor, UserSession.recent_until, UserSession.last_seen_at)
    .where(
        UserSession.token_digest == bindparam("digest", type_=UserSession.token_digest.type),
        UserSession.state == SessionState.FULL,
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > bindparam("now", type_=UserSession.expires_at.type),
        UserSession.last_seen_at > bindparam("seen", type_=UserSession.last_seen_at.type),
    )
)  # fmt: skip


def _alive(now: datetime) -> tuple[Any, ...]:
    return (
        UserSession.state == SessionState.FULL,
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > now,
        UserSession.last_seen_at > now - IDLE,
    )


def is_stale(who: Identity) -> bool:
    """Return whether the time of the session's last request is due to be written again."""
    return who.last_seen_at <= clock.now() - SEEN_EVERY


def touch(session_id: uuid.UUID) -> None:
    """Note that the session was used just now."""
    statement = update(UserSession).where(UserSession.id == session_id, UserSession.revoked_at.is_(None))
    db.session.execute(statement.values(last_seen_at=clock.now()).execution_options(synchronize_session=False))


def listed(user_id: uuid.UUID) -> list[UserSession]:
    """Return the sessions of a person that are open now, the latest used first."""
    query = select(UserSession).where(UserSession.user_id == user_id, *_alive(clock.now()))
    return list(db.session.scalars(query.order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())))


def revoke(*, user_id: uuid.UUID, session_id: uuid.UUID) -> bool:
    """End one session of a person; returns whether it was open.

    Raises:
        NotFoundError: they have no such session.
    """
    mine = (UserSession.id == session_id, UserSession.user_id == user_id)
    if db.session.scalar(select(UserSession.id).where(*mine)) is None:
        raise NotFoundError
    return _revoke(*mine) == 1


def revoke_all(*, user_id: uuid.UUID, keep: uuid.UUID | None = None) -> int:
    """End every session of a person, pending ones too, but for the one to keep; returns how many were open."""
    conditions = [UserSession.user_id == user_id]
    if keep is not None:
        conditions.append(UserSession.id != keep)
    return _revoke(*conditions)


def _revoke(*conditions: Any) -> int:
    statement = update(UserSession).where(*conditions, UserSession.revoked_at.is_(None))
    found: Any = db.session.execute(
        statement.values(revoked_at=clock.now()).execution_options(synchronize_session=False)
    )
    return int(found.rowcount)


def purge() -> int:
    """Delete sessions that ended long ago; returns how many. Runs inside a unit of work."""
    found: Any = db.session.execute(delete(UserSession).where(UserSession.expires_at < clock.now() - KEPT))
    return int(found.rowcount)
