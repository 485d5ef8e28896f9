"""Test messages from a draft: the only sending that does not go through messaging, since a draft is stored nowhere."""

from collections.abc import Callable
from dataclasses import dataclass

from portal import clock
from portal.accounts import service as accounts
from portal.accounts import values
from portal.database import unit_of_work
from portal.integrations import calls, drafts, usage
from portal.integrations.calls import Call
from portal.integrations.drafts import Draft, Invalid
from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import Capability, OutgoingChat, OutgoingEmail, OutgoingSms, Provider, SendOutcome
from portal.security.redaction import strip_controls
from portal.web.access import Identity

SUBJECT = "Test email from Integrations Portal"
TEXT = """This is a test email from Integrations Portal.

{name} sent it at {time} to see that "{integration}" works. If you read it, email from this integration arrives.
"""
SMS = "Test SMS from Integrations Portal, sent {time}. If you read this, text messages arrive."
"""Without names: a letter beyond GSM-7 would make two or three paid parts of it."""
CHAT = "{name} sent this at {time} to see that it arrives. There is nothing to do."

Send = Callable[[Call], SendOutcome]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How a test message is called and addressed; it depends on what a provider carries.

    Attributes:
        title: what the message is called, also where the use of credentials is recorded.
        label, kind, hint, longest, autocomplete: of the field that takes the recipient; without a label there is none,
            for the message can only go to one place.
        charged: whether the provider takes money for each message.
        accepted: what is said of a message that was taken over; {answer} is the provider's answer.
        write: checks the recipient and writes the message.
    """

    title: str
    label: str = ""
    kind: str = "text"
    hint: str = ""
    longest: int = 254
    autocomplete: str = "off"
    charged: bool = False
    accepted: str
    write: Callable[[Draft, str, Identity], tuple[str, Send]]


@dataclass(frozen=True)
class Sent:
    """What became of a test message, and to whom it went; empty where that needs no saying."""

    channel: Channel
    to: str
    outcome: SendOutcome


def channel_of(provider: Provider) -> Channel | None:
    """Return how a test message goes through this provider; None where it carries no messages."""
    return next((channel for capability, channel in CHANNELS.items() if capability in provider.capabilities), None)


def own_address(channel: Channel | None, who: Identity) -> str:
    """Return where a person gets a test message themselves; empty where that is not known."""
    if channel is None or not channel.label:
        return ""
    return accounts.phone_of(who.user_id) if channel is CHANNELS[Capability.SMS] else who.email


def send_test(draft: Draft, channel: Channel, *, to: str, who: Identity) -> Sent:
    """Send one real message with the values of a draft. Owns its transactions; none is open while it sends.

    Raises:
        Invalid: the recipient is none.
        TooBusy: too many people wait for providers right now.
    """
    recipient, send = channel.write(draft, to, who)
    call = drafts.call_of(draft, organization_id=who.organization_id, reason=channel.title)
    with calls.place():
        outcome = send(call)
    if outcome.ok and draft.integration_id:
        with unit_of_work():
            usage.add(draft.integration_id)
    return Sent(channel, recipient, outcome)


def _email(draft: Draft, to: str, who: Identity) -> tuple[str, Send]:
    try:
        address = ascii_email(to)
    except BadEmail:
        raise Invalid({"test_to": "Enter an email address, such as dana@example.org."}) from None
    text = TEXT.format(name=who.name or who.email, time=_time(), integration=draft.name)
    message = OutgoingEmail(to=(address,), subject=SUBJECT, text=text)
    return to.strip(), lambda call: call.send_email(message)


def _sms(_draft: Draft, to: str, _who: Identity) -> tuple[str, Send]:
    try:
        number = values.phone(strip_controls(to))  # numbers copied from an address book carry marks that nobody sees
    except ValueError as error:
        raise Invalid({"test_to": str(error)}) from None
    if not number:
        raise Invalid({"test_to": "Enter the number that gets the test SMS."})
    message = OutgoingSms(to=number, text=SMS.format(time=_time()))
    return number, lambda call: call.send_sms(message)


def _chat(draft: Draft, _to: str, who: Identity) -> tuple[str, Send]:
    message = OutgoingChat(
        title="Test message from Integrations Portal",
        text=CHAT.format(name=who.name or who.email, time=_time()),
        facts=(("Integration", draft.name),),
    )
    return "", lambda call: call.send_chat(message)


def _time() -> str:
    return f"{clock.now():%d %b %Y, %H:%M} UTC"


CHANNELS = {
    Capability.EMAIL: Channel(
        title="Test email",
        label="Send the test email to",
        kind="email",
        autocomplete="email",
        accepted="The server said: {answer}",
        write=_email,
    ),
    Capability.SMS: Channel(
        title="Test SMS",
        label="Send the test SMS to",
        kind="tel",
        hint="With + and the country code, like +61 400 000 000.",
        longest=40,
        autocomplete="tel",
        charged=True,
        accepted="Taken over as {answer}. Whether it arrives shows on the phone.",
        write=_sms,
    ),
    Capability.CHAT: Channel(
        title="Test message",
        accepted="Look into the channel: it should be there.",
        write=_chat,
    ),
}
"""By what a provider carries; one that carries both is tested by email, which costs nothing."""
