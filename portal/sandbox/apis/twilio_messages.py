"""What Twilio holds: account, numbers and services; and what it makes of a message, or why it refuses one."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict

SERVICE_SID: Final = "MG" + "5a" * 16
LONGEST: Final = 1600
"""Characters."""
_HOME: Final = "/2010-04-01/Accounts"
_PRICE: Final = 0.0515
"""US dollars for a segment."""
_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
_TEST_NUMBER: Final = re.compile(r"\+\d+(\d{4})")
# The basic character set of GSM 03.38, and what needs an escape and so counts twice.
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE: Final = frozenset("^{}\\[~]|€\f")


@dataclass(frozen=True)
class Owned:
    """A phone number of the account."""

    number: str
    name: str
    sms: bool = True


OWNED: Final = (
    Owned("+61491570006", "Northline mobile"),
    Owned("+15005550006", "Twilio's test number"),
    Owned("+61255500010", "Reception, voice only", sms=False),
)


class Refused(Exception):
    """Twilio does not take a message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


_FROM_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "0001": (21212, "The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID."),
    "0008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}
_TO_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "0001": (21211, "The 'To' number {} is not a valid phone number."),
    "0002": (21612, "The 'To' phone number: {}, is not currently reachable using the 'From' phone number via SMS."),
    "0003": (
        21408,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {}.",
    ),
    "0004": (21610, "Attempt to send to unsubscribed recipient"),
    "0008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
    "0009": (21614, "'To' number: {}, is not a mobile number"),
    "0429": (20429, "Too Many Requests"),
    "0500": (20500, "Internal Server Error"),
}


def taken(form: MultiDict[str, str], account_sid: str) -> dict[str, Any]:
    """Check what was posted, and return the message as the outbox keeps it.

    Raises:
        Refused: it is not sent.
    """
    to, sender, service_sid = (form.get(name, "").strip() for name in ("To", "From", "MessagingServiceSid"))
    text = form.get("Body", "")
    if not to:
        raise Refused(21604, "A 'To' phone number is required.")
    if not sender and not service_sid:
        raise Refused(21603, "A 'From' phone number is required.")
    if not text and not form.get("MediaUrl") and not form.get("ContentSid"):
        raise Refused(21602, "Message body is required.")
    if len(text) > LONGEST:
        raise Refused(21617, f"The concatenated message body exceeds the {LONGEST} character limit.")
    _check_sender(sender, service_sid)
    _check_recipient(to, sender)
    _check_callback(form.get("StatusCallback", ""))
    media = form.getlist("MediaUrl")
    return {
        "sid": ("MM" if media else "SM") + secrets.token_hex(16),
        "account_sid": account_sid,
        "from": sender or None,
        "to": to,
        "text": text,
        "media": media[:10],
        "segments": segments(text),
        "messaging_service_sid": service_sid or None,
        "status_callback": form.get("StatusCallback") or None,
        "created": format_datetime(datetime.now(UTC)),
    }


def _check_sender(sender: str, service_sid: str) -> None:
    if service_sid and service_sid != SERVICE_SID:
        raise Refused(21701, f"The messaging service {service_sid} does not exist.", 404)
    if not sender:
        return
    if refusal := _FROM_REFUSALS.get(_ending(sender)):
        raise Refused(refusal[0], refusal[1].format(sender))
    if not _NUMBER.fullmatch(sender):
        raise Refused(21212, _FROM_REFUSALS["0001"][1].format(sender))
    if sender not in {each.number for each in OWNED if each.sms}:
        raise Refused(
            21606,
            f"The From phone number {sender} is not a valid, SMS-capable inbound phone number or short code for your "
            "account.",
        )


def _check_recipient(to: str, sender: str) -> None:
    if refusal := _TO_REFUSALS.get(_ending(to)):
        status = {20429: 429, 20500: 500}.get(refusal[0], 400)
        raise Refused(refusal[0], refusal[1].format(to), status)
    if not _NUMBER.fullmatch(to):
        raise Refused(21211, _TO_REFUSALS["0001"][1].format(to))
    if to == sender:
        raise Refused(21266, f"'To' and 'From' number cannot be the same: {to}")


def _check_callback(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Refused(21609, f"The 'StatusCallback' URL {url} is not a valid URL.")


def _ending(number: str) -> str:
    found = _TEST_NUMBER.fullmatch(number)
    return found[1] if found else ""


def segments(text: str) -> int:
    """Return in how many parts a text is sent: 160 and 153 characters of GSM 03.38, else 70 and 67 of UTF-16."""
    if all(char in _GSM or char in _GSM_TWICE for char in text):
        length, alone, joined = sum(2 if char in _GSM_TWICE else 1 for char in text), 160, 153
    else:
        length, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= alone else -(-length // joined)


def message(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message resource; one that is already in the outbox has been delivered."""
    uri = f"{_HOME}/{entry['account_sid']}/Messages/{entry['sid']}"
    delivered = "id" in entry
    first = "accepted" if entry["from"] is None else "queued"
    return {
        "sid": entry["sid"],
        "account_sid": entry["account_sid"],
        "api_version": "2010-04-01",
        "body": entry["text"],
        "date_created": entry["created"],
        "date_sent": entry["created"] if delivered else None,
        "date_updated": entry["created"],
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": OWNED[0].number if delivered and entry["from"] is None else entry["from"],
        "messaging_service_sid": entry["messaging_service_sid"],
        "num_media": str(len(entry["media"])),
        "num_segments": str(entry["segments"]),
        "price": f"-{entry['segments'] * _PRICE:.5f}" if delivered else None,
        "price_unit": "USD",
        "status": "delivered" if delivered else first,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": entry["to"],
        "uri": f"{uri}.json",
    }


def account(sid: str, status: str, auth_token: str) -> dict[str, Any]:
    """Return the account resource; like Twilio's it shows the auth token."""
    home = f"{_HOME}/{sid}"
    return {
        "sid": sid,
        "owner_account_sid": sid,
        "friendly_name": "Northline Staffing",
        "status": status,
        "type": "Full",
        "auth_token": auth_token,
        "date_created": "Mon, 03 Feb 2025 02:10:25 +0000",
        "date_updated": "Mon, 03 Feb 2025 02:10:25 +0000",
        "subresource_uris": {
            "incoming_phone_numbers": f"{home}/IncomingPhoneNumbers.json",
            "messages": f"{home}/Messages.json",
        },
        "uri": f"{home}.json",
    }


def number(account_sid: str, owned: Owned) -> dict[str, Any]:
    """Return the resource of an owned number."""
    sid = "PN" + owned.number.removeprefix("+").rjust(32, "0")
    return {
        "sid": sid,
        "account_sid": account_sid,
        "friendly_name": owned.name,
        "phone_number": owned.number,
        "capabilities": {"voice": True, "sms": owned.sms, "mms": owned.sms, "fax": False},
        "status": "in-use",
        "origin": "twilio",
        "beta": False,
        "address_requirements": "none",
        "bundle_sid": None,
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_application_sid": "",
        "api_version": "2010-04-01",
        "date_created": "Mon, 03 Feb 2025 02:12:00 +0000",
        "date_updated": "Mon, 03 Feb 2025 02:12:00 +0000",
        "uri": f"{_HOME}/{account_sid}/IncomingPhoneNumbers/{sid}.json",
    }


def service(account_sid: str) -> dict[str, Any]:
    """Return the resource of the one messaging service."""
    url = f"https://messaging.twilio.com/v1/Services/{SERVICE_SID}"
    return {
        "sid": SERVICE_SID,
        "account_sid": account_sid,
        "friendly_name": "Northline Staffing",
        "date_created": "2025-02-03T02:15:00Z",
        "date_updated": "2025-02-03T02:15:00Z",
        "sticky_sender": True,
        "smart_encoding": False,
        "validity_period": 36000,
        "usecase": "notifications",
        "url": url,
        "links": {"phone_numbers": f"{url}/PhoneNumbers"},
    }
