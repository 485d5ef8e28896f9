"""What a call sent and got: kept as it was while the call lasts, redacted and cut when somebody wants to keep it."""

from collections.abc import Iterable, Mapping
from typing import Final

from portal.providers.redaction import provider_text

LARGEST: Final = 8192
"""Bytes of what is shown, all together."""
LARGEST_PART: Final = 3072
"""Bytes of one request, one answer."""
_MOST_READ: Final = 32768
"""Characters of a part that are looked at."""
_MOST_PARTS: Final = 60
SENT: Final = "sent"
GOT: Final = "got"
NOTE: Final = "note"
_MORE: Final = "…"

Part = tuple[str, str]
"""Which way it went, and what it said."""


class Transcript:
    """The dialogue of one call. Its repr shows nothing of it, since secrets are still in it."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        """Say how long it is."""
        return f"Transcript({len(self._parts)} parts)"

    def know(self, secrets: Iterable[str]) -> None:
        """Learn secrets that must not be seen, whoever says them."""
        self._secrets.update(each for each in secrets if each)

    def sent(self, text: str) -> None:
        """Keep what went out."""
        self._keep(SENT, text)

    def got(self, text: str | bytes) -> None:
        """Keep what came back, if anything did; bytes are read as UTF-8."""
        if text:
            self._keep(GOT, text if isinstance(text, str) else text[: 4 * _MOST_READ].decode("utf-8", "replace"))

    def note(self, text: str) -> None:
        """Keep what happened in between."""
        self._keep(NOTE, text)

    def shown(self) -> list[dict[str, str]]:
        """Return the dialogue without its secrets, safe to store and show: which way (`way`) and what (`text`)."""
        found, left = [], LARGEST
        for way, text in self._parts:
            safe = provider_text(text, self._secrets, longest=_MOST_READ)
            part = _cut(safe, min(left, LARGEST_PART))
            found.append({"way": way, "text": part})
            left -= len(part.encode())
            if left < len(_MORE.encode()):
                break
        return found

    def _keep(self, way: str, text: str) -> None:
        if len(self._parts) < _MOST_PARTS:
            self._parts.append((way, text[: _MOST_READ + 1]))


def http_text(first_line: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return a request or an answer as text: its first line, its headers, and its body as far as it is looked at."""
    head = "\n".join([first_line, *(f"{name}: {value}" for name, value in headers.items())])
    said = body[: 4 * _MOST_READ].decode("utf-8", "replace")
    return f"{head}\n\n{said}" if said else head


def _cut(text: str, most: int) -> str:
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - len(_MORE.encode())].decode("utf-8", "ignore") + _MORE
