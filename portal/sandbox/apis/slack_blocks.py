"""Block Kit as far as messages to a webhook use it: whether the blocks are right, and what people read in them."""

from collections.abc import Callable, Mapping
from html import unescape
from typing import Any, Final

_MOST_BLOCKS: Final = 50
_MOST_FIELDS: Final = 10
_MOST_BUTTONS: Final = 25
_LONGEST_FALLBACK: Final = 40_000
_KEPT: Final = 32_768


def well_formed(payload: Mapping[str, Any]) -> bool:
    """Return whether the text and the blocks of a message are what Slack takes."""
    text, blocks = payload.get("text", ""), payload.get("blocks", [])
    if not isinstance(text, str) or len(text) > _LONGEST_FALLBACK:
        return False
    return isinstance(blocks, list) and len(blocks) <= _MOST_BLOCKS and all(_block(each) for each in blocks)


def message(payload: Mapping[str, Any]) -> dict[str, object]:
    """Return a message with right blocks as the outbox keeps it: what people read, entities resolved."""
    blocks = payload.get("blocks", [])
    fallback = unescape(str(payload.get("text") or ""))
    texts = [unescape(each["text"]["text"]) for each in blocks if "text" in each]
    fields = [unescape(field["text"]) for each in blocks for field in each.get("fields", [])]
    links = [button["url"] for each in blocks for button in each.get("elements", []) if "url" in button]
    return {
        "title": (texts or fallback.splitlines() or [""])[0][:1000],
        "text": "\n".join(texts[1:] if texts else fallback.splitlines()[1:])[:_KEPT],
        "facts": [_fact(each) for each in fields],
        "url": links[0] if links else "",
        "fallback": fallback[:_KEPT],
    }


def _fact(text: str) -> list[str]:
    label, _, value = text.partition("\n")
    return [label.strip("*"), value]


def _block(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in _CHECKS and _CHECKS[block["type"]](block)


def _text(text: object, longest: int, *kinds: str) -> bool:
    if not isinstance(text, dict) or text.get("type") not in (kinds or ("plain_text", "mrkdwn")):
        return False
    return isinstance(text.get("text"), str) and 0 < len(text["text"]) <= longest


def _header(block: Mapping[str, Any]) -> bool:
    return _text(block.get("text"), 150, "plain_text")


def _section(block: Mapping[str, Any]) -> bool:
    fields = block.get("fields", [])
    if not isinstance(fields, list) or len(fields) > _MOST_FIELDS or not (fields or "text" in block):
        return False
    return all(_text(each, 2000) for each in fields) and ("text" not in block or _text(block["text"], 3000))


def _actions(block: Mapping[str, Any]) -> bool:
    buttons = block.get("elements")
    return isinstance(buttons, list) and 0 < len(buttons) <= _MOST_BUTTONS and all(_button(each) for each in buttons)


def _button(button: object) -> bool:
    if not isinstance(button, dict) or button.get("type") != "button":
        return False
    url = button.get("url", "https://")
    linked = isinstance(url, str) and len(url) <= 3000 and url.startswith(("https://", "http://"))
    return linked and _text(button.get("text"), 75, "plain_text")


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "header": _header,
    "section": _section,
    "actions": _actions,
    "divider": lambda _block: True,
}
