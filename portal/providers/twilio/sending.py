"""Sending one text message through Twilio, and telling exactly what became of it."""

import re
from typing import Any, Final

from portal.providers.base import Credentials, OutgoingSms, RecipientOutcome, SendOutcome
from portal.providers.messages import InvalidMessage, ended, readable
from portal.providers.outcomes import Outcome, ProviderError
from portal.providers.rest import Visit
from portal.providers.twilio.errors import reason_of

LONGEST: Final = 1600
"""Characters of a text (Twilio's error 21617)."""
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_FAILED: Final = frozenset({"failed", "undelivered", "canceled"})


def send(visit: Visit, credentials: Credentials, message: OutgoingSms, sender: str) -> SendOutcome:
    """Send a text message (POST /Accounts/{sid}/Messages). Nothing is raised: every way it can end is an outcome."""
    to = (message.to,)
    try:
        _check(message)
        created = _create(visit, credentials, message, sender)
        _see_that_it_was_taken(visit, created)
    except InvalidMessage as invalid:
        return ended(visit.error("message_invalid", cause=str(invalid)).failure, to)
    except ProviderError as error:
        return ended(error.failure, to)
    taken = (RecipientOutcome(address=message.to, outcome=Outcome.OK),)
    return SendOutcome(outcome=Outcome.OK, provider_id=visit.shown(str(created.sid), 100), recipients=taken)


def _check(message: OutgoingSms) -> None:
    if not _E164.fullmatch(message.to):
        raise InvalidMessage("the recipient is not a number with + and country code")
    if not message.text.strip():
        raise InvalidMessage("it has no text")
    if len(message.text) > LONGEST:
        raise InvalidMessage(f"it is longer than {LONGEST:,} characters")


def _create(visit: Visit, credentials: Credentials, message: OutgoingSms, sender: str) -> Any:
    from portal.providers.twilio.package import asked, client_of

    client = client_of(visit, str(credentials.get("account_sid") or ""), str(credentials.get("auth_token") or ""))
    origin = {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
    return asked(visit, lambda: client.messages.create(to=message.to, body=readable(message.text), **origin))


def _see_that_it_was_taken(visit: Visit, created: Any) -> None:
    """Refuse an answer that names no message, or one that failed at once.

    Raises:
        ProviderError: in words; with the outcome unknown_outcome where it does not say what became of the message.
    """
    if created.status in _FAILED:
        code = created.error_code if isinstance(created.error_code, int) else 0
        said = str(created.error_message or "")
        raise visit.error(reason_of(code) or "not_delivered", code=str(code or created.status), said=said)
    if not isinstance(created.sid, str) or not created.sid:
        raise visit.error("unconfirmed")
