"""Sending one email through SendGrid, and telling exactly what became of it."""

from typing import Any

from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import Credentials, OutgoingEmail, RecipientOutcome, SendOutcome
from portal.providers.messages import InvalidMessage, ended, message_id, own_headers, readable, recipients
from portal.providers.outcomes import Outcome, ProviderError
from portal.providers.rest import Visit

ACCEPTED = 202


def send(visit: Visit, credentials: Credentials, message: OutgoingEmail) -> SendOutcome:
    """Send an email (POST /v3/mail/send). Nothing is raised: every way it can end is an outcome."""
    to, own_id = message.to, ""
    try:
        to = recipients(message)
        body = body_of(credentials, message, to)
        own_id = body["headers"]["Message-ID"]
        provider_id = _hand_over(visit, str(credentials.get("api_key") or ""), body)
    except InvalidMessage as invalid:
        return ended(visit.error("message_invalid", cause=str(invalid)).failure, to)
    except ProviderError as error:
        return ended(error.failure, to, own_id)
    taken = tuple(RecipientOutcome(address=address, outcome=Outcome.OK) for address in to)
    return SendOutcome(outcome=Outcome.OK, provider_id=provider_id, message_id=own_id, recipients=taken)


def _hand_over(visit: Visit, api_key: str, body: dict[str, Any]) -> str:
    """Post the message and return SendGrid's id of it."""
    from portal.providers.sendgrid.package import answer_of, client_of

    answer = answer_of(client_of(visit, api_key).send(body))
    if answer.status != ACCEPTED:
        visit.document(answer, dict)  # raises what it complains about
        raise visit.unexpected(answer)
    return visit.shown(answer.headers.get("x-message-id", ""), 100)


def body_of(credentials: Credentials, message: OutgoingEmail, to: tuple[str, ...]) -> dict[str, Any]:
    """Return the message as SendGrid takes it.

    The message's id goes along twice: as the header, and as an argument that comes back in SendGrid's events.

    Raises:
        InvalidMessage: SendGrid could not take it.
    """
    content = [("text/plain", readable(message.text)), ("text/html", readable(message.html))]
    if not message.subject.strip():
        raise InvalidMessage("it has no subject")
    if not any(text for _, text in content):
        raise InvalidMessage("it has no text")
    try:
        sender = ascii_email(message.from_email or str(credentials.get("verified_sender") or ""))
        reply_to = ascii_email(message.reply_to) if message.reply_to else ""
    except BadEmail:
        raise InvalidMessage("an address in it is not an email address") from None
    own_id = message_id(message, sender)
    body = {
        "personalizations": [{"to": [{"email": address} for address in to]}],
        "from": _address(sender, _sender_name(credentials, message)),
        "subject": readable(message.subject),
        "content": [{"type": kind, "value": text} for kind, text in content if text],
        "headers": {"Message-ID": own_id, **own_headers(message)},
        "custom_args": {"portal_message_id": own_id},
    }
    return {**body, "reply_to": _address(reply_to)} if reply_to else body


def _sender_name(credentials: Credentials, message: OutgoingEmail) -> str:
    """Return the name beside the sender; the integration's own belongs to the integration's own address."""
    return message.from_name or ("" if message.from_email else str(credentials.get("from_name") or ""))


def _address(email: str, name: str = "") -> dict[str, str]:
    return {"email": email, "name": readable(name)} if name else {"email": email}
