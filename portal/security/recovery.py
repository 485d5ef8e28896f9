"""Recovery codes: ten ways back in when the phone is lost, each for one use."""

import re
import secrets
from typing import Final

from portal.security.signatures import hmac_sha256

COUNT: Final = 10
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O and U, which look like others or make words."""
_CHARACTERS: Final = 24  # 120 bits: above the 112 bits from which OWASP ASVS 6.5.2 allows a fast hash
_CODE: Final = re.compile(f"[{_ALPHABET}]{{{_CHARACTERS}}}")
_MISREAD: Final = str.maketrans("OIL", "011")


def new_codes(count: int = COUNT) -> list[str]:
    """Fresh codes of 120 random bits, as six groups of four characters."""
    return [_grouped("".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))) for _ in range(count)]


def normalise_code(text: str) -> str | None:
    """A typed code without spaces and hyphens, in capitals, misread characters put right; None if it can't be one."""
    code = re.sub(r"[\s\-\u2010-\u2015]", "", text).upper().translate(_MISREAD)
    return code if _CODE.fullmatch(code) else None


def hash_code(text: str, pepper: bytes) -> bytes | None:
    """HMAC-SHA256 of a typed code under the caller's pepper: 32 bytes to store and look up by.

    None if the text can't be a code.
    """
    code = normalise_code(text)
    return None if code is None else hmac_sha256(pepper, code)


def _grouped(code: str) -> str:
    return "-".join(code[at : at + 4] for at in range(0, _CHARACTERS, 4))
