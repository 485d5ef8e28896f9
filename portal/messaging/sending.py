"""One message: handed to one carrier after the other, outside every transaction, and recorded under its token."""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal import clock
from portal.database import db, new_id, unit_of_work
from portal.health import checks, proofs
from portal.integrations import calls, credentials, usage
from portal.integrations.calls import Call
from portal.integrations.models import Integration
from portal.integrations.rechecking import check_soon
from portal.messaging import carriers, claims
from portal.messaging.channels import WAYS, Letter
from portal.messaging.claims import Claim
from portal.messaging.models import WAITING, Channel, Message, MessageStatus, MessageTry
from portal.messaging.verdict import Step, step_of
from portal.providers.base import Failure, Outcome, SendOutcome
from portal.security.errors import SecurityError

DELAYS: Final = tuple(timedelta(seconds=each) for each in (30, 120, 600, 1800))
"""How long a message waits after each round in which nobody could carry it."""
LONGEST_DELAY: Final = timedelta(hours=1)
"""How long it waits after every further one."""
LONGEST_WITHOUT: Final = timedelta(minutes=10)
"""How long it waits at the most where no provider could be asked: somebody may connect one, or mend it."""
EXPIRED: Final = "expired"
UNREADABLE: Final = SendOutcome(outcome=checks.UNREADABLE.outcome, error=checks.UNREADABLE.error)

log = logging.getLogger("portal.messaging")


@dataclass(frozen=True)
class Turn:
    """One try: through whom, with what to say. The call is none where a secret of the integration is unreadable."""

    try_id: uuid.UUID
    integration_id: uuid.UUID
    channel: Channel
    letter: Letter
    call: Call | None
    started_at: datetime


def run(claim: Claim) -> None:
    """Send a claimed message. Owns its transactions; none is open while a provider is called.

    What was surely not sent goes to the next carrier at once. What may have been sent goes to nobody any more.
    """
    tried: set[uuid.UUID] = set()
    while turn := _begin(claim, tried):
        outcome = WAYS[turn.channel].send(turn.call, turn.letter) if turn.call else UNREADABLE
        if _record(claim, turn, outcome) is not Step.NEXT:
            return
        tried.add(turn.integration_id)


def _begin(claim: Claim, tried: set[uuid.UUID]) -> Turn | None:
    """Write down what is about to be tried, and return it; None where there is nothing to try now."""
    with unit_of_work():
        message = claims.held(claim, *WAITING)
        if message is None:
            return None
        if message.expires_at <= clock.now():
            _expire(message)
            return None
        choice = carriers.choose(message, tried=tried)
        if choice.carrier is None:
            _wait(message, choice, tried=bool(tried))
            return None
        return _start(message, choice.carrier)


def _start(message: Message, carrier: Integration) -> Turn:
    now = clock.now()
    message.status, message.due_at, message.lease_until = MessageStatus.SENDING, None, now + claims.LEASE
    message.integration_id, message.tries = carrier.id, message.tries + 1
    entry = MessageTry(
        id=new_id(), message_id=message.id, number=message.tries, integration_id=carrier.id,
        integration_name=carrier.name, provider=carrier.provider, started_at=now,
    )  # fmt: skip
    db.session.add(entry)
    turn = Turn(entry.id, carrier.id, message.channel, Letter.of(message), _call(carrier), now)
    usage.add(carrier.id, at=now)  # in advance, so that many at the same time keep to the limit
    db.session.flush()
    return turn


def _call(carrier: Integration) -> Call | None:
    try:
        return calls.prepare(carrier, credentials.open_all(carrier, reason="Message"))
    except SecurityError:
        log.exception("a stored secret of integration %s cannot be opened", carrier.id)
        return None


def _record(claim: Claim, turn: Turn, outcome: SendOutcome) -> Step:
    """Write down what a provider answered, and return how it goes on.

    The try is told the truth even when somebody else holds the message by now.
    """
    step = step_of(outcome)
    with unit_of_work():
        message = claims.held(claim, MessageStatus.SENDING, MessageStatus.UNKNOWN)
        _note_try(turn, outcome)
        if message is not None:
            _STEPS[step](message, outcome)
        if outcome.outcome is not Outcome.UNKNOWN_OUTCOME:
            healthy = outcome.ok or outcome.outcome in (Outcome.RECIPIENT_REJECTED, Outcome.RATE_LIMITED)
            usage.note_send(turn.integration_id, ok=healthy)
        if step in (Step.NEXT, Step.SENT) and turn.call and not turn.call.provider.check_proves:
            proofs.note(turn.integration_id, outcome)
        if step in (Step.NEXT, Step.UNKNOWN) and outcome.outcome is not Outcome.RATE_LIMITED:
            check_soon(turn.integration_id)
        if step in (Step.NEXT, Step.FAILED):
            usage.add(turn.integration_id, -1, at=turn.started_at)
        db.session.flush()
    return step if message is not None else Step.FAILED


def _note_try(turn: Turn, outcome: SendOutcome) -> None:
    entry = db.session.get(MessageTry, turn.try_id)
    if entry is None:
        return
    now, error = clock.now(), outcome.error
    entry.outcome, entry.provider_id = outcome.outcome, outcome.provider_id[:255]
    entry.duration_ms = max(0, round((now - entry.started_at).total_seconds() * 1000))
    entry.code, entry.message = (error.code[:60], said(error)) if error else ("", "")
    if outcome.outcome is Outcome.RATE_LIMITED:
        entry.retry_at = now + pause_of(error)


def said(error: Failure) -> str:
    """Return what went wrong in words, with the provider's own text where it gave one."""
    words = f"{error.message} The answer was: {error.said}" if error.said else error.message
    return words[:1000]


def pause_of(error: Failure | None) -> timedelta:
    """Return how long a provider that asked to slow down gets no messages; a day at most, half a minute if unsaid."""
    asked = timedelta(seconds=error.retry_after) if error and error.retry_after else DELAYS[0]
    return min(asked, timedelta(days=1))


def _sent(message: Message, outcome: SendOutcome) -> None:
    _end(message, MessageStatus.SENT)
    message.sent_at, message.provider_id = clock.now(), outcome.provider_id[:255]
    message.error_class = message.error_code = message.error_message = None


def _failed(message: Message, outcome: SendOutcome) -> None:
    _end(message, MessageStatus.FAILED)
    _keep_error(message, outcome)


def _unknown(message: Message, outcome: SendOutcome) -> None:
    _end(message, MessageStatus.UNKNOWN)
    message.provider_id = outcome.provider_id[:255]
    _keep_error(message, outcome)


def _go_on(message: Message, outcome: SendOutcome) -> None:
    """It stays claimed: the next carrier is asked at once, or by whoever claims it when this worker dies."""
    now = clock.now()
    message.status, message.due_at, message.lease_until = MessageStatus.QUEUED, now, now + claims.LEASE
    _keep_error(message, outcome)


_STEPS: Final = {Step.SENT: _sent, Step.FAILED: _failed, Step.UNKNOWN: _unknown, Step.NEXT: _go_on}


def _keep_error(message: Message, outcome: SendOutcome) -> None:
    error = outcome.error
    message.error_class = outcome.outcome
    message.error_code = error.code[:60] if error else None
    message.error_message = said(error) if error else None


def _end(message: Message, status: MessageStatus) -> None:
    message.status, message.due_at, message.claim_token, message.lease_until = status, None, None, None


def _wait(message: Message, choice: carriers.Choice, *, tried: bool) -> None:
    """Let a message that nobody can carry now wait; what the carriers answered stays as the reason."""
    if not tried or message.error_message is None:
        message.error_class, message.error_code, message.error_message = None, choice.code, choice.words[:1000]
    if choice.final:
        _end(message, MessageStatus.FAILED)
    else:
        _release(message, _next_turn(message, choice, tried=tried))
    db.session.flush()


def _next_turn(message: Message, choice: carriers.Choice, *, tried: bool) -> datetime:
    now = clock.now()
    if choice.free_at and not tried:
        return max(choice.free_at, now + timedelta(seconds=1))
    delay = DELAYS[message.rounds] if message.rounds < len(DELAYS) else LONGEST_DELAY
    message.rounds += 1
    delay = delay if tried else min(delay, LONGEST_WITHOUT)
    return min(choice.free_at, now + delay) if choice.free_at else now + delay


def _release(message: Message, due_at: datetime) -> None:
    message.status, message.due_at = MessageStatus.QUEUED, min(due_at, message.expires_at)
    message.claim_token = message.lease_until = None


def _expire(message: Message) -> None:
    _end(message, MessageStatus.FAILED)
    last = f" The last reason: {message.error_message}" if message.error_message else ""
    message.error_class = message.error_code = EXPIRED
    message.error_message = f"It could not be sent in time.{last}"[:1000]
    db.session.flush()
