"""API tokens: random, with a prefix that scanners for leaked secrets find and a checksum that spots a mistyped one.

The scheme is the one that code hosts introduced for their tokens: prefix, 32 random base62 characters (190 bits), and
the CRC-32 of both as 6 base62 characters. The checksum proves nothing about who made a token; it saves a look-up.
"""

import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "prt_"
RANDOM_LENGTH: Final = 32
CHECKSUM_LENGTH: Final = 6
PATTERN: Final = re.compile(r"prt_[0-9A-Za-z]{38}")
"""What every token looks like; published, so that scanners can look for it."""

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHOWN: Final = 4


def new_api_token() -> str:
    """Return a new token of 42 characters."""
    body = PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Return whether the text can be a token that was copied as a whole."""
    return bool(PATTERN.fullmatch(token)) and _checksum(token[:-CHECKSUM_LENGTH]) == token[-CHECKSUM_LENGTH:]


def masked(token: str) -> str:
    """Return what people may see of a token: that it is one, and its last four characters."""
    return f"{PREFIX}••••{token[-_SHOWN:]}"


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
