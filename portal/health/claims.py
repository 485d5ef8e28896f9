"""Claims of due checks: a token and a lease on the row, so that each check goes to one worker and none is lost.

Core statements for many rows at once, as on the path of the deliveries: a claim of hundreds costs one transaction.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, and_, bindparam, null, or_, select, update

from portal import clock
from portal.database import db, new_id, unit_of_work
from portal.health.spreading import JITTER, next_slot
from portal.integrations.models import CheckKind, Integration
from portal.plans import by_index
from portal.prepared import Prepared

LEASE = timedelta(seconds=60)
"""Longer than any check may take (calls.DEADLINE): after it a check counts as lost and is due again."""
MOST_LOOKS: Final = 20
"""Into the rows that are due, for one claim; each but the last finds a server that has no room any more."""
URGENT: Final = Integration.next_check_kind != CheckKind.SCHEDULED
"""New ones, second looks after a failure, and what somebody asked for."""


@dataclass(frozen=True)
class Claim:
    """The right to check one integration: whoever holds the token may record what it found."""

    integration_id: uuid.UUID
    token: uuid.UUID
    kind: str
    run_id: uuid.UUID | None
    asked_by: str = ""
    group: str = field(default="", compare=False)
    """The server that it goes to."""


class Room(Protocol):
    """Says how many claims there is room for."""

    def room(self) -> int:
        """Return how many in all."""

    def full(self) -> Collection[str]:
        """Return the servers that may get none: their rows are passed over, however many are due."""

    def reserve(self, group: str) -> bool:
        """Keep room for one of a server; returns whether there is some."""


@dataclass
class _Plenty:
    """Room for so many, of whichever servers."""

    left: int

    def room(self) -> int:
        return self.left

    def full(self) -> Collection[str]:
        return ()

    def reserve(self, _group: str) -> bool:
        self.left -= 1
        return True


def claim_due(limit: int) -> list[Claim]:
    """Claim up to `limit` due checks: urgent ones first, then the longest due. Owns its transaction.

    Any number of processes may do this at the same time: each row goes to one of them.
    """
    with unit_of_work():
        return claim(clock.now(), _Plenty(limit))


def claim(now: datetime, room: Room, *, but_for: Collection[uuid.UUID] = ()) -> list[Claim]:
    """Claim due checks, urgent ones first, then the longest due. Runs inside a unit of work.

    Args:
        now: what is due now.
        room: what there is room for; all that is claimed was reserved there.
        but_for: integrations that the caller is checking. Their leases seem to have ended when a clock is set forward.
    """
    by_index()
    token = new_id()
    claims: list[Claim] = []
    for condition in (URGENT, ~URGENT):
        for _ in range(MOST_LOOKS):
            limit = room.room()
            rows = _due(now, condition, limit, room.full()) if limit > 0 else []
            mine = [row for row in rows if row.id not in but_for and room.reserve(row.check_group)]
            _CLAIM.many([{"of": row.id, "under": token, "until": now + LEASE} for row in mine])
            claims += [
                Claim(row.id, token, row.next_check_kind, row.next_check_run_id, "", row.check_group) for row in mine
            ]
            if not mine or len(rows) < limit or len(mine) == len(rows):
                break  # otherwise a server is full now, and others may wait behind its rows
    return claims


def claim_one(integration_id: uuid.UUID, *, kind: CheckKind, asked_by: str) -> Claim | None:
    """Claim one integration's check for a person who waits for it. Owns its transaction.

    A check that is already under way loses its token: what it finds is older than what this one will.

    Returns:
        The claim; None where the integration was disabled or deleted meanwhile.
    """
    token = new_id()
    with unit_of_work() as session:
        claimed = session.execute(
            update(Integration)
            .where(Integration.id == integration_id, *LIVE)
            .values(check_token=token, next_check_at=clock.now() + LEASE)
            .returning(Integration.next_check_run_id),
            execution_options={"synchronize_session": False},
        ).one_or_none()
    return Claim(integration_id, token, kind, claimed[0], asked_by) if claimed else None


def give_back(claims: Collection[Claim], now: datetime) -> None:
    """Make claimed checks due again that were never begun. Runs inside a unit of work."""
    _GIVE_BACK.many([{"of": each.integration_id, "under": each.token, "due": now} for each in claims])


def mend_clock() -> int:
    """Plan anew what lies too far ahead because the clock was set back. Owns its transaction.

    Such rows were last checked in the future, or never and are not due for longer than any lease. They come in their
    turns, not all at once. Doing it twice, or in several processes, changes nothing more.

    Returns:
        How many checks were moved.
    """
    now = clock.now()
    ahead = or_(
        Integration.last_health_check > now + timedelta(seconds=5),
        and_(Integration.last_health_check.is_(None), Integration.next_check_at > now + LEASE),
    )
    wanted = (
        select(Integration.id, Integration.health_check_interval_minutes, Integration.next_check_at)
        .where(*LIVE, Integration.next_check_at > now + LEASE, ahead)
        .order_by(Integration.id)
        .with_for_update(skip_locked=True)
    )
    moves = []
    with unit_of_work() as session:
        for row in session.execute(wanted):
            interval = timedelta(minutes=row.health_check_interval_minutes)
            if row.next_check_at > now + interval * (1 + JITTER):
                moves.append({"of": row.id, "due": next_slot(row.id, interval, now)})
        _MOVE.many(moves)
    return len(moves)


def _of(row: Any, token: uuid.UUID) -> Claim:
    return Claim(row.id, token, row.next_check_kind, row.next_check_run_id, group=row.check_group)


def _due(now: datetime, condition: ColumnElement[bool], limit: int, full: Collection[str]) -> Sequence[Any]:
    """Return due rows, the longest due first, held for this transaction."""
    columns = (Integration.id, Integration.check_group, Integration.next_check_kind, Integration.next_check_run_id)
    query = (
        select(*columns)
        .where(Integration.next_check_at <= now, Integration.next_check_at.is_not(None), condition, *LIVE)
        .order_by(Integration.next_check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if full:
        query = query.where(Integration.check_group.not_in(full))
    return db.session.execute(query).all()


LIVE: Final = (Integration.enabled, Integration.deleted_at.is_(None))
_UNDER: Final = (Integration.id == bindparam("of"), Integration.check_token == bindparam("under"))
_CLAIM: Final = Prepared(
    update(Integration)
    .where(Integration.id == bindparam("of"))
    .values(check_token=bindparam("under"), next_check_at=bindparam("until"))
)
_GIVE_BACK: Final = Prepared(
    update(Integration).where(*_UNDER).values(check_token=null(), next_check_at=bindparam("due"))
)
_MOVE: Final = Prepared(
    update(Integration).where(Integration.id == bindparam("of")).values(next_check_at=bindparam("due"))
)
