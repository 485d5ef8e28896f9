"""How the receiver checks signatures: written from the standard alone, so that it finds what the portal does wrong."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TOLERANCE: Final = 300
"""Seconds that the time of a signature may be off, in either direction."""
_KEY_BYTES: Final = range(24, 65)


class Finding(StrEnum):
    """What checking a signature came to."""

    GOOD = "good"
    WRONG = "wrong"
    STALE = "stale"
    """Right, but of a time that is too far off."""
    MISSING = "missing"
    UNCHECKED = "not checked"
    """Nobody told the secret."""


@dataclass(frozen=True)
class Check:
    """What was found of a request: `signature` of webhook-signature, `body_hash` of X-Portal-Signature."""

    signature: Finding = Finding.UNCHECKED
    body_hash: Finding = Finding.UNCHECKED
    refused: bool = False


def secret_problem(secret: str) -> str:
    """Return what is wrong with a signing secret, "" where nothing is."""
    return "" if _key(secret) else "secret must be whsec_ followed by the base64 of 24 to 64 bytes."


def check(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> Check:
    """Check both signatures of a request.

    While the portal replaces a secret, webhook-signature has an entry for each and X-Portal-Signature is made with the
    new one alone: a receiver that still has the old one then has to pass over it.

    Args:
        secret: of the webhook, "" where nobody told it.
        headers: of the request, by their names in small letters.
        body: as it arrived.
        now: seconds since 1970.
    """
    if not secret:
        return Check()
    entries = headers.get("webhook-signature", "").split()
    signature = _of_standard(secret, headers, entries, body, now)
    body_hash = _of_body(secret, headers.get("x-portal-signature", ""), body)
    replaced = len(entries) > 1 and body_hash is Finding.WRONG
    good = signature is Finding.GOOD and (body_hash is Finding.GOOD or replaced)
    return Check(signature, body_hash, refused=not good)


def _of_standard(secret: str, headers: Mapping[str, str], entries: list[str], body: bytes, now: float) -> Finding:
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (message_id and sent_at and entries):
        return Finding.MISSING
    signed = b".".join((message_id.encode("latin-1", "replace"), sent_at.encode("latin-1", "replace"), body))
    right = b"v1," + b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest())
    if not any(hmac.compare_digest(right, each.encode("latin-1", "replace")) for each in entries):
        return Finding.WRONG
    if not re.fullmatch("[0-9]{1,12}", sent_at):
        return Finding.WRONG
    return Finding.GOOD if abs(now - int(sent_at)) <= TOLERANCE else Finding.STALE


def _of_body(secret: str, given: str, body: bytes) -> Finding:
    if not given:
        return Finding.MISSING
    right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    same = hmac.compare_digest(right.encode(), given.encode("latin-1", "replace"))
    return Finding.GOOD if same else Finding.WRONG


def _key(secret: str) -> bytes:
    """Return the key inside a secret, b"" where there is none."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except (NotBase64, ValueError):
        return b""
    return key if secret.startswith("whsec_") and len(key) in _KEY_BYTES else b""
