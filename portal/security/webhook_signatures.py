"""Signatures of outgoing webhooks: Standard Webhooks (standardwebhooks.com, v1), and the plain hash of the body.

A secret is `whsec_` and the base64 of a key. What is signed is `id.timestamp.body`, the body byte for byte as it is
sent; each attempt is signed anew, with its own time.
"""

import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from typing import Final

from portal.security.signatures import hmac_sha256, same, utf8

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32
SHORTEST: Final = 24
LONGEST: Final = 64
TOLERANCE_SECONDS: Final = 300
"""How far the time of a signature may be off, in either direction; every published verifier uses the same."""
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an id may be. A dot in it would let two different messages have the same signed bytes."""
_VERSION: Final = "v1"


class BadSignatureSecret(ValueError):
    """A text that is no signing secret."""


def new_secret() -> str:
    """Return a new signing secret."""
    return PREFIX + b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key of a secret; prefix and padding may be missing, as in the published libraries.

    Raises:
        BadSignatureSecret: it is not base64, or too short or too long to be a key.
    """
    text = secret.removeprefix(PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (NotBase64, ValueError):
        raise BadSignatureSecret("A signing secret is whsec_ followed by base64.") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise BadSignatureSecret(f"A signing secret holds {SHORTEST} to {LONGEST} bytes.")
    return key


def sign(keys: Iterable[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`: one signature for each key, the current key's first.

    Args:
        keys: while a secret is being replaced there are two.
        message_id: the event's id, the same for every attempt.
        timestamp: seconds since 1970 at which this attempt is made.
        body: the bytes that are sent.

    Raises:
        ValueError: the id has characters that could be taken for another message.
    """
    if not ID.fullmatch(message_id):
        raise ValueError("a message id has letters, digits, _ and - only")
    signed = b".".join((message_id.encode(), b"%d" % timestamp, body))
    return " ".join(f"{_VERSION},{b64encode(hmac_sha256(key, signed)).decode()}" for key in keys)


def body_hash(key: bytes, body: bytes) -> str:
    """Return the header `X-Portal-Signature`: `sha256=` and the HMAC-SHA256 of the body in hex, as GitHub writes it."""
    return f"sha256={hmac_sha256(key, body).hex()}"


def verify(secret: str, *, message_id: str, timestamp: str, signatures: str, body: bytes, now: int) -> bool:
    """Return whether one of the signatures is this secret's; unknown versions are passed over.

    Args:
        secret: of the webhook.
        message_id: the header `webhook-id` as it arrived.
        timestamp: the header `webhook-timestamp` as it arrived.
        signatures: the header `webhook-signature` as it arrived.
        body: the bytes that arrived.
        now: seconds since 1970.
    """
    if not (message_id and re.fullmatch(r"[0-9]{1,12}", timestamp)) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = b".".join((utf8(message_id), timestamp.encode(), body))
    right = f"{_VERSION},{b64encode(hmac_sha256(key_of(secret), signed)).decode()}"
    return any(same(right, each) for each in signatures.split(" "))
