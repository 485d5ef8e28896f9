"""Making the bytes of an email: MIME with Message-ID, Date and a sender's name in any alphabet, ready for DATA."""

import re
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import OutgoingEmail
from portal.providers.messages import InvalidMessage, message_id, own_headers, readable, recipients

_POLICY: Final = SMTP.clone(cte_type="7bit")
"""Only ASCII goes over the wire, so every server takes it, whatever it says about 8BITMIME."""
_LINE_START_DOT: Final = re.compile(rb"^\.", re.MULTILINE)


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
        mail["Subject"] = readable(message.subject)
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = message_id(message, sender)
        for name, value in own_headers(message).items():
            mail[name] = value
        mail.set_content(readable(message.text))
        if message.html:
            mail.add_alternative(readable(message.html), subtype="html")
    except InvalidMessage:
        raise
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


def _address(mail: EmailMessage, message: OutgoingEmail, sender: str, sender_name: str) -> None:
    mail["From"] = Address(display_name=readable(sender_name), addr_spec=ascii_email(sender))
    mail["To"] = [Address(addr_spec=address) for address in recipients(message)]
    if message.reply_to:
        mail["Reply-To"] = Address(addr_spec=ascii_email(message.reply_to))
