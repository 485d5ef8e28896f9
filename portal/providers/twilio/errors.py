"""Twilio's error table: its rows, which of its codes mean which row, and the reader of its error answers."""

from collections.abc import Mapping
from typing import Any, Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.rest import Complaint, table_with

_ACCOUNT: Final = (
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="login failed",
        message="Twilio refused the account SID or the auth token.",
        hint="Copy both again from the Twilio console; a token stops working as soon as it is replaced there.",
        field="auth_token",
    ),
    ErrorRow(
        reason="account_not_found",
        outcome=Outcome.AUTH_REJECTED,
        title="account not found",
        message="Twilio knows no such account, or the auth token belongs to another one.",
        hint="Copy account SID and auth token again from the Twilio console.",
        field="account_sid",
    ),
    ErrorRow(
        reason="test_credentials",
        outcome=Outcome.AUTH_REJECTED,
        title="test credentials",
        message="These are Twilio's test credentials, which can do almost nothing.",
        hint="Enter the live account SID and auth token from the Twilio console.",
        field="auth_token",
    ),
    ErrorRow(
        reason="account_suspended",
        outcome=Outcome.QUOTA_EXCEEDED,
        title="account suspended",
        message="Twilio has suspended this account.",
        hint="Usually the balance is used up: top it up in the Twilio console, or ask Twilio's support.",
    ),
    ErrorRow(
        reason="account_closed",
        outcome=Outcome.AUTH_REJECTED,
        title="account closed",
        message="This Twilio account is closed.",
        hint="Enter the account SID and auth token of an account that is open.",
        field="account_sid",
    ),
    ErrorRow(
        reason="quota_exceeded",
        outcome=Outcome.QUOTA_EXCEEDED,
        title="balance used up",
        message="The Twilio account has no funds left.",
        hint="Top up the balance in the Twilio console.",
    ),
)

_SENDER: Final = (
    ErrorRow(
        reason="number_not_found",
        outcome=Outcome.INVALID_REQUEST,
        title="number not in this account",
        message="{sender} is not a number of this Twilio account.",
        hint="Enter one of the numbers under Phone Numbers in the Twilio console, with + and country code.",
        field="from_number",
    ),
    ErrorRow(
        reason="number_without_sms",
        outcome=Outcome.INVALID_REQUEST,
        title="number without SMS",
        message="{sender} belongs to the account but cannot send text messages.",
        hint="Choose a number with the capability SMS in the Twilio console.",
        field="from_number",
    ),
    ErrorRow(
        reason="service_not_found",
        outcome=Outcome.INVALID_REQUEST,
        title="messaging service not found",
        message="There is no messaging service {sender} in this Twilio account.",
        hint="Copy its SID again from Messaging, Services in the Twilio console, or enter a number.",
        field="from_number",
    ),
    ErrorRow(
        reason="sender_refused",
        outcome=Outcome.INVALID_REQUEST,
        title="sender not usable",
        message="Twilio does not send text messages from {sender}.",
        hint="Use a number of this account that can send SMS, or a messaging service that has one.",
        field="from_number",
    ),
    ErrorRow(
        reason="sender_unregistered",
        outcome=Outcome.PERMISSION_MISSING,
        title="sender not registered",
        message="{sender} is not registered for sending to this country, so carriers block it.",
        hint="Register it in the Twilio console (A2P 10DLC, toll-free verification or sender ID registration).",
    ),
    ErrorRow(
        reason="country_not_allowed",
        outcome=Outcome.PERMISSION_MISSING,
        title="country not allowed",
        message="The Twilio account may not send to the recipient's country.",
        hint="Allow the country under Messaging, Settings, Geo permissions in the Twilio console.",
    ),
    ErrorRow(
        reason="pair_not_reachable",
        outcome=Outcome.PERMISSION_MISSING,
        title="no way from this number",
        message="The recipient cannot be reached from {sender}.",
        hint="Send from a number of the recipient's country, or from a messaging service that has one.",
    ),
)

_MESSAGE: Final = (
    ErrorRow(
        reason="recipient_rejected",
        outcome=Outcome.RECIPIENT_REJECTED,
        title="recipient refused",
        message="Twilio cannot send text messages to this number.",
        hint="Check the number; it must be a mobile number with + and country code.",
    ),
    ErrorRow(
        reason="opted_out",
        outcome=Outcome.RECIPIENT_REJECTED,
        title="recipient opted out",
        message="The recipient has opted out of messages from this sender or blocked them.",
        hint="They can opt in again by texting START to the number.",
    ),
    ErrorRow(
        reason="trial_recipient",
        outcome=Outcome.RECIPIENT_REJECTED,
        title="trial account",
        message="A trial account sends to verified numbers only, and this one is not verified.",
        hint="Verify the number under Verified Caller IDs in the Twilio console, or upgrade the account.",
    ),
    ErrorRow(
        reason="text_refused",
        outcome=Outcome.INVALID_REQUEST,
        title="message not accepted",
        message="Twilio does not take this message: it is empty, too long or not well formed.",
        hint="Shorten or correct it; a text may have 1,600 characters.",
    ),
    ErrorRow(
        reason="filtered",
        outcome=Outcome.INVALID_REQUEST,
        title="message filtered",
        message="Twilio or the carrier blocked the message for what it says or when it was sent.",
        hint="Change the text: leave out shortened links and name who is writing.",
    ),
    ErrorRow(
        reason="not_delivered",
        outcome=Outcome.PROVIDER_ERROR,
        title="not delivered",
        message="Twilio could not hand the message over to the recipient's carrier.",
        hint="Send it again later; the phone may be switched off or the carrier disturbed.",
    ),
)
ROWS: Final = table_with(*_ACCOUNT, *_SENDER, *_MESSAGE, sends=True)

# https://www.twilio.com/docs/api/errors; Twilio splits codes now and then, hence the ranges in _reason().
_CODES: Final[Mapping[str, tuple[int, ...]]] = {
    "account_not_found": (20404,),
    "account_suspended": (20005, 30002),
    "test_credentials": (20008,),
    "rate_limited": (20429, 21611, 30001, 30022, 30023, 30027, 63038),
    "unavailable": (20503,),
    "recipient_rejected": (21211, 21265, 21266, 21604, 21614, 21635, 30005, 30006),
    "opted_out": (21610, 30004),
    "trial_recipient": (21608,),
    "sender_refused": (
        *(21212, 21267, 21268, 21603, 21606, 21659, 21660, 21661),
        *(21701, 21703, 21704, 21705, 21710, 21712, 21714),
    ),
    "country_not_allowed": (21408,),
    "pair_not_reachable": (21612,),
    "text_refused": (21602, 21617, 21619, 21620, 21654, 21655, 21656),
    "filtered": (30007, 30450, 30610, 30640),
    "sender_unregistered": (30018, 30026, 30032, 30034, 30035),
    "unconfirmed": (30410,),
}
_BY_CODE: Final = {code: reason for reason, codes in _CODES.items() for code in codes}
_DELIVERY: Final = range(30000, 31000)


def reason_of(code: int) -> str:
    """Return which row a code of Twilio's means; "" where the status says as much."""
    return _BY_CODE.get(code, "not_delivered" if code in _DELIVERY else "")


def complaint(status: int, document: Any) -> Complaint | None:
    """Return what an answer complains about: `{"code", "message", "more_info", "status"}`, with any status.

    Newer parts of Twilio's interface say `title` and `detail` instead of `message` (RFC 9457).
    """
    if not isinstance(document, dict):
        return None
    code = document.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    text = next((document[name] for name in ("message", "detail", "title") if document.get(name)), "")
    inside = document.get("status")
    return Complaint(
        text=str(text),
        code=str(code),
        reason=reason_of(code),
        status=inside if status < 300 and isinstance(inside, int) and 400 <= inside < 600 else None,
    )
