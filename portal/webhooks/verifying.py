"""The debugger's box "Verify a signature": whether a body and its headers are what the portal signed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from portal.security.signatures import same
from portal.security.webhook_signatures import TOLERANCE_SECONDS, body_hash, verify
from portal.webhooks import service
from portal.webhooks.models import Webhook


@dataclass(frozen=True, kw_only=True)
class Given:
    """What somebody wants to be verified, as pasted."""

    body: str = ""
    signature: str = ""
    message_id: str = ""
    timestamp: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    tone: str
    title: str
    text: str = ""


def check(webhook: Webhook, given: Given, *, now: datetime) -> Answer:
    """Say whether a signature is one of this webhook's secrets' over that body."""
    signature = given.signature.strip()
    if not signature:
        return Answer("err", "Paste the header X-Portal-Signature or webhook-signature.")
    plain = signature.startswith("sha256=")
    if not plain and not (given.message_id.strip() and re.fullmatch("[0-9]{1,12}", given.timestamp.strip())):
        return Answer("err", "This signature also covers webhook-id and webhook-timestamp. Paste both as they arrived.")
    for number, secret in enumerate(service.signing_secrets(webhook, now)):
        if any(_matches(secret, given, body, plain=plain) for body in _bodies(given.body)):
            return _right(given, now, plain=plain, previous=number > 0)
    return Answer("err", "Does not match.", "The body was changed, or another secret was used.")


def _bodies(text: str) -> Iterator[bytes]:
    """Return what may have arrived: a form sends line ends as CR LF, and what is pasted may end in one too many."""
    for each in dict.fromkeys((text, text.replace("\r\n", "\n"), text.rstrip("\r\n"))):
        yield each.encode("utf-8", "surrogatepass")


def _matches(secret: str, given: Given, body: bytes, *, plain: bool) -> bool:
    signature = given.signature.strip()
    if plain:
        return same(body_hash(secret.encode(), body), signature)
    timestamp = given.timestamp.strip()
    return verify(
        secret, message_id=given.message_id.strip(), timestamp=timestamp, signatures=signature, body=body,
        now=int(timestamp),
    )  # fmt: skip


def _right(given: Given, now: datetime, *, plain: bool, previous: bool) -> Answer:
    title = "Matches the secret before this one." if previous else "Matches."
    if plain:
        return Answer("ok", title, "The portal signed this body for this webhook.")
    if abs(now.timestamp() - int(given.timestamp.strip())) > TOLERANCE_SECONDS:
        return Answer("ok", title, "It is more than five minutes old, so a receiver refuses it now.")
    return Answer("ok", title, "The portal signed this body, id and time for this webhook.")
