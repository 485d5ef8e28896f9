"""A message as Slack's incoming webhooks take it: Block Kit, with a text for notifications beside it."""

import re
from typing import Any, Final

from portal.providers.outgoing import OutgoingChat, Tone

LONGEST_TEXT: Final = 2900
"""Characters; a section's text may have 3,000 (https://docs.slack.dev/reference/block-kit/blocks/section-block)."""
_LONGEST_HEADER: Final = 150
_LONGEST_FIELD: Final = 2000
_SIGNS: Final[dict[Tone, str]] = {"ok": "🟢", "warn": "🟠", "err": "🔴"}
_ENTITY_CUT: Final = re.compile(r"&[a-z]{0,3}\Z")


def body_of(message: OutgoingChat) -> dict[str, Any]:
    """Return the body for a message that plain() made."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain_text(f"{_SIGNS[message.tone]} {message.title}", _LONGEST_HEADER)}
    ]
    if message.text:
        blocks.append({"type": "section", "text": _markup(escaped(message.text, LONGEST_TEXT))})
    if message.facts:
        blocks.append({"type": "section", "fields": [_fact(label, value) for label, value in message.facts]})
    if message.url:
        button = {"type": "button", "text": _plain_text("Open", _LONGEST_HEADER), "url": message.url}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": escaped(f"{message.title}\n{message.text}".strip(), LONGEST_TEXT), "blocks": blocks}


def escaped(text: str, longest: int) -> str:
    """Return the text with the three characters escaped that make links and mentions, still no longer than that."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe if len(safe) <= longest else _ENTITY_CUT.sub("", safe[: longest - 1]) + "…"


def _fact(label: str, value: str) -> dict[str, str]:
    return _markup(escaped(f"*{label}*\n{value}", _LONGEST_FIELD))


def _markup(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _plain_text(text: str, longest: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, longest), "emoji": False}
