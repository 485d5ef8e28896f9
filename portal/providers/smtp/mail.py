"""Making the bytes of an email: MIME with Message-ID, Date and a sender's name in any alphabet, ready for DATA."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Final

from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import OutgoingEmail

_POLICY: Final = SMTP.clone(cte_type="7bit")
"""Only ASCII goes over the wire, so every server takes it, whatever it says about 8BITMIME."""
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
_LINE_START_DOT: Final = re.compile(rb"^\.", re.MULTILINE)


class InvalidMessage(ValueError):
    """The message cannot be made; the text completes "The message cannot be sent: …"."""


def build(message: OutgoingEmail, *, sender: str, sender_name: str, now: datetime) -> EmailMessage:
    """Put a message together. A line break in a header, which is how headers are forged, is refused by the library.

    Args:
        message: what to send.
        sender: the address in From.
        sender_name: the name beside it; may be empty.
        now: the moment for the Date header.

    Raises:
        InvalidMessage: an address or a header cannot be used.
    """
    mail = EmailMessage(policy=_POLICY)
    try:
        _address(mail, message, sender, sender_name)
        mail["Subject"] = _text(message.subject)
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = message.message_id or make_msgid(domain=sender.rpartition("@")[2])
        _extra_headers(mail, message.headers)
        mail.set_content(_text(message.text))
        if message.html:
            mail.add_alternative(_text(message.html), subtype="html")
    except BadEmail:
        raise InvalidMessage("an address in it is not an email address") from None
    except (ValueError, MessageError, UnicodeError):
        raise InvalidMessage("a header in it has characters that are not allowed") from None
    return mail


def payload(mail: EmailMessage) -> bytes:
    """Return the bytes for DATA: CRLF line ends, leading dots doubled, a lone dot at the end (RFC 5321, 4.5.2)."""
    data = mail.as_bytes()
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    return _LINE_START_DOT.sub(b"..", data) + b".\r\n"


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


def _address(mail: EmailMessage, message: OutgoingEmail, sender: str, sender_name: str) -> None:
    mail["From"] = Address(display_name=_text(sender_name), addr_spec=ascii_email(sender))
    mail["To"] = [Address(addr_spec=address) for address in recipients(message)]
    if message.reply_to:
        mail["Reply-To"] = Address(addr_spec=ascii_email(message.reply_to))


def _extra_headers(mail: EmailMessage, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(name)
        mail[name] = _text(value)


def _text(text: str) -> str:
    """Return the text with characters that cannot be encoded (half of a surrogate pair) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
