"""Time-based one-time passwords (RFC 6238) as every authenticator app knows them: SHA-1, six digits, 30 seconds."""

import io
import re
from datetime import datetime
from typing import Final
from urllib.parse import quote

import pyotp
import segno

from portal.security.signatures import same

STEP_SECONDS: Final = 30
ISSUER: Final = "Integrations Portal"
_SECRET_CHARACTERS: Final = 32  # base32, 160 bits
_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """A secret of 160 random bits as 32 base32 characters."""
    return pyotp.random_base32(_SECRET_CHARACTERS)


def grouped(secret: str) -> str:
    """A secret in groups of four, for typing it into an app."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def provisioning_uri(secret: str, account: str, issuer: str = ISSUER) -> str:
    """The otpauth:// address for an authenticator app, in Google's “Key Uri Format”; account is the email address."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    parameters = f"secret={secret}&issuer={quote(issuer, safe='')}&algorithm=SHA1&digits=6&period={STEP_SECONDS}"
    return f"otpauth://totp/{label}?{parameters}"


def matching_step(secret: str, code: str, *, at: datetime, last_step: int | None) -> int | None:
    """The time step whose code this is, to be stored as the new last step; None when the code is not accepted.

    The current step and the one before are accepted, for clocks that are a little late and people who type slowly. A
    step that is not after ``last_step`` never is, so that a code works once. Two requests with one code can both come
    this far: the caller's UPDATE with ``last_step < :step`` decides which one wins. Raises ValueError when ``at`` has
    no time zone.
    """
    typed = re.sub(r"[\s-]", "", code)
    if not _CODE.fullmatch(typed):
        return None
    current = _step(at)
    hotp = pyotp.HOTP(secret)
    # Both codes are always made and compared, so that the time does not tell which one was near.
    matches = [step for step in (current, current - 1) if same(hotp.at(step), typed)]
    return next((step for step in matches if last_step is None or step > last_step), None)


def code_at(secret: str, at: datetime) -> str:
    """The code an app shows at that moment. Raises ValueError when ``at`` has no time zone."""
    return pyotp.HOTP(secret).at(_step(at))


def qr_svg(uri: str, *, title: str = "QR code for the authenticator app") -> str:
    """The address as a QR code: inline SVG with class ``qr`` and a title for screen readers.

    It has no style attributes, because the content security policy blocks them, and a light background of its own
    with the margin that scanners need, so that it can be read on a dark page.
    """
    picture = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        picture,
        kind="svg",
        xmldecl=False,
        svgns=True,
        omitsize=True,
        nl=False,
        border=4,
        dark="#000",
        light="#fff",
        title=title,
        svgclass="qr",
        lineclass=None,
    )
    return picture.getvalue().decode("utf-8").replace("<svg ", '<svg role="img" ', 1)


def _step(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return int(at.timestamp()) // STEP_SECONDS
