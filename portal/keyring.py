"""The key ring at run time: data keys kept in the database, wrapped by the operator's master keys.

Master keys never touch the database, data keys never leave it in the clear. Each purpose has one active data key, which
seals and signs what is new; retired ones only open. A sealed value names its key, so keys can be added at any time.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar, cast

from flask import Flask, current_app
from flask.ctx import AppContext
from sqlalchemy import CheckConstraint, Index, LargeBinary, String, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.database import Base, UTCDateTime, db, in_transaction, reading, unit_of_work
from portal.security.encryption import Context, DataKey, KeyRing, UnknownKey, new_data_key
from portal.security.errors import SecurityError
from portal.security.masterkeys import MasterKeys, MissingMasterKey, WrongMasterKey
from portal.security.signatures import hmac_sha256

PURPOSES: Final = ("credentials", "totp", "audit", "recovery")
"""What data keys are for; each has a key of its own."""
ACTIVE: Final = "active"
RETIRED: Final = "retired"
EXTENSION: Final = "portal_keyring"
TRIES: Final = 5
"""How often several processes that start at once may get in each other's way."""

T = TypeVar("T")


class KeyringError(Exception):
    """The keys do not fit the database; the message is one line for the operator and holds no key material."""


class StoredDataKey(Base):
    """A data key as the database keeps it: wrapped by a master key that the database does not know."""

    __tablename__ = "data_keys"
    __table_args__ = (
        CheckConstraint(f"state IN ('{ACTIVE}', '{RETIRED}')", name="state"),
        Index(
            "uq_data_keys_active_purpose",
            "purpose",
            unique=True,
            sqlite_where=text(f"state = '{ACTIVE}'"),
            postgresql_where=text(f"state = '{ACTIVE}'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(String(32))
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    master_key_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


ROWS: Final = select(StoredDataKey).order_by(StoredDataKey.id)


@dataclass
class _Held:
    """What one application holds in memory."""

    masters: MasterKeys
    ring: KeyRing | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Rewrapped:
    """What a rotation of the master keys did."""

    moved: int
    """Data keys that were under another master key before."""
    primary: str
    """Id of the master key that wraps all of them now."""


@dataclass(frozen=True)
class KeyringStatus:
    """Which keys are in use: ids and counts, never material."""

    configured: tuple[str, ...]
    """Ids in PORTAL_MASTER_KEYS; the first one wraps."""
    wrapped_by: dict[str, int]
    """Master key id → number of data keys under it."""
    purposes: dict[str, int]
    """Purpose → number of its data keys."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Master keys that the database needs and the setting lacks."""
        return tuple(name for name in self.wrapped_by if name not in self.configured)


def init_app(app: Flask, master_keys: str) -> None:
    """Give the application its master keys. No table is touched.

    Args:
        app: the application.
        master_keys: the value of PORTAL_MASTER_KEYS.

    Raises:
        KeyringError: the value is malformed.
    """
    try:
        app.extensions[EXTENSION] = _Held(MasterKeys.parse(master_keys))
    except SecurityError as error:
        raise KeyringError(str(error)) from None


def load(app: Flask) -> None:
    """Unwrap every data key, and make those of purposes that have none. Call it after the migrations.

    It owns its transactions and changes nothing when a key does not fit.

    Raises:
        KeyringError: a master key is missing or is not the one this database was encrypted with.
    """
    with app.app_context():
        _load(_held(), make=True)


def seal(value: str, context: Context) -> bytes:
    """Encrypt a value for one place in the database.

    Raises:
        KeyringError: the keys cannot be loaded.
        NoActiveKey: nothing of that purpose may be sealed.
    """
    return _ring().seal(value, context)


def open_sealed(blob: bytes, context: Context) -> str:
    """Decrypt what `seal` made for this very place.

    Raises:
        KeyringError: the keys cannot be loaded.
        UnknownKey: the data key is gone.
        WrongContextOrTampered: the value was changed or belongs elsewhere.
    """
    return _with_fresh_keys(lambda ring: ring.open(blob, context)).decode()


def mac(data: bytes, *, purpose: str, key_id: int | None = None) -> bytes:
    """Return HMAC-SHA256 (RFC 2104) of the data under a data key: 32 bytes that nobody can make without it.

    Args:
        data: what is authenticated.
        purpose: whose key to use.
        key_id: the key that an older digest was made with; the active one where none is given.

    Raises:
        KeyringError: the keys cannot be loaded.
        UnknownKey: there is no such key of that purpose.
    """

    def make(ring: KeyRing) -> bytes:
        key = ring.active(purpose) if key_id is None else ring.key(key_id)
        if key.purpose != purpose:
            raise UnknownKey(key.id)
        return hmac_sha256(key.secret, data)

    return _with_fresh_keys(make)


def mac_key_id(purpose: str) -> int:
    """Return the id of the active key of a purpose, to be stored beside digests that must outlive a key's rotation."""
    return _ring().active(purpose).id


def rewrap() -> Rewrapped:
    """Put every data key under the first master key. It belongs into a unit of work; sealed values stay as they are.

    Raises:
        KeyringError: a master key that is still needed is missing or wrong; nothing was changed.
    """
    masters, moved = _held().masters, 0
    for row in db.session.scalars(ROWS.with_for_update()):
        secret = _unwrap(masters, row)
        moved += row.master_key_id != masters.primary
        row.master_key_id, row.wrapped = masters.wrap(secret, purpose=row.purpose, key_id=row.id)
    db.session.flush()
    return Rewrapped(moved, masters.primary)


def status() -> KeyringStatus:
    """Count the data keys by master key and by purpose; works without any key being right."""
    return KeyringStatus(
        configured=_held().masters.ids,
        wrapped_by=_counts("master_key_id"),
        purposes=_counts("purpose"),
    )


def _counts(column: str) -> dict[str, int]:
    name = StoredDataKey.__table__.c[column]
    rows = db.session.execute(select(name, func.count()).group_by(name).order_by(name))
    return {str(value): int(count) for value, count in rows}


def _held() -> _Held:
    return cast(_Held, current_app.extensions[EXTENSION])


def _ring() -> KeyRing:
    held = _held()
    if held.ring is None:
        return _load(held, make=not in_transaction())
    return held.ring


def _with_fresh_keys(work: Callable[[KeyRing], T]) -> T:
    """Run the work, and again with what the database has now if a key is unknown: another process may have made it."""
    try:
        return work(_ring())
    except UnknownKey:
        return work(_load(_held(), make=False))


def _load(held: _Held, *, make: bool) -> KeyRing:
    with held.lock:
        keys = _read(held.masters)
        for _ in range(TRIES):
            if not _missing(keys):
                break
            if not make:
                raise KeyringError("The data keys have not been made yet. Start the portal, or run “portal migrate”.")
            _make(held.masters)
            keys = _read(held.masters)
        held.ring = KeyRing(keys)
        return held.ring


def _read(masters: MasterKeys) -> list[DataKey]:
    """Unwrap all data keys over a session of their own, so that a transaction under way is not disturbed."""
    with _other_session(), reading() as session:
        return _open_all(masters, session.scalars(ROWS).all())


def _make(masters: MasterKeys) -> None:
    """Make the data keys of purposes that have no row at all, retired ones included.

    A purpose with rows may have sealed data, and a new key would only hide that the old one is lost. When another
    process was faster, the constraints refuse this one's keys and that is as good.
    """
    with suppress(IntegrityError), _other_session(), unit_of_work() as session:
        rows = session.scalars(ROWS).all()
        first = max((row.id for row in rows), default=0) + 1
        missing = _missing(_open_all(masters, rows))
        session.add_all(_new(masters, key_id, purpose) for key_id, purpose in enumerate(missing, start=first))


def _other_session() -> AppContext:
    """Return an application context of its own, for Flask-SQLAlchemy gives each context another session."""
    return current_app.app_context()


def _new(masters: MasterKeys, key_id: int, purpose: str) -> StoredDataKey:
    master_id, wrapped = masters.wrap(new_data_key(), purpose=purpose, key_id=key_id)
    return StoredDataKey(
        id=key_id, purpose=purpose, wrapped=wrapped, master_key_id=master_id, state=ACTIVE, created_at=clock.now()
    )


def _missing(keys: Iterable[DataKey]) -> list[str]:
    present = {key.purpose for key in keys}
    return [purpose for purpose in PURPOSES if purpose not in present]


def _open_all(masters: MasterKeys, rows: Sequence[StoredDataKey]) -> list[DataKey]:
    return [DataKey(row.id, row.purpose, _unwrap(masters, row), row.state == ACTIVE) for row in rows]


def _unwrap(masters: MasterKeys, row: StoredDataKey) -> bytes:
    try:
        return masters.unwrap(row.master_key_id, row.wrapped, purpose=row.purpose, key_id=row.id)
    except MissingMasterKey as error:
        raise KeyringError(
            f"PORTAL_MASTER_KEYS lacks the key {error.master_id} that this database was encrypted with. "
            "Put its entry back, there or in the key file. Nothing was changed."
        ) from None
    except WrongMasterKey as error:
        raise KeyringError(
            f"The key {error.master_id} in PORTAL_MASTER_KEYS is not the one that this database was encrypted with. "
            "Put its original value back, there or in the key file. Nothing was changed."
        ) from None
