"""The SendGrid provider; SENDGRID is its one instance."""

from typing import Final

from portal.providers.base import Capability
from portal.providers.sendgrid.errors import ROWS
from portal.providers.sendgrid.provider import FIELDS, HOSTS, SendGrid

SENDGRID: Final = SendGrid(
    slug="sendgrid",
    name="SendGrid",
    capabilities=(Capability.EMAIL,),
    summary="Sends email through Twilio SendGrid's own interface.",
    needs="An API key that may send mail, and a sender that is verified in SendGrid.",
    fields=FIELDS,
    errors=ROWS,
    hosts=tuple(HOSTS.values()),
    docs="https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
)
