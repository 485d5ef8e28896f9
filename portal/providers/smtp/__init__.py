"""The SMTP provider; SMTP is its one instance."""

from typing import Final

from portal.providers.base import Capability
from portal.providers.smtp.errors import ROWS
from portal.providers.smtp.provider import FIELDS, Smtp

SMTP: Final = Smtp(
    slug="smtp",
    name="SMTP",
    capabilities=(Capability.EMAIL,),
    summary="Sends email through any mail server, your own or that of a mail service.",
    needs="The server's name, and the user name and password of an account that may send.",
    fields=FIELDS,
    errors=ROWS,
)
