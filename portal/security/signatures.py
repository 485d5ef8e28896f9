"""Keyed hashes and comparisons in constant time."""

import hmac


def utf8(value: bytes | str) -> bytes:
    """The bytes of a value; text becomes UTF-8, lone surrogates included, so that no input can make it fail."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def hmac_sha256(key: bytes, data: bytes | str) -> bytes:
    """HMAC-SHA256 (RFC 2104) of data: 32 bytes. Raises ValueError for an empty key, which would sign nothing."""
    if not key:
        raise ValueError("an HMAC key can't be empty")
    return hmac.digest(key, utf8(data), "sha256")


def same(first: bytes | str, second: bytes | str) -> bool:
    """Whether two values are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(utf8(first), utf8(second))


def blind_index(key: bytes, value: str, *, field: str) -> bytes:
    """A 32-byte search key for an encrypted value: equal values of one field give equal keys, nothing else shows.

    The caller brings the value into its normal form first (E.164, lower case). The field's name goes in, so that the
    same value in two columns does not correlate.
    """
    name = utf8(field)
    return hmac_sha256(key, len(name).to_bytes(4, "big") + name + utf8(value))
