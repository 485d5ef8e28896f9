"""Text messages that cost no more than one part: the letters of GSM-7 (3GPP TS 23.038), 160 of them. Pure."""

import unicodedata
from typing import Final

LIMIT: Final = 160
BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED: Final = frozenset("^{}\\[~]|€")
"""Letters that take the room of two."""


def plain(text: str) -> str:
    """Return a text in letters of GSM-7: without marks where a letter has none with them, "?" for all others."""
    return "".join(_letter(each) for each in " ".join(text.split()))


def _letter(letter: str) -> str:
    if letter in BASIC or letter in EXTENDED:
        return letter
    bare = unicodedata.normalize("NFKD", letter)[:1]
    return bare if bare in BASIC else "?"


def length(text: str) -> int:
    """Return how many places a text in letters of GSM-7 takes."""
    return sum(2 if each in EXTENDED else 1 for each in text)


def fitted(text: str, link: str) -> str:
    """Return a text that fits into one part, with the link behind it where both have room; the text is cut first."""
    text = plain(text)
    ending = f" {link}" if link and link.isascii() and length(f" {link}") <= LIMIT - 60 else ""
    room = LIMIT - length(ending)
    if length(text) > room:
        while length(text) > room - 3:
            text = text[:-1]
        text = text.rstrip() + "..."
    return text + ending
