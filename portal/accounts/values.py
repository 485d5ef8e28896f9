"""What a name, an email, a phone number, a time zone may be: the value to store, or what is wrong with it."""

import re
import unicodedata
from functools import cache
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

EMAIL_LENGTH = 254
NAME_LENGTH = 100
PATH_LENGTH = 2000
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
SLUG_LENGTH = 50

# An email is a sign-in name here, and an internal domain such as office.local is as good as any. The checker refuses
# those names, so it gets to see the address below a domain that it does not judge.
_NEUTRAL = ".example"


def email(text: str) -> str:
    """Return the address in the one form in which it is stored and compared: NFC, lower case.

    Raises:
        ValueError: it is no email address.
    """
    text = text.strip()
    if not text:
        raise ValueError("Enter an email address.")
    if len(text) > EMAIL_LENGTH:
        raise ValueError(f"Shorten the email address to {EMAIL_LENGTH} characters.")
    try:
        checked = validate_email(text + _NEUTRAL, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError("This is no email address. Write it like name@example.org.") from None
    return checked.normalized.removesuffix(_NEUTRAL).lower()


def email_or_none(text: str) -> str | None:
    """Return the address as stored, or None where the text cannot be one."""
    try:
        return email(text)
    except ValueError:
        return None


def name(text: str) -> str:
    """Return a name of a person or an organization, NFC and without spaces around it.

    Raises:
        ValueError: it is empty, too long, or has characters that cannot be printed.
    """
    text = unicodedata.normalize("NFC", text.strip())
    if not text:
        raise ValueError("Enter a name.")
    if len(text) > NAME_LENGTH:
        raise ValueError(f"Shorten the name to {NAME_LENGTH} characters.")
    if not all(each.isprintable() for each in text):
        raise ValueError("The name has characters that cannot be printed. Type it again by hand.")
    return text


def phone(text: str) -> str:
    """Return a phone number in E.164, as in +61400000000; empty stays empty.

    Raises:
        ValueError: it is no number with a country code.
    """
    # Dashes as word processors set them; and the zero of +44 (0)20, which is dialled at home only.
    digits = re.sub(r"\(0\)|[\s().\-/\u2010-\u2015\u2212]", "", text)
    if digits and not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        raise ValueError("Write the number with + and the country code, like +61 400 000 000.")
    return digits


def time_zone(text: str) -> str:
    """Return the name of a time zone of the IANA database, which may be typed as a city alone, in any case.

    Raises:
        ValueError: there is none of this name.
    """
    typed = text.strip().replace(" ", "_").casefold()
    for each in time_zones():
        if typed in (each.casefold(), each.rpartition("/")[2].casefold()):
            return each
    raise ValueError("Choose a time zone from the list.")


@cache
def time_zones() -> tuple[str, ...]:
    """Return the names of all places and UTC, in alphabetical order."""
    return ("UTC", *sorted(each for each in available_timezones() if each.partition("/")[0] in AREAS and "/" in each))


def slug(text: str) -> str:
    """Return the name for addresses and commands: lower-case letters, digits and hyphens; never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:SLUG_LENGTH].strip("-") or "organization"


def own_path(text: str) -> str:
    """Return the address if it stays within this portal, else nothing: where to go after signing in is anybody's input.

    Browsers drop tabs and line ends and read a backslash as a slash, so that neither may be in it.
    """
    if len(text) > PATH_LENGTH or "\\" in text or any(ord(each) < 32 or ord(each) == 127 for each in text):
        return ""
    if not text.startswith("/") or text.startswith("//"):
        return ""
    path = urlsplit(text).path
    return "" if path.startswith(("/login", "/logout", "/setup", "/confirm")) else text
