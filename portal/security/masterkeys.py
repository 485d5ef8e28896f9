"""Master keys: they come from outside the database and wrap the data keys inside it."""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

from portal.security.encryption import APPLICATION, KEY_BYTES, decrypt, encrypt, length_prefixed, new_data_key
from portal.security.errors import SecurityError

_SETTING: Final = "PORTAL_MASTER_KEYS"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_VERSION: Final = 1


class BadMasterKeys(SecurityError):
    """The text of the setting can't be read; the message counts entries and never repeats what is in them."""


class MissingMasterKey(SecurityError):
    """A data key was wrapped with a master key that is not in the setting."""

    def __init__(self, master_id: str) -> None:
        super().__init__(
            f"Master key “{master_id}” is missing. Add its “{master_id}:…” entry back to {_SETTING}; "
            "the stored secrets can't be read without it."
        )
        self.master_id = master_id


class WrongMasterKey(SecurityError):
    """A master key has the right id but does not open the data key."""

    def __init__(self, master_id: str) -> None:
        super().__init__(
            f"Master key “{master_id}” is not the one this database was made with. "
            f"Put the original value for “{master_id}” into {_SETTING}."
        )
        self.master_id = master_id


class MasterKeys:
    """An ordered set of master keys: the first one wraps, all of them unwrap."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise BadMasterKeys(f"{_SETTING} is empty. Make a key with “portal keys generate”.")
        self._keys = MappingProxyType(dict(keys))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a list of ``id:base64`` entries separated by commas, spaces or line breaks. Raises BadMasterKeys."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.replace(",", " ").split(), start=1):
            master_id, value = _parse_entry(number, entry)
            if master_id in keys:
                raise BadMasterKeys(
                    f"{_SETTING}: entry {number} repeats the id of an earlier entry. Give every key its own id."
                )
            keys[master_id] = value
        return cls(keys)

    @staticmethod
    def generate(master_id: str | None = None) -> str:
        """A new random key as a line ``id:base64`` for the setting. Raises BadMasterKeys when the id can't be used."""
        if master_id is None:
            master_id = "k" + secrets.token_hex(4)
        if not _ID.fullmatch(master_id):
            raise BadMasterKeys("A master key's id has 1 to 32 letters, digits, “_” or “-”. Choose another id.")
        return f"{master_id}:{base64.b64encode(new_data_key()).decode('ascii')}"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the order of the setting."""
        return tuple(self._keys)

    @property
    def primary(self) -> str:
        """The id of the key that wraps."""
        return self.ids[0]

    def wrap(self, data_key: bytes, *, purpose: str, key_id: int) -> tuple[str, bytes]:
        """Encrypts a data key under the first master key, bound to its id and purpose: (master id, wrapped bytes)."""
        wrapped = encrypt(self._keys[self.primary], data_key, _aad(self.primary, purpose, key_id))
        return self.primary, bytes([_VERSION]) + wrapped

    def unwrap(self, master_id: str, wrapped: bytes, *, purpose: str, key_id: int) -> bytes:
        """The data key that wrap() took. Raises MissingMasterKey or WrongMasterKey, each for the operator to read."""
        if master_id not in self._keys:
            raise MissingMasterKey(master_id)
        plain = None
        if wrapped[:1] == bytes([_VERSION]):
            plain = decrypt(self._keys[master_id], wrapped[1:], _aad(master_id, purpose, key_id))
        if plain is None:
            raise WrongMasterKey(master_id)
        return plain

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self.ids)})"


def _parse_entry(number: int, entry: str) -> tuple[str, bytes]:
    """One entry as (id, 32 bytes). A bad entry is never repeated: it may be a key in the wrong place."""
    master_id, colon, encoded = entry.partition(":")
    if not colon or not _ID.fullmatch(master_id):
        raise BadMasterKeys(
            f"{_SETTING}: entry {number} is not “id:base64”, with an id of 1 to 32 letters, digits, “_” or “-”. "
            "Make a key with “portal keys generate”."
        )
    value = _decode(encoded)
    if value is None:
        raise BadMasterKeys(
            f"{_SETTING}: the key in entry {number} is not base64. Copy it again, or restore the key file."
        )
    if len(value) != KEY_BYTES:
        raise BadMasterKeys(
            f"{_SETTING}: the key in entry {number} has {len(value)} bytes instead of {KEY_BYTES}. "
            "Copy it again, or restore the key file."
        )
    return master_id, value


def _decode(encoded: str) -> bytes | None:
    """Bytes of standard or URL-safe base64, padded or not; None for anything else."""
    plain = encoded.rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _aad(master_id: str, purpose: str, key_id: int) -> bytes:
    return length_prefixed(APPLICATION, "data-key", bytes([_VERSION]), master_id, purpose, key_id.to_bytes(4, "big"))
