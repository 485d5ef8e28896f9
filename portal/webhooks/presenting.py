"""What the pages of this room say: words for deliveries and attempts, bodies and headers as markup, cURL."""

import json
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from markupsafe import Markup, escape

from portal import clock
from portal.security.redaction import strip_controls
from portal.web.controls import Controls
from portal.web.filters import plural
from portal.webhooks.event_queries import Listed, Why
from portal.webhooks.events import ALL
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook, WebhookStatus
from portal.webhooks.retry import RetryPolicy
from portal.webhooks.sending import TIMEOUT
from portal.webhooks.verdict import asks_for_no_more

SOURCES = {"api": "API", "portal": "Portal", "test": "Test", "command": "Command line"}
"""Source of an event → how it is called."""
STANDINGS = {
    DeliveryStatus.SUCCESS: ("delivered", "delivered", "ok", "ok"),
    DeliveryStatus.PENDING: ("waiting", "waiting", "off", "clock"),
    DeliveryStatus.FAILED: ("failed", "failed", "err", "error"),
    DeliveryStatus.DEAD: ("dead letter", "dead letters", "err", "error"),
}
"""Status of deliveries → word for one and for several, tone, icon."""
SHOWN_BODY = 64 * 1024
"""Characters of a body that a page shows."""
ERRORS = {
    "timeout": ("Timed out", f"No complete answer within {TIMEOUT:.0f} s."),
    "tls": ("TLS", "The certificate or the encryption was not acceptable."),
    "dns": ("DNS", "The host name was not found."),
    "blocked": ("Blocked", "The address is private, or not encrypted. PORTAL_ALLOWED_NETWORKS can let it through."),
    "refused": ("Refused", "Nothing answers at this host and port."),
    "unreachable": ("Unreachable", "The network knows no way to this host."),
    "closed": ("Closed", "The connection was closed before the answer was complete."),
    "internal": ("Not sent", "The portal itself failed before anything reached the receiver."),
    "webhook_deleted": ("Not sent", "The webhook was deleted while it waited."),
    "not_http": ("Not HTTP", "What came back is no answer that a web server gives."),
}
"""Class of an error → its word in lists, its sentence."""
TIMINGS = {
    "dns": "Name lookup", "connect": "Connected", "tls": "Encrypted", "first_byte": "First byte", "total": "Complete",
}  # fmt: skip
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)')


class Tried(Protocol):
    """A delivery or an attempt: how its exchange ended."""

    response_status: int | None
    error_class: str | None


@dataclass(frozen=True)
class Outcome:
    """The state of a delivery or attempt as a list shows it."""

    word: str
    tone: str
    icon: str | None = None


def of_delivery(delivery: Delivery) -> Outcome:
    """Return how a delivery stands."""
    tried = delivery.error_class is not None or delivery.response_status is not None
    if delivery.status is DeliveryStatus.PENDING and (is_under_way(delivery) or not tried):
        return Outcome("Queued", "off", "clock")
    if delivery.status is DeliveryStatus.SUCCESS:
        return Outcome(word(delivery), "ok", "ok")
    waits = delivery.status is DeliveryStatus.PENDING
    return Outcome(word(delivery), "warn" if waits else "err", "warn" if waits else "error")


def of_attempt(attempt: Tried) -> Outcome:
    """Return how one attempt ended."""
    return Outcome(word(attempt), "err", "error") if attempt.error_class else Outcome(word(attempt), "ok", "ok")


def word(tried: Tried) -> str:
    """Return the HTTP status, or the word for why there is none."""
    if tried.error_class in ERRORS:
        return ERRORS[tried.error_class][0]
    return str(tried.response_status) if tried.response_status else "No answer"


def phrase(tried: Tried) -> str:
    """Return what an HTTP status means, such as "Not Found"; "" for numbers that nobody defined."""
    try:
        return HTTPStatus(tried.response_status or 0).phrase
    except ValueError:
        return ""


def why(tried: Tried) -> str:
    """Return the sentence for a failed exchange; "" for one that went well."""
    if not tried.error_class:
        return ""
    if tried.error_class in ERRORS:
        return ERRORS[tried.error_class][1]
    status = tried.response_status or 0
    if 300 <= status < 400:
        return "Redirects are not followed. Enter the address that it leads to."
    return f"The receiver answered {status} {phrase(tried)}".rstrip() + "."


def threat(attempt: DeliveryAttempt, event: Event) -> str:
    """Return what the answer to a test would do to the webhook, were it the answer to an event; "" for nothing.

    A test itself changes nothing: who tries a half-finished receiver does not mean to stop what is sent.
    """
    if event.source != "test" or attempt.error_class != f"http_{attempt.response_status}":
        return ""
    if not asks_for_no_more(attempt.response_status, attempt.response_headers):
        return ""
    return "The receiver asks for no more. A test changes nothing, but this answer to an event disables the webhook."


def is_under_way(delivery: Delivery) -> bool:
    """Return whether an attempt is being made."""
    return delivery.lease_token is not None


def is_over(delivery: Delivery) -> bool:
    """Return whether nothing more happens to a delivery by itself."""
    return delivery.status is not DeliveryStatus.PENDING


def is_due(delivery: Delivery) -> bool:
    """Return whether the next attempt may be made at any moment."""
    return delivery.due_at is not None and delivery.due_at <= clock.now()


def is_going_on(delivery: Delivery) -> bool:
    """Return whether something is about to happen to a delivery, rather than later or never."""
    return is_under_way(delivery) or is_due(delivery)


def words_of(delivery: Delivery) -> Markup:
    """Return what comes next for a delivery, or how it ended."""
    if is_under_way(delivery):
        return escape(f"Attempt {delivery.attempt_number} under way")
    if not is_over(delivery):
        following = escape("Due now") if is_due(delivery) else "Next try " + Controls.when(delivery.due_at)
        return escape(f"{why(delivery)} ") + following
    tries = plural(delivery.attempt_number, "attempt")
    if delivery.status is DeliveryStatus.DEAD:
        return escape(f"Dead letter after {tries}")
    if delivery.error_class == "webhook_deleted":
        return escape(why(delivery))
    return escape(f"Given up after {tries}" if delivery.status is DeliveryStatus.FAILED else phrase(delivery))


def source_of(event: Event | Listed) -> str:
    """Return where an event came from, in words."""
    return SOURCES.get(event.source, event.source)


def standings(deliveries: Mapping[DeliveryStatus, int]) -> list[Outcome]:
    """Return how many deliveries of an event stand how, such as "2 delivered"."""
    found = []
    for status, (one, several, tone, icon) in STANDINGS.items():
        if number := deliveries.get(status, 0):
            found.append(Outcome(f"{number:,} {one if number == 1 else several}", tone, icon))
    return found


def why_not(why: Why, event_type: str) -> str:
    """Return why a webhook did not get an event."""
    return {
        Why.NOT_SUBSCRIBED: f"Not subscribed to {event_type}",
        Why.FILTERED: "Its filter did not match",
        Why.DISABLED: "Was disabled",
        Why.ADDED_LATER: "Was added later",
        Why.TEST_OF_ANOTHER: "Was a test of another webhook",
    }[why]


def status_word(webhook: Webhook) -> str:
    """Return the one word for how a webhook is."""
    if webhook.status is not WebhookStatus.ACTIVE:
        return "Disabled"
    return "Error" if webhook.failing_since else "Active"


def events_of(webhook: Webhook) -> str:
    """Return what a webhook wants to hear of, in a few words."""
    return "All events" if ALL in webhook.events else ", ".join(webhook.events)


def policy_words(policy: RetryPolicy) -> str:
    """Return a retry policy in one line."""
    retries = f"{policy.max_retries} retries" if policy.max_retries > 1 else "1 retry"
    return f"{retries}, {policy.strategy}, {policy.first_delay:,} s to {policy.max_delay:,} s"


def pretty(body: bytes | str) -> str:
    """Return a body for reading: JSON with indents, any other text as it is, and what is no text by its size."""
    try:
        text = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError:
        return f"{len(body):,} bytes that are no text"
    with suppress(ValueError, RecursionError):
        # A half of a surrogate pair, which JSON can spell, has no place in a page.
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()
    return strip_controls(text)[:SHOWN_BODY]


def body_markup(body: bytes | str) -> Markup:
    """Return a body as markup: keys and numbers of JSON stand out."""
    text = pretty(body)
    if text[:1] not in "{[":
        return escape(text)
    parts, end = [], 0
    for found in _TOKEN.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(_token(found))
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def _token(found: re.Match[str]) -> Markup:
    string, colon, number = found.groups()
    if number:
        return Markup("<em>{}</em>").format(number)
    return Markup("<i>{}</i>{}").format(string, colon) if colon else escape(string)


def headers_markup(headers: Mapping[str, str]) -> Markup:
    """Return headers as markup, one on each line."""
    line = Markup("<u>{}:</u> {}")
    return Markup("\n").join(line.format(strip_controls(name), strip_controls(headers[name])) for name in headers)


def as_curl(url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the command that sends the same request from a shell; hidden headers stay hidden."""
    lines = [f"curl -X POST {shlex.quote(url)}"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    lines.append(f"--data-raw {shlex.quote(body.decode())}")
    return " \\\n  ".join(lines)


def timings(attempt: DeliveryAttempt) -> list[tuple[str, int]]:
    """Return after how many milliseconds each part of an exchange was done, in their order."""
    found = [(label, attempt.timing.get(name)) for name, label in TIMINGS.items()]
    return [(label, value) for label, value in found if isinstance(value, int) and value > 0]


def example(webhook_path: str, event_type: str, event: Mapping[str, Any]) -> Markup:
    """Return a request as a receiver gets it, for the form of a webhook."""
    headers = {
        "Content-Type": "application/json",
        "webhook-id": str(event["id"]),
        "webhook-timestamp": "1763681412",
        "webhook-signature": "v1,K5oZfzN…",
        "X-Portal-Event": event_type,
        "X-Portal-Signature": "sha256=9f2c…",
    }
    body = body_markup(json.dumps(event, ensure_ascii=False))
    return Markup("POST {}\n{}\n\n{}").format(webhook_path, headers_markup(headers), body)


def size_of(event: Event) -> int:
    """Return the bytes of an event's body."""
    return len(event.body)
