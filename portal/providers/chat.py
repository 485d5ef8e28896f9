"""What the drivers of chats share: the webhook's address, which is the secret itself, and messages cut to size."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from portal.http import Answer
from portal.providers.messages import InvalidMessage, readable
from portal.providers.outgoing import OutgoingChat
from portal.providers.rest import Visit
from portal.security.redaction import strip_controls

MOST_FACTS: Final = 10
_PORTS: Final = (None, 443)
_LONGEST_TITLE: Final = 140
_LONGEST_LABEL: Final = 60
_LONGEST_VALUE: Final = 400
_LONGEST_LINK: Final = 2000
_LONG_PART: Final = 16
_LINK: Final = re.compile(r"https?://[!-~]+")
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}


def webhook_address(url: str) -> SplitResult | None:
    """Return the parts of a webhook's address; None where it is none that can be called over https."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = parts.scheme == "https" and parts.hostname and port in _PORTS and not parts.fragment
    return parts if plain and "@" not in parts.netloc else None


def secrets_of(url: str) -> tuple[str, ...]:
    """Return what must not be shown of a webhook's address: all of it, its path, and every long part of it."""
    parts = webhook_address(url)
    if parts is None:
        return (url,)
    values = [value for values in parse_qs(parts.query).values() for value in values]
    inside = [part for part in (*parts.path.split("/"), *values) if len(part) >= _LONG_PART]
    beyond = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return (url, beyond, *inside)


def post(visit: Visit, url: str, body: Mapping[str, Any]) -> Answer:
    """Post JSON to a webhook.

    Raises:
        ProviderError: it was not accepted.
    """
    return visit.call("POST", url, _JSON, as_json(body))


def as_json(body: Mapping[str, Any]) -> bytes:
    """Return the body as it goes out: short, for providers count bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def cut(text: str, longest: int) -> str:
    """Return the text with so many characters at the most."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def plain(message: OutgoingChat) -> OutgoingChat:
    """Return the message without characters that nobody sees, its parts no longer than every chat takes.

    Facts without a value and those beyond the tenth are left out: an alert must not fail over them.

    Raises:
        InvalidMessage: it has no title, or its link is none.
    """
    title = _line(message.title, _LONGEST_TITLE)
    if not title:
        raise InvalidMessage("it has no title")
    if message.url and not (len(message.url) <= _LONGEST_LINK and _LINK.fullmatch(message.url)):
        raise InvalidMessage("its link is not a web address")
    facts = [(_line(label, _LONGEST_LABEL), _line(value, _LONGEST_VALUE)) for label, value in message.facts]
    kept = tuple((label, value) for label, value in facts if label and value)
    return replace(message, title=title, text=_clean(message.text).strip(), facts=kept[:MOST_FACTS])


def _line(text: str, longest: int) -> str:
    return cut(" ".join(_clean(text).split()), longest)


def _clean(text: str) -> str:
    return readable(strip_controls(text))
