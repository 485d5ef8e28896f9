"""Test emails from a draft: the only sending that does not go through messaging, since a draft is stored nowhere."""

from portal import clock
from portal.database import unit_of_work
from portal.integrations import calls, drafts, usage
from portal.integrations.drafts import Draft, Invalid
from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import OutgoingEmail, SendOutcome
from portal.web.access import Identity

SUBJECT = "Test email from Integrations Portal"
TEXT = """This is a test email from Integrations Portal.

{name} sent it at {time} to see that "{integration}" works. If you read it, email from this integration arrives.
"""


def send_test_email(draft: Draft, *, to: str, who: Identity) -> SendOutcome:
    """Send one real email with the values of a draft. Owns its transactions; none is open while it sends.

    Raises:
        Invalid: the address is not one.
        TooBusy: too many people wait for providers right now.
    """
    try:
        address = ascii_email(to)
    except BadEmail:
        raise Invalid({"test_to": "Enter an email address, such as dana@example.org."}) from None
    sent_at = f"{clock.now():%d %b %Y, %H:%M} UTC"
    text = TEXT.format(name=who.name or who.email, time=sent_at, integration=draft.name)
    call = drafts.call_of(draft, organization_id=who.organization_id, reason="Test email")
    with calls.place():
        outcome = call.send_email(OutgoingEmail(to=(address,), subject=SUBJECT, text=text))
    if outcome.ok and draft.integration_id:
        with unit_of_work():
            usage.add(draft.integration_id)
    return outcome
