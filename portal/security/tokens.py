"""Random tokens, and the digest under which the database keeps them."""

import hashlib
import secrets

from portal.security.signatures import utf8


def random_token(nbytes: int = 32) -> str:
    """A URL-safe token of so many random bytes; 32 bytes give 43 characters. Raises ValueError below 16 bytes."""
    if nbytes < 16:
        raise ValueError("a token needs at least 16 random bytes")
    return secrets.token_urlsafe(nbytes)


def token_digest(token: str) -> bytes:
    """SHA-256 of a token, 32 bytes. A fast hash is enough because the token itself has at least 128 random bits."""
    return hashlib.sha256(utf8(token)).digest()
