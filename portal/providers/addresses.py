"""Email addresses in the form in which mail servers take them."""

from typing import Final

from email_validator import EmailNotValidError, validate_email

from portal.security.network import InvalidHost, canonical_host

LONGEST: Final = 254
"""Characters of a mail address that fits into a MAIL or RCPT command (RFC 5321, 4.5.3.1.3)."""


class BadEmail(ValueError):
    """A text is no email address that can be written to."""


class AccentedLocalPart(BadEmail):
    """The part before the @ has characters that only servers with SMTPUTF8 take, which many are not."""


def ascii_email(text: str) -> str:
    """Return the address with its domain in ASCII (IDNA), as a server takes it.

    Internal domains such as mail.local are fine, since a company's own server may well have one.

    Raises:
        BadEmail: it is no address; AccentedLocalPart when only the part before the @ stands in the way.
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        host = canonical_host(domain)
        # The domain is checked above; the validator would refuse internal ones, so it sees a public one.
        checked = validate_email(f"{local}@example.com", check_deliverability=False)
    except (InvalidHost, EmailNotValidError):
        raise BadEmail("not an email address") from None
    if not at or not isinstance(host, str) or len(local) + len(host) + 1 > LONGEST:
        raise BadEmail("not an email address")
    if not checked.local_part.isascii():
        raise AccentedLocalPart("the part before the @ is not ASCII")
    return f"{checked.local_part}@{host}"
