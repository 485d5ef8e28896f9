"""Slows down guessing: token buckets in the database, so that every process counts the same.

Sizes follow the portal's security notes: sign-in 10 per account and per address and 1,000 in all within 5 minutes;
second factor 5 in 5 minutes, 20 an hour, 50 a day; confirmation 10 a day. A try that was right is given back, so
that only wrong ones count. Nobody is ever locked: a bucket refills by itself, and signed-in sessions never ask it.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.accounts.errors import TooManyTriesError
from portal.accounts.models import ThrottleBucket
from portal.database import db
from portal.security.throttle import Bucket, BucketState, address_key

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Try:
    """One count against one bucket."""

    key: str
    bucket: Bucket


Tries = tuple[Try, ...]


def for_sign_in(*, email: str, ip: str, device: str) -> Tries:
    """Return what a password costs at sign-in.

    Args:
        email: the address as typed; only its digest is kept, since people type passwords into the wrong field.
        ip: the address of the client.
        device: id of a browser that this account has signed in with before. It has a bucket of its own, so that
            strangers who guess, at this account or at many, cannot keep its owner out.
    """
    if device:
        return (Try(f"sign-in:device:{device}", Bucket(10, 5 * MINUTE)),)
    account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
    return (
        Try("sign-in:all", Bucket(1000, 5 * MINUTE)),
        Try(f"sign-in:address:{address_key(ip)}", Bucket(10, 5 * MINUTE)),
        Try(f"sign-in:account:{account}", Bucket(10, 5 * MINUTE)),
    )


def for_second_factor(*, user_id: uuid.UUID, device: str) -> Tries:
    """Return what a code costs at sign-in; `device` as for the password."""
    whose = f"device:{device}" if device else f"user:{user_id}"
    sizes = {"minutes": Bucket(5, 5 * MINUTE), "hour": Bucket(20, HOUR), "day": Bucket(50, DAY)}
    return tuple(Try(f"second-factor:{name}:{whose}", bucket) for name, bucket in sizes.items())


def for_confirmation(*, session_id: uuid.UUID) -> Tries:
    """Return what a password or code costs a signed-in person: whoever took over a session guesses little."""
    return (Try(f"confirm:{session_id}", Bucket(10, DAY)),)


def for_setup(*, ip: str) -> Tries:
    """Return what a one-time code of the first run costs."""
    return (Try(f"setup:{address_key(ip)}", Bucket(10, 5 * MINUTE)),)


def for_audit(*, whose: str) -> Tries:
    """Return what one audit entry about a refused sign-in costs: guessing must not flood the trail."""
    return (Try(f"audit:{whose}", Bucket(20, HOUR)),)


def take(tries: Tries) -> None:
    """Count one try against every bucket, or against none where one is empty. Runs inside a unit of work.

    Raises:
        TooManyTriesError: a bucket is empty; it knows for how long.
    """
    now = clock.now()
    rows = _locked(tries)
    taken = {each.key: each.bucket.take(_state(rows[each.key]), now) for each in tries}
    waits = [each.retry_after_seconds for each in taken.values() if not each.allowed]
    if waits:
        raise TooManyTriesError(max(1, *waits))
    for key, each in taken.items():
        rows[key].level, rows[key].updated_at = each.state.tokens, each.state.at
    db.session.flush()


def allowed(tries: Tries) -> bool:
    """Count one try as `take` does, and return whether there was room for it."""
    try:
        take(tries)
    except TooManyTriesError:
        return False
    return True


def give_back(tries: Tries) -> None:
    """Return a try that turned out to be right. Runs inside a unit of work."""
    rows = _locked(tries)
    for each in tries:
        rows[each.key].level = min(float(each.bucket.capacity), rows[each.key].level + 1)
    db.session.flush()


def purge() -> int:
    """Delete the buckets that are surely full again; returns how many. Runs inside a unit of work."""
    found = db.session.execute(
        delete(ThrottleBucket).where(ThrottleBucket.updated_at < clock.now() - timedelta(seconds=DAY))
    )
    return int(getattr(found, "rowcount", 0))


def _locked(tries: Tries) -> dict[str, ThrottleBucket]:
    """Return the rows of the buckets, made where they are missing, and locked in one order against deadlocks."""
    now = clock.now()
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    rows = [{"key": each.key, "level": float(each.bucket.capacity), "updated_at": now} for each in tries]
    rows.sort(key=lambda row: str(row["key"]))
    db.session.execute(insert(ThrottleBucket).values(rows).on_conflict_do_nothing(index_elements=["key"]))
    query = select(ThrottleBucket).where(ThrottleBucket.key.in_([each.key for each in tries]))
    locked = query.order_by(ThrottleBucket.key).with_for_update().execution_options(populate_existing=True)
    return {row.key: row for row in db.session.scalars(locked)}


def _state(row: ThrottleBucket) -> BucketState:
    return BucketState(row.level, row.updated_at)
