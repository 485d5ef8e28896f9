"""A message as Teams' workflows take it: an Adaptive Card, never larger than Teams allows."""

from typing import Any, Final

from portal.providers.chat import as_json, cut
from portal.providers.outgoing import OutgoingChat, Tone

LARGEST: Final = 28 * 1024
"""Bytes of a message, all of it."""
_LONGEST_TEXT: Final = 20_000
_COLOURS: Final[dict[Tone, str]] = {"ok": "Good", "warn": "Warning", "err": "Attention"}
_SHORTER: Final = 0.8


def body_of(message: OutgoingChat) -> dict[str, Any]:
    """Return the body for a message that plain() made; a text that would make it too large is cut."""
    text = cut(message.text, _LONGEST_TEXT)
    body = _body(message, text)
    while len(as_json(body)) > LARGEST and text:
        text = cut(text, int(len(text) * _SHORTER))
        body = _body(message, text)
    return body


def _body(message: OutgoingChat, text: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [_block(message.title, weight="Bolder", size="Medium", color=_COLOURS[message.tone])]
    # A single line break is none in a card.
    parts += [_block(line) for line in text.splitlines() if line.strip()]
    if message.facts:
        facts = [{"title": _unlinked(label), "value": _unlinked(value)} for label, value in message.facts]
        parts.append({"type": "FactSet", "facts": facts})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "full"},
        "body": parts,
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.url}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _block(text: str, **looks: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _unlinked(text), "wrap": True, **looks}


def _unlinked(text: str) -> str:
    """Return the text so that no Markdown link stands in it, which could lead elsewhere than it says."""
    return text.replace("](", "]\u200b(")
