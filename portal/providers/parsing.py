"""Reading one entered value of each kind of field, or refusing it in a sentence that names the field."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from portal.providers.addresses import AccentedLocalPart, BadEmail, ascii_email
from portal.providers.fields import Field, FieldKind, Value
from portal.security.masking import looks_masked
from portal.security.network import InvalidHost, canonical_host

_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DIGITS: Final = re.compile(r"-?[0-9]{1,15}")
_YES: Final = frozenset({"on", "true", "yes", "1"})
_NO: Final = frozenset({"off", "false", "no", "0"})
_HOST_WITH_PORT: Final = re.compile(r"[^:\[\]]+:\d+|\[[^\]]*\]:\d+")


class Refused(ValueError):
    """An entered value cannot be used; the text is a sentence for the person who entered it, without the value."""


def parse(field: Field, entered: object) -> Value | None:
    """Return the typed value of a field, or None when nothing was entered.

    Raises:
        Refused: it cannot be read as what the field takes.
    """
    if entered is None or (isinstance(entered, str) and not entered.strip()):
        return None
    return _READERS[field.kind](field, entered)


def _text(field: Field, entered: object) -> str:
    """Trim, bound and normalise (NFC); refuse what could break out of a header or a line."""
    text = _plain(field, entered)
    text = unicodedata.normalize("NFC", text)
    if any(sign in _BIDI for sign in text):
        raise Refused(f"{field.label} contains invisible characters that change the writing direction. Remove them.")
    if field.pattern and not re.fullmatch(field.pattern, text):
        raise Refused(f"{field.label} does not look right.{_like(field)}")
    return text


def _secret(field: Field, entered: object) -> str:
    """Like a text, but never normalised: a password is the exact characters that were chosen."""
    text = _plain(field, entered)
    if field.pattern and not re.fullmatch(field.pattern, text):
        raise Refused(f"{field.label} does not look right.{_like(field)}")
    return text


def _plain(field: Field, entered: object) -> str:
    if not isinstance(entered, str):
        raise Refused(f"{field.label} must be a text.")
    if len(entered) > field.max_length + 256:
        raise Refused(_too_long(field))
    text = entered.strip()
    if looks_masked(text):
        raise Refused(
            f"{field.label} is the masked form. Enter the real value, or leave the field empty to keep what is stored."
        )
    if any(unicodedata.category(sign) in _FORBIDDEN for sign in text):
        raise Refused(f"{field.label} contains a line break or control character. Remove it.")
    if len(text) > field.max_length:
        raise Refused(_too_long(field))
    return text


def _email(field: Field, entered: object) -> str:
    text = _text(field, entered)
    try:
        return ascii_email(text)
    except AccentedLocalPart:
        raise Refused(f"{field.label} may only have unaccented Latin letters, digits and signs before the @.") from None
    except BadEmail:
        raise Refused(f"{field.label} must be an email address.{_like(field)}") from None


def _host(field: Field, entered: object) -> str:
    text = _text(field, entered)
    if "://" in text or "/" in text or "@" in text:
        raise Refused(f"{field.label} must be a host name alone, without https:// and path.{_like(field)}")
    if _HOST_WITH_PORT.fullmatch(text):
        raise Refused(f"{field.label} must not contain the port. Enter the port in its own field.")
    try:
        return str(canonical_host(text))
    except InvalidHost:
        raise Refused(f"{field.label} must be a host name or an IP address.{_like(field)}") from None


def _number(field: Field, entered: object) -> int:
    if isinstance(entered, int) and not isinstance(entered, bool):
        value = entered
    elif isinstance(entered, str) and _DIGITS.fullmatch(entered.strip()):
        value = int(entered)
    else:
        raise Refused(_range(field))
    low, high = field.minimum, field.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise Refused(_range(field))
    return value


def _choice(field: Field, entered: object) -> str:
    if isinstance(entered, str) and field.choice(entered.strip()):
        return entered.strip()
    options = ", ".join(option.value for option in field.choices)
    raise Refused(f"{field.label} must be one of: {options}.")


def _yes_or_no(field: Field, entered: object) -> bool:
    if isinstance(entered, bool):
        return entered
    word = entered.strip().lower() if isinstance(entered, str) and len(entered) < 20 else ""
    if word not in _YES | _NO:
        raise Refused(f"{field.label} must be true or false.")
    return word in _YES


_READERS: Final[dict[FieldKind, Callable[[Field, object], Value]]] = {
    FieldKind.TEXT: _text,
    FieldKind.SECRET: _secret,
    FieldKind.EMAIL: _email,
    FieldKind.HOST: _host,
    FieldKind.NUMBER: _number,
    FieldKind.CHOICE: _choice,
    FieldKind.SWITCH: _yes_or_no,
    FieldKind.CONFIRM: _yes_or_no,
}


def _like(field: Field) -> str:
    return f" Example: {field.example}." if field.example else ""


def _too_long(field: Field) -> str:
    return f"{field.label} is too long: at most {field.max_length} characters."


def _range(field: Field) -> str:
    low, high = field.minimum, field.maximum
    if low is None or high is None:
        return f"{field.label} must be a whole number."
    return f"{field.label} must be a whole number from {low} to {high}."
