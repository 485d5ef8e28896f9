"""Password hashes: argon2id (RFC 9106)."""

import base64
import secrets
import threading
from typing import Final

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from portal.security.signatures import utf8
from portal.security.strength import MAX_LENGTH

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


class PasswordHasher:
    """Makes and verifies password hashes. One per process: its semaphore bounds memory and processor time.

    Args:
        memory_kib: memory of one hash in KiB; 64 MiB by default, above OWASP's minimum of 19 MiB.
        time_cost: passes over that memory.
        parallelism: lanes.
        concurrency: hashes that run at once; further callers wait, so that a flood of sign-ins costs 128 MiB at most.

    Passwords are taken verbatim: no trimming and no normal form. Hash outside transactions, one takes about 0.1 s.
    """

    def __init__(
        self, *, memory_kib: int = 64 * 1024, time_cost: int = 2, parallelism: int = 1, concurrency: int = 2
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=argon2.Type.ID,
        )
        self._turns = threading.BoundedSemaphore(concurrency)
        parameters = f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}"
        self._nobody = f"{parameters}${_base64(_SALT_BYTES)}${_base64(_HASH_BYTES)}"

    def hash(self, password: str) -> str:
        """An encoded hash with its parameters and a fresh salt. Raises ValueError above MAX_LENGTH characters."""
        if len(password) > MAX_LENGTH:
            raise ValueError(f"a password has at most {MAX_LENGTH} characters")
        with self._turns:
            return self._argon2.hash(utf8(password))

    def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password made this hash.

        For an unknown user (None or an empty hash) the same work is done for a hash that no password makes, so that
        the time does not tell who has an account. A damaged hash is no match. Too long a password is refused before
        any work.
        """
        if len(password) > MAX_LENGTH:
            return False
        with self._turns:
            try:
                self._argon2.verify(encoded or self._nobody, utf8(password))
            except (Argon2Error, InvalidHashError, UnicodeEncodeError):
                return False
        return bool(encoded)

    def needs_rehash(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters and should be made anew at this sign-in."""
        try:
            return self._argon2.check_needs_rehash(encoded)
        except InvalidHashError:
            return True


def _base64(size: int) -> str:
    """Random bytes as the encoded form writes them, without padding."""
    return base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=")
