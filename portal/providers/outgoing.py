"""Messages: what is handed to a provider, in the same form whichever it is, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from portal.providers.outcomes import Failure, Outcome

Tone = Literal["ok", "warn", "err"]
"""How a chat message is coloured."""


@dataclass(frozen=True, kw_only=True)
class OutgoingEmail:
    """One email to send. An empty sender means the one of the credentials; an empty message id means a new one."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    from_email: str = ""
    from_name: str = ""
    reply_to: str = ""
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OutgoingSms:
    """One text message to send; numbers are in E.164 form. An empty sender means the one of the credentials."""

    to: str
    text: str
    from_number: str = ""


@dataclass(frozen=True, kw_only=True)
class OutgoingChat:
    """One message to the channel that the credentials lead to. All of it is plain text; nothing in it is markup.

    Attributes:
        title: one line.
        text: what stands below it; may have several lines, may be empty.
        facts: label and value, shown side by side; ten of them at the most.
        url: where its button leads; empty for no button.
    """

    title: str
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    url: str = ""
    tone: Tone = "ok"


@dataclass(frozen=True, kw_only=True)
class RecipientOutcome:
    """What became of one recipient: ok means that the provider took it over, not that it arrived."""

    address: str
    outcome: Outcome
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """What became of a message. With `unknown_outcome` it may have been sent; with everything else but ok it was not.

    Attributes:
        provider_id: the provider's own answer or id, to look the message up there.
        recipients: one entry each, in the order of the message; some may be refused while the message was taken.
    """

    outcome: Outcome
    error: Failure | None = None
    provider_id: str = ""
    message_id: str = ""
    recipients: tuple[RecipientOutcome, ...] = ()
    response_time_ms: int = 0

    @property
    def ok(self) -> bool:
        """Whether the provider took the message for at least one recipient."""
        return self.outcome is Outcome.OK

    @property
    def refused(self) -> tuple[RecipientOutcome, ...]:
        """The recipients that the provider did not take."""
        return tuple(each for each in self.recipients if each.outcome is not Outcome.OK)
