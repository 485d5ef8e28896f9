"""SendGrid's error table, and the reader of its error answers."""

import re
from typing import Any, Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.rest import Complaint, items, table_with

_OWN: Final = (
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="API key refused",
        message="SendGrid does not accept this API key.",
        hint="Create one with the Mail Send permission in SendGrid, under Settings, API Keys, and enter it here.",
        field="api_key",
    ),
    ErrorRow(
        reason="permission_missing",
        outcome=Outcome.PERMISSION_MISSING,
        title="permission missing",
        message="The API key is not allowed to do this.",
        hint="Give the key the Mail Send permission in SendGrid, under Settings, API Keys.",
        field="api_key",
    ),
    ErrorRow(
        reason="cannot_send",
        outcome=Outcome.PERMISSION_MISSING,
        title="key may not send",
        message="The API key works but may not send mail: it lacks the permission mail.send.",
        hint="Edit the key in SendGrid, under Settings, API Keys, and give it Mail Send.",
        field="api_key",
    ),
    ErrorRow(
        reason="sender_rejected",
        outcome=Outcome.PERMISSION_MISSING,
        title="sender not verified",
        message="{sender} is not a verified sender in SendGrid.",
        hint="Verify it under Settings, Sender Authentication in SendGrid, or use an address that is verified there.",
        field="verified_sender",
    ),
    ErrorRow(
        reason="sender_malformed",
        outcome=Outcome.INVALID_REQUEST,
        title="sender not understood",
        message="SendGrid does not take {sender} as a sender's address.",
        hint="Check the sender.",
        field="verified_sender",
    ),
    ErrorRow(
        reason="recipient_rejected",
        outcome=Outcome.RECIPIENT_REJECTED,
        title="recipient refused",
        message="SendGrid refused the recipient's address.",
        hint="Check the recipient's address.",
    ),
    ErrorRow(
        reason="quota_exceeded",
        outcome=Outcome.QUOTA_EXCEEDED,
        title="credits used up",
        message="The SendGrid account has no credits left to send with.",
        hint="Raise the plan in SendGrid, or wait until its credits start again.",
    ),
    ErrorRow(
        reason="request_too_large",
        outcome=Outcome.INVALID_REQUEST,
        title="message too large",
        message="The message is larger than SendGrid takes.",
        hint="Shorten it.",
    ),
)
ROWS: Final = table_with(*_OWN, sends=True)

# What an error says in its text or about which field; the first that fits decides, the status where none does.
_SIGNS: Final = (
    (re.compile(r"maximum credits exceeded|credits? (limit )?exceeded", re.IGNORECASE), "quota_exceeded"),
    (re.compile(r"verified sender identity|from address does not match", re.IGNORECASE), "sender_rejected"),
    (re.compile(r"too many requests", re.IGNORECASE), "rate_limited"),
)
_FIELDS: Final = (
    (re.compile(r"personalizations\.\d+\.(to|cc|bcc)\b"), "recipient_rejected"),
    (re.compile(r"from\b"), "sender_malformed"),
)


def complaint(status: int, document: Any) -> Complaint | None:
    """Return what an answer complains about: `{"errors": [{"message", "field", "help"}]}`, with any status.

    SendGrid has no codes of its own; the status is kept as the code.
    """
    if status >= 300 or (isinstance(document, dict) and document.get("errors")):
        errors = items(document, "errors")
        texts = [str(each.get("message") or "") for each in errors]
        field = next((str(each["field"]) for each in errors if each.get("field")), "")
        return Complaint(text=" ".join(texts).strip(), reason=_reason(status, " ".join(texts), field))
    return None


def _reason(status: int, text: str, field: str) -> str:
    for pattern, reason in _SIGNS:
        if pattern.search(text):
            return reason
    if status in (400, 422):
        return next((reason for pattern, reason in _FIELDS if pattern.match(field)), "")
    return ""
