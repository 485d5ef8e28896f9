"""What the channels differ in: who carries them, in which order, and how a letter becomes a call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from portal.integrations.calls import Call
from portal.messaging.models import Channel, Message
from portal.providers import catalogue
from portal.providers.base import Capability, OutgoingChat, OutgoingEmail, OutgoingSms, SendOutcome, Tone


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What a message says, read from its row so that no transaction is needed while it is sent; hidden in its repr."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    extra: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, message: Message) -> "Letter":
        """Return what a stored message says."""
        return cls(
            to=message.to_address, subject=message.subject, text=message.text, html=message.html, extra=message.extra
        )


@dataclass(frozen=True, kw_only=True)
class Way:
    """How one channel is carried.

    Attributes:
        label: how a list calls a message of it.
        provider: what a provider of it is called: "email provider".
        capability: what an integration must be able to do.
        order: providers that are asked first, by slug; all others follow.
        send: hands a letter over.
    """

    label: str
    provider: str
    capability: Capability
    order: tuple[str, ...]
    send: Callable[[Call, Letter], SendOutcome]

    def slugs(self) -> list[str]:
        """Return the providers that carry this channel, in the order in which they are asked."""
        able = [each.slug for each in catalogue.all() if self.capability in each.capabilities]
        return sorted(able, key=lambda slug: self.order.index(slug) if slug in self.order else len(self.order))


def _email(call: Call, letter: Letter) -> SendOutcome:
    message = OutgoingEmail(to=(letter.to,), subject=letter.subject, text=letter.text, html=letter.html)
    return call.send_email(message)


def _sms(call: Call, letter: Letter) -> SendOutcome:
    return call.send_sms(OutgoingSms(to=letter.to, text=letter.text))


def _chat(call: Call, letter: Letter) -> SendOutcome:
    facts = tuple((str(name), str(value)) for name, value in letter.extra.get("facts", ()))
    tone: Tone = letter.extra.get("tone", "ok")
    message = OutgoingChat(
        title=letter.subject, text=letter.text, facts=facts, url=str(letter.extra.get("url", "")), tone=tone
    )
    return call.send_chat(message)


WAYS: Final[Mapping[Channel, Way]] = {
    Channel.EMAIL: Way(
        label="Email",
        provider="email provider",
        capability=Capability.EMAIL,
        order=("sendgrid", "google", "microsoft", "smtp"),
        send=_email,
    ),
    Channel.SMS: Way(label="SMS", provider="SMS provider", capability=Capability.SMS, order=("twilio",), send=_sms),
    Channel.CHAT: Way(label="Chat", provider="chat provider", capability=Capability.CHAT, order=(), send=_chat),
}
