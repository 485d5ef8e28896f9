"""Reading an HTTP provider's answers: what a status means, what JSON is in a body, what a web page says."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

from portal.http import Answer


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """What a provider's own error says.

    Attributes:
        text: its words.
        code: its own code, if it has one.
        reason: the row of the error table, where code or words tell more than the status.
        status: the status that it names inside, where that differs from the answer's.
    """

    text: str = ""
    code: str = ""
    reason: str = ""
    status: int | None = None


_REASONS: Final[Mapping[int, str]] = {
    401: "login_rejected",
    402: "quota_exceeded",
    403: "permission_missing",
    404: "not_found",
    408: "gave_up",
    410: "not_found",
    413: "request_too_large",
    429: "rate_limited",
    503: "unavailable",
}
_NOT_SENT: Final = frozenset({503})
_MAYBE_SENT: Final = frozenset({408, 425})
_TITLE: Final = re.compile(r"<title[^<>]{0,100}>([^<]{1,200})", re.IGNORECASE)
_PAGE: Final = re.compile(rb"\s{0,100}<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)


def reason_of(status: int) -> str:
    """Return which row of the shared table a status means that is no success."""
    if status in _REASONS:
        return _REASONS[status]
    if 200 <= status < 300:
        return "error_in_answer"
    if 300 <= status < 400:
        return "redirected"
    if 400 <= status < 500:
        return "request_refused"
    return "server_error" if 500 <= status < 600 else "unexpected_status"


def leaves_open(status: int) -> bool:
    """Return whether a message may have been sent although the status is an error.

    503 is a refusal to try. Every other 5xx may come from something in front of what did the work, or after it.
    """
    return status in _MAYBE_SENT or not (300 <= status < 500 or status in _NOT_SENT)


def parsed(body: bytes) -> Any:
    """Return the JSON in a body; None if there is none.

    Text that is not UTF-8 and numbers of absurd length are no JSON either.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_page(body: bytes) -> bool:
    """Return whether a body is a web page."""
    return _PAGE.match(body) is not None


def words_of(answer: Answer) -> str:
    """Return what an answer says that is not in the provider's own form: its status, and a web page's title."""
    title = _TITLE.search(answer.body[:4096].decode("utf-8", "replace"))
    status = f"HTTP {answer.status} {answer.phrase}".strip()
    return f"{status}: {unescape(title[1]).strip()}" if title else status


def items(document: object, name: str = "") -> list[Mapping[str, Any]]:
    """Return the objects in a list, or in the list of that name; what is none of it is left out."""
    if name:
        document = document.get(name) if isinstance(document, dict) else None
    return [each for each in document if isinstance(each, dict)] if isinstance(document, list) else []
