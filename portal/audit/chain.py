"""The chain of hashes: how an entry is authenticated and how entries are added.

The mac of an entry is HMAC-SHA256 over the mac before it and the entry's canonical JSON, under a data key that is not
in the database in the clear: who can write to the database cannot make a chain that fits.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from portal import keyring
from portal.audit.models import INSTALLATION, AuditEntry, AuditHead
from portal.database import db

PURPOSE: Final = "audit"
START: Final = bytes(32)
"""What stands for the mac before the first entry."""
ENTRIES: Final = AuditEntry.metadata.tables[AuditEntry.__tablename__]
HEADS: Final = AuditHead.metadata.tables[AuditHead.__tablename__]


def chain_of(organization_id: uuid.UUID | None) -> uuid.UUID:
    """Return the chain of an organization; without one, that of the installation."""
    return organization_id or INSTALLATION


def chains() -> list[uuid.UUID]:
    """Return every chain that has entries or a head."""
    return sorted(db.session.scalars(select(HEADS.c.chain).union(select(ENTRIES.c.chain))))


def append(session: Session, chain: uuid.UUID, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add entries to a chain within the running transaction, which holds the chain's lock from here to its end.

    Args:
        session: whose transaction it is.
        chain: which chain.
        entries: the values of each entry but seq, key_id and mac, which are decided here.
    """
    seq, previous = _lock(session, chain)
    key_id = keyring.mac_key_id(PURPOSE)
    rows = []
    for number, entry in enumerate(entries, start=seq + 1):
        row = {**entry, "chain": chain, "seq": number, "key_id": key_id}
        previous = row["mac"] = entry_mac(row, previous)
        rows.append(row)
    session.execute(insert(ENTRIES), rows)
    last = seq + len(rows)
    head = {"seq": last, "mac": previous, "key_id": key_id, "seal": head_seal(chain, last, previous, key_id)}
    session.execute(update(HEADS).where(HEADS.c.chain == chain).values(head))


def entry_mac(row: Mapping[str, Any], previous: bytes) -> bytes:
    """Return the mac that an entry must have after the one before it."""
    return keyring.mac(previous + canonical(row), purpose=PURPOSE, key_id=row["key_id"])


def head_seal(chain: uuid.UUID, seq: int, mac: bytes, key_id: int) -> bytes:
    """Return the mac that a chain's head must have, so that nobody can put an earlier entry in the last one's place."""
    return keyring.mac(b"head" + chain.bytes + seq.to_bytes(8, "big") + mac, purpose=PURPOSE, key_id=key_id)


def canonical(row: Mapping[str, Any]) -> bytes:
    """Return the bytes that an entry's mac covers: JSON with sorted keys and no spaces, all columns but the mac."""
    values = {column.name: _json_value(row[column.name]) for column in ENTRIES.columns if column.name != "mac"}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, uuid.UUID) else value


def _lock(session: Session, chain: uuid.UUID) -> tuple[int, bytes]:
    """Lock the head of a chain and return its number and mac. SQLite's units of work hold the write lock anyway."""
    wanted = select(HEADS.c.seq, HEADS.c.mac).where(HEADS.c.chain == chain).with_for_update()
    head = session.execute(wanted).one_or_none()
    if head is None:
        _begin(session, chain)
        head = session.execute(wanted).one()
    return head.seq, head.mac


def _begin(session: Session, chain: uuid.UUID) -> None:
    """Make the head of a new chain, unless another transaction is making it: then wait for that one."""
    dialect_insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    empty = {"chain": chain, "seq": 0, "mac": START, "key_id": 0, "seal": b""}
    session.execute(dialect_insert(HEADS).values(empty).on_conflict_do_nothing())
