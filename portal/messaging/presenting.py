"""What the pages of this room say: words for messages and tries."""

from dataclasses import dataclass
from typing import Final

from portal.accounts import retention
from portal.messaging.channels import WAYS
from portal.messaging.models import WAITING, Message, MessageStatus, MessageTry
from portal.messaging.service import ENDED_BADLY, has_body
from portal.providers import catalogue
from portal.providers.base import Outcome
from portal.security.redaction import strip_controls
from portal.web.filters import upper_first

PURPOSES: Final = {"alert": "Alert", "test": "Test", "api": "Application"}
"""Purpose of a message → how it is called."""
SHOWN_TITLE: Final = 90
"""Characters of a message that a list shows."""


@dataclass(frozen=True)
class Standing:
    """The state of a message or a try as a list shows it; without a tone the word knows its own."""

    word: str
    tone: str | None = None
    icon: str | None = None


STANDINGS: Final = {
    MessageStatus.SCHEDULED: Standing("Queued"),
    MessageStatus.QUEUED: Standing("Queued"),
    MessageStatus.SENDING: Standing("Queued", "info", "spin"),
    MessageStatus.SENT: Standing("Sent"),
    MessageStatus.DELIVERED: Standing("Delivered"),
    MessageStatus.FAILED: Standing("Not delivered"),
    MessageStatus.CANCELED: Standing("Canceled"),
    MessageStatus.UNKNOWN: Standing("Unconfirmed", "warn", "warn"),
    MessageStatus.RECEIVED: Standing("Delivered"),
}
FILTERS: Final = {
    "queued": ("Queued", (*WAITING, MessageStatus.SENDING)),
    "sent": ("Sent", (MessageStatus.SENT,)),
    "delivered": ("Delivered", (MessageStatus.DELIVERED,)),
    "failed": ("Not delivered", (MessageStatus.FAILED,)),
    "unknown": ("Unconfirmed", (MessageStatus.UNKNOWN,)),
    "canceled": ("Canceled", (MessageStatus.CANCELED,)),
}
"""Status in an address → its word, the states that it means."""


def of_message(message: Message) -> Standing:
    """Return how a message stands."""
    return STANDINGS[message.status]


def of_try(entry: MessageTry) -> Standing:
    """Return how one try ended."""
    if entry.outcome is None:
        return Standing("Being sent", "info", "spin")
    outcome = Outcome(entry.outcome)
    if outcome is Outcome.OK:
        return Standing("Sent", "ok", "ok")
    if outcome is Outcome.UNKNOWN_OUTCOME:
        return Standing("Unconfirmed", "warn", "warn")
    return Standing(upper_first(outcome.label), "err", "error")


def answer(entry: MessageTry) -> str:
    """Return what came of a try in words."""
    if entry.outcome == Outcome.OK:
        return f"Taken over as {entry.provider_id}." if entry.provider_id else "Taken over."
    return entry.message or "No answer yet."


def channel(message: Message) -> str:
    """Return how a message travels."""
    return WAYS[message.channel].label


def purpose(message: Message) -> str:
    """Return why a message was sent."""
    return PURPOSES.get(message.purpose, upper_first(message.purpose))


def provider(entry: MessageTry) -> str:
    """Return the name of a try's provider."""
    try:
        return catalogue.get(entry.provider).name
    except catalogue.UnknownProvider:
        return entry.provider


def title(message: Message) -> str:
    """Return what a message is called: its subject, or how its text begins."""
    words = " ".join(strip_controls(message.subject or message.text).split())
    # Where a text ends with an address to open, what is before it says what it is about.
    before, _, last = words.rpartition(" ")
    if before and last.startswith(("https://", "http://")):
        words = before
    if not words:
        return f"{channel(message)} without a subject"
    return words if len(words) <= SHOWN_TITLE else words[: SHOWN_TITLE - 1].rstrip() + "…"


def is_over(message: Message) -> bool:
    """Return whether nothing more happens to a message by itself."""
    return not (is_waiting(message) or is_being_sent(message))


def is_waiting(message: Message) -> bool:
    """Return whether a message waits for its turn; as long it can be canceled."""
    return message.status in WAITING


def is_being_sent(message: Message) -> bool:
    """Return whether a provider is being called."""
    return message.status is MessageStatus.SENDING


def nobody(message: Message) -> str:
    """Return what stands in place of a carrier where there is none."""
    return "Nobody" if is_over(message) else "Nobody yet"


def can_retry(message: Message) -> bool:
    """Return whether a message can be sent again."""
    return message.status in ENDED_BADLY and has_body(message)


def may_have_arrived(message: Message) -> bool:
    """Return whether sending it again may let it arrive twice."""
    return message.status is MessageStatus.UNKNOWN


def kept_days(message: Message) -> int:
    """Return for how many days the organization keeps what messages say."""
    return retention.of(message.organization_id).bodies_days


def is_kept(message: Message) -> bool:
    """Return whether what a message says is still there."""
    return has_body(message)
