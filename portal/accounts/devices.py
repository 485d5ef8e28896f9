"""Browsers: said in words for the list of sessions, and remembered so that nobody can keep their owner out.

A browser that a person has signed in with carries a signed cookie. It opens nothing; it only lets this person's tries
be counted apart from those of strangers who guess at the same account.
"""

import hashlib
from datetime import timedelta

from flask import Response, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal.security.tokens import random_token

REMEMBERED = timedelta(days=90)
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
    ("curl/", "curl"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def describe(user_agent: str) -> str:
    """Return browser and system in words, as in "Firefox on Linux"; only for people, anyone can send anything."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def known_device(email: str) -> str:
    """Return the id of the browser that sent this request, where this account has signed in with it before; else ""."""
    try:
        device, account = _signer().loads(
            request.cookies.get(_cookie_name(), ""), max_age=int(REMEMBERED.total_seconds())
        )
    except (BadSignature, ValueError):
        return ""
    return str(device) if account == _account(email) else ""


def remember(response: Response, email: str) -> Response:
    """Let the browser be known to this account from now on."""
    device = known_device(email) or random_token(16)
    response.set_cookie(
        _cookie_name(),
        str(_signer().dumps([device, _account(email)])),
        max_age=REMEMBERED,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
    )
    return response


def _cookie_name() -> str:
    return str(current_app.config["SESSION_COOKIE_NAME"]) + "_device"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known device")


def _account(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
