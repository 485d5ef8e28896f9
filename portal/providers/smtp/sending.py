"""Sending one email through a session, and telling exactly what became of it."""

from portal.providers.base import OutgoingEmail, RecipientOutcome, SendOutcome
from portal.providers.messages import InvalidMessage, ended, recipients
from portal.providers.outcomes import Failure, Outcome, ProviderError
from portal.providers.smtp import mail
from portal.providers.smtp.errors import TABLE
from portal.providers.smtp.session import Session


def send(session: Session, message: OutgoingEmail) -> SendOutcome:
    """Send an email. Nothing is raised: every way it can end is an outcome.

    A message that some recipients are refused for still goes to the others; the outcome names each.
    """
    data = session.settings
    sender = message.from_email or data.from_email
    name = message.from_name or ("" if message.from_email else data.from_name)
    try:
        to = recipients(message)
        built = mail.build(message, sender=sender, sender_name=name, now=session.context.now())
    except InvalidMessage as invalid:
        return ended(Failure.of(TABLE["message_invalid"], {"cause": str(invalid)}), message.to)
    message_id = str(built["Message-ID"])
    try:
        return _deliver(session, built["From"].addresses[0].addr_spec, to, mail.payload(built), message_id)
    except ProviderError as error:
        return ended(error.failure, to, message_id)


def _deliver(session: Session, sender: str, to: tuple[str, ...], payload: bytes, message_id: str) -> SendOutcome:
    for stage in (session.resolve, session.connect, session.encrypt, session.login):
        stage()
    session.name_sender(sender, len(payload))
    outcomes = tuple(_recipient(address, session.name_recipient(address)) for address in to)
    refused = [failure for _, failure in outcomes if failure]
    if len(refused) == len(outcomes):
        return SendOutcome(
            outcome=refused[0].outcome,
            error=refused[0],
            message_id=message_id,
            recipients=tuple(each for each, _ in outcomes),
        )
    answer = session.hand_over(payload)
    session.goodbye()
    return SendOutcome(
        outcome=Outcome.OK, provider_id=answer, message_id=message_id, recipients=tuple(each for each, _ in outcomes)
    )


def _recipient(address: str, failure: Failure | None) -> tuple[RecipientOutcome, Failure | None]:
    if failure is None:
        return RecipientOutcome(address=address, outcome=Outcome.OK), None
    return RecipientOutcome(address=address, outcome=failure.outcome, code=failure.code, detail=failure.said), failure
