"""How it goes on after a try: decided on the closed set of outcomes. Pure."""

from enum import Enum, auto
from typing import Final

from portal.providers.base import Outcome, SendOutcome

OF_THE_MESSAGE: Final = frozenset({
    "message_invalid", "message_too_large", "request_too_large", "text_refused", "filtered",
})  # fmt: skip
"""Reasons of an invalid request that lie in the message, so that no other provider would take it either."""


class Step(Enum):
    """What follows a try."""

    SENT = auto()
    FAILED = auto()
    """It was not sent, and nobody else could."""
    UNKNOWN = auto()
    """It may have been sent."""
    NEXT = auto()
    """It was not sent, and the next carrier may be able to."""


def step_of(outcome: SendOutcome) -> Step:
    """Return what follows this outcome."""
    if outcome.ok:
        return Step.SENT
    if outcome.outcome is Outcome.UNKNOWN_OUTCOME:
        return Step.UNKNOWN
    if outcome.outcome is Outcome.RECIPIENT_REJECTED:
        return Step.FAILED
    of_the_message = outcome.error is not None and outcome.error.reason in OF_THE_MESSAGE
    return Step.FAILED if outcome.outcome is Outcome.INVALID_REQUEST and of_the_message else Step.NEXT
