"""The Twilio provider; TWILIO is its one instance."""

from typing import Final

from portal.providers.base import Capability
from portal.providers.twilio.errors import ROWS
from portal.providers.twilio.provider import FIELDS, HOST, SERVICES_HOST, Twilio

TWILIO: Final = Twilio(
    slug="twilio",
    name="Twilio",
    capabilities=(Capability.SMS,),
    summary="Sends text messages from a Twilio number or messaging service.",
    needs="The account's SID and auth token, and a number that can send text messages.",
    fields=FIELDS,
    errors=ROWS,
    hosts=(HOST, SERVICES_HOST),
    docs="https://www.twilio.com/docs/iam/api/account",
)
