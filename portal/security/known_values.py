"""Known secret values, found in every form in which they travel."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus

from portal.security.secret import Secret
from portal.security.signatures import utf8

_SHORT: Final = 4
_LINE: Final = 16


class KnownValues:
    """Secret values known to a caller, and their encoded forms: base64, percent, hexadecimal, JSON, HTML.

    Plain splitting is used instead of a regular expression, because ``re`` would keep the secrets in its cache.
    """

    def __init__(self, secrets: Iterable[str | Secret]) -> None:
        values = {each.reveal() if isinstance(each, Secret) else each for each in secrets} - {""}
        long = {form for value in values if len(value) >= _SHORT for form in _forms(value)}
        self._forms = sorted(long, key=lambda form: (-len(form), form))
        self._short = sorted(value for value in values if len(value) < _SHORT)

    def replace(self, text: str, replacement: str) -> str:
        """Text with every known value replaced; longer forms go first, and what was replaced is not looked at again.

        A secret under four characters is replaced only where it stands alone: taking it out of the middle of words
        would spoil the text and tell by the gaps what it was.
        """
        pieces = text.split(replacement)
        for form in self._forms:
            pieces = [part for piece in pieces for part in piece.split(form)]
        for value in self._short:
            pieces = [part for piece in pieces for part in _split_alone(piece, value)]
        return replacement.join(pieces)


def _split_alone(text: str, value: str) -> Iterator[str]:
    """Like str.split, but only where no letter or digit touches the value."""
    start = at = 0
    while (at := text.find(value, at)) >= 0:
        end = at + len(value)
        if not text[max(at - 1, 0) : at].isalnum() and not text[end : end + 1].isalnum():
            yield text[start:at]
            start = end
        at = end
    yield text[start:]


def _forms(value: str) -> Iterator[str]:
    raw = utf8(value)
    yield from (value, escape(value), repr(value)[1:-1], raw.hex(), raw.hex().upper())
    yield from (json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    yield from _base64_forms(raw)
    # A key file or a traceback may be shown line by line.
    yield from (line for line in value.splitlines() if len(line) >= _LINE)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """The stretch of base64 that a value fixes at each of the three places where it can start.

    ``user:password`` and SMTP's ``NUL user NUL password`` put the secret at any of them. Characters that mix its
    first or last bits with a neighbour's are left out.
    """
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw).decode("ascii")
        whole_characters = (offset + len(raw)) * 8 // 6
        fragment = encoded[-(-offset * 8 // 6) : whole_characters]
        yield fragment
        yield fragment.translate(str.maketrans("+/", "-_"))
