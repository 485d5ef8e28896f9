"""How a stored secret is shown to people, and how a shown one is told from a real one."""

import re
from typing import Final

from portal.security.secret import Secret

BULLETS: Final = "••••"
_LONG_ENOUGH: Final = 12
_SHOWN: Final = 4
_TAIL: Final = re.compile(r"[!-~]{4}")
_LOOKS_MASKED: Final = re.compile(r"•{2}|●{2}|^\*{4,}.{0,4}$|^\*+$")


def mask(secret: str | Secret) -> str:
    """``••••x7Qa``: four bullets and, of a secret with 12 characters or more, its last four.

    The number of bullets is always four, so that the length does not show. A tail that can't be read as four visible
    ASCII characters is left out. An empty text stays empty: nothing is stored.
    """
    value = secret.reveal() if isinstance(secret, Secret) else secret
    if not value:
        return ""
    tail = value[-_SHOWN:]
    return BULLETS + tail if len(value) >= _LONG_ENOUGH and _TAIL.fullmatch(tail) else BULLETS


def looks_masked(value: str) -> bool:
    """Whether a submitted value is a masked display instead of a secret: bullets, or stars with a short tail."""
    return bool(_LOOKS_MASKED.search(value.strip()))
