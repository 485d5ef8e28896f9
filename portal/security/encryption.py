"""Sealing values: AES-256-GCM (NIST SP 800-38D), bound to the row and field they were made for.

A sealed value is ``version 1 byte | key id 4 bytes big-endian | nonce 12 bytes | ciphertext and tag``. The additional
data names the application, the header and the place of the value, so that a sealed value that was moved to another
row, field or organization does not open. The nonce is random: one key is good for 2**32 values, and key rotation stays
far below that.
"""

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.security.errors import SecurityError
from portal.security.signatures import utf8

APPLICATION: Final = "integrations-portal"
KEY_BYTES: Final = 32
VERSION_AES_256_GCM: Final = 1
_HEADER_BYTES: Final = 5
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_NOTHING: Final = b"\xff\xff\xff\xff"


class UnknownKey(SecurityError):
    """A value was sealed with a key that this ring does not hold."""

    def __init__(self, key_id: int) -> None:
        super().__init__(
            f"Data key {key_id} is missing. Restore the data_keys table from the backup this data came from."
        )
        self.key_id = key_id


class NoActiveKey(SecurityError):
    """There is no key to seal values of a purpose with."""

    def __init__(self, purpose: str) -> None:
        super().__init__(f"There is no active data key for “{purpose}”. Run “portal keys rotate” to make one.")
        self.purpose = purpose


class WrongContextOrTampered(SecurityError):
    """A sealed value was damaged, changed, or moved from another row."""

    def __init__(self) -> None:
        super().__init__(
            "A stored secret can't be opened: it was changed outside the portal or belongs to another row. "
            "Enter it again, and look at who can write to the database."
        )


@dataclass(frozen=True, slots=True)
class Context:
    """The place a sealed value belongs to; opening needs the same place.

    ``organization_id`` is None for rows that belong to no organization. A UUID and its text are the same place. Raises
    ValueError when a part is empty, since an empty part binds to nothing.
    """

    purpose: str
    organization_id: uuid.UUID | str | None
    table: str
    row_id: uuid.UUID | str
    field: str

    def __post_init__(self) -> None:
        for name in ("purpose", "organization_id", "table", "row_id", "field"):
            value = getattr(self, name)
            if value == "" or (value is None and name != "organization_id"):
                raise ValueError(f"a context needs its {name}")

    def parts(self) -> tuple[str | None, ...]:
        """The parts as text, in the order in which they are bound."""
        organization = None if self.organization_id is None else str(self.organization_id)
        return (self.purpose, organization, self.table, str(self.row_id), self.field)


@dataclass(frozen=True, slots=True)
class DataKey:
    """One key of the ring: 32 secret bytes for one purpose. ``active=False`` still opens but seals nothing new."""

    id: int
    purpose: str
    secret: bytes = field(repr=False)
    active: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.id < 2**32:
            raise ValueError("a data key's id is between 1 and 4294967295")
        if not self.purpose:
            raise ValueError("a data key needs a purpose")
        if len(self.secret) != KEY_BYTES:
            raise ValueError("a data key has 32 bytes")


def new_data_key() -> bytes:
    """32 random bytes from the operating system."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def key_id(blob: bytes) -> int:
    """The id of the key a value was sealed with. Raises WrongContextOrTampered when the bytes are no sealed value."""
    if len(blob) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or blob[0] != VERSION_AES_256_GCM:
        raise WrongContextOrTampered
    return int.from_bytes(blob[1:_HEADER_BYTES], "big")


def length_prefixed(*parts: bytes | str | None) -> bytes:
    """Parts joined so that no two lists of parts give the same bytes; None differs from the empty text."""
    return b"".join(_prefixed(part) for part in parts)


def encrypt(secret: bytes, plain: bytes, aad: bytes) -> bytes:
    """``nonce | ciphertext | tag`` under a fresh random nonce."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(secret).encrypt(nonce, plain, aad)


def decrypt(secret: bytes, box: bytes, aad: bytes) -> bytes | None:
    """The plain bytes of what encrypt() made, None when key, bytes or additional data are not the same."""
    if len(box) < _NONCE_BYTES + _TAG_BYTES:
        return None
    try:
        return AESGCM(secret).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], aad)
    except InvalidTag:
        return None


class KeyRing:
    """The data keys of an installation. Immutable: after a rotation a new ring is made.

    Raises ValueError when two keys have the same id.
    """

    key_id = staticmethod(key_id)

    def __init__(self, keys: Iterable[DataKey]) -> None:
        self._keys: dict[int, DataKey] = {}
        self._active: dict[str, DataKey] = {}
        for key in sorted(keys, key=lambda each: each.id):
            if key.id in self._keys:
                raise ValueError(f"two data keys have the id {key.id}")
            self._keys[key.id] = key
            if key.active:
                self._active[key.purpose] = key

    def active(self, purpose: str) -> DataKey:
        """The newest active key of a purpose, which is the one with the highest id. Raises NoActiveKey."""
        try:
            return self._active[purpose]
        except KeyError:
            raise NoActiveKey(purpose) from None

    def key(self, wanted: int) -> DataKey:
        """The key with that id, active or not. Raises UnknownKey."""
        try:
            return self._keys[wanted]
        except KeyError:
            raise UnknownKey(wanted) from None

    def seal(self, value: bytes | str, context: Context) -> bytes:
        """Encrypts a value for one place; the result is 33 bytes longer than the value (text as UTF-8).

        Raises NoActiveKey, and UnicodeEncodeError for text with lone surrogates, which could not be read back as text.
        """
        key = self.active(context.purpose)
        header = bytes([VERSION_AES_256_GCM]) + key.id.to_bytes(4, "big")
        plain = value if isinstance(value, bytes) else value.encode()
        return header + encrypt(key.secret, plain, _aad(header, context))

    def open(self, blob: bytes, context: Context) -> bytes:
        """The value sealed for this very place. Raises UnknownKey or WrongContextOrTampered."""
        key = self.key(key_id(blob))
        if key.purpose != context.purpose:
            raise WrongContextOrTampered
        header, box = blob[:_HEADER_BYTES], blob[_HEADER_BYTES:]
        plain = decrypt(key.secret, box, _aad(header, context))
        if plain is None:
            raise WrongContextOrTampered
        return plain


def _aad(header: bytes, context: Context) -> bytes:
    return length_prefixed(APPLICATION, header, *context.parts())


def _prefixed(part: bytes | str | None) -> bytes:
    if part is None:
        return _NOTHING
    raw = utf8(part)
    return len(raw).to_bytes(4, "big") + raw
