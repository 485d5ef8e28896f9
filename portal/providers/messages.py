"""What every driver that sends checks about a message, and the outcome of one that came to nothing."""

import re
from email.utils import make_msgid
from typing import Final

from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import OutgoingEmail, RecipientOutcome, SendOutcome
from portal.providers.outcomes import Failure

_OWN_HEADERS: Final = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "reply-to",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class InvalidMessage(ValueError):
    """The message cannot be made; the text completes "The message cannot be sent: …"."""


def recipients(message: OutgoingEmail) -> tuple[str, ...]:
    """Return the recipients' addresses in ASCII, each once, in order.

    Raises:
        InvalidMessage: there are none, or one is not an address.
    """
    try:
        found = tuple(dict.fromkeys(ascii_email(address) for address in message.to))
    except BadEmail:
        raise InvalidMessage("a recipient is not an email address") from None
    if not found:
        raise InvalidMessage("it has no recipient")
    return found


def own_headers(message: OutgoingEmail) -> dict[str, str]:
    """Return the headers that the caller adds. A line break in one, which is how headers are forged, is refused.

    Raises:
        InvalidMessage: a name or a value cannot be used.
    """
    for name, value in message.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS or _CONTROL.search(value):
            raise InvalidMessage("a header in it has characters that are not allowed")
    return {name: readable(value) for name, value in message.headers.items()}


def message_id(message: OutgoingEmail, sender: str) -> str:
    """Return the message's id, or a new one in the sender's domain.

    Raises:
        InvalidMessage: it has characters that no header may have.
    """
    if _CONTROL.search(message.message_id):
        raise InvalidMessage("a header in it has characters that are not allowed")
    return message.message_id or make_msgid(domain=sender.rpartition("@")[2])


def readable(text: str) -> str:
    """Return the text with characters that cannot be encoded (half of a surrogate pair) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def ended(failure: Failure, to: tuple[str, ...], message_id: str = "") -> SendOutcome:
    """Return the outcome when the message as a whole came to nothing; it is the same for everybody."""
    recipients = tuple(
        RecipientOutcome(address=address, outcome=failure.outcome, code=failure.code, detail=failure.said)
        for address in to
    )
    return SendOutcome(outcome=failure.outcome, error=failure, message_id=message_id, recipients=recipients)
