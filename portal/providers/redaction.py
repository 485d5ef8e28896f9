"""The provider's own words, made safe to store and show."""

from collections.abc import Iterable
from typing import Final

from portal.security.known_values import KnownValues
from portal.security.redaction import redact, strip_controls

_WITHHELD: Final = "(the answer contained a secret and is not shown)"
_LONGEST_READ: Final = 8192
_LONG_SECRET: Final = 8
_LONGEST_FORM: Final = 12
"""Characters that one of a secret may become on its way: a letter outside the basic plane in JSON is two escapes."""


def provider_words(text: str | bytes, secrets: Iterable[str], longest: int = 300) -> str:
    """Return a provider's text on one line, without control characters and secrets, cut to so many characters.

    Args:
        text: as it came; bytes are read as UTF-8.
        secrets: the credentials of the call. A text that spells one in pieces is not shown at all.
        longest: characters.
    """
    known = tuple(secrets)
    read = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    one_line = " ".join(read[:_LONGEST_READ].split())
    safe = redact(strip_controls(one_line, keep=""), known)
    if _in_pieces(safe, known):
        return _WITHHELD
    return safe if len(safe) <= longest else safe[: longest - 1].rstrip() + "…"


def provider_text(text: str, secrets: Iterable[str], *, longest: int) -> str:
    """Return a text of many lines without control characters and secrets.

    Args:
        text: as it went over the wire.
        secrets: the credentials of the call. A text that spells one in pieces is not shown at all.
        longest: characters that are looked at. Where there are more, the end may hold the beginning of a secret; as
            much as that could be is left out.
    """
    known = tuple(secrets)
    lines = text[:longest].replace("\r\n", "\n").replace("\r", "\n")
    safe = redact(strip_controls(lines), known)
    if len(text) > longest:
        safe = safe[: -(_LONGEST_FORM * max((len(each) for each in known), default=1))]
    return _WITHHELD if _in_pieces("".join(safe.split()), known) else safe.strip("\n")


def _in_pieces(text: str, secrets: tuple[str, ...]) -> bool:
    """Whether a secret appears once the spaces are taken out: a server can echo it over several lines."""
    joined = text.replace(" ", "")
    known = KnownValues("".join(secret.split()) for secret in secrets if len(secret) >= _LONG_SECRET)
    return known.replace(joined, "\0") != joined
