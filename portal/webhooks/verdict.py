"""What an attempt means: done, tried again, given up, and what follows for its webhook. Pure; no clock, no database."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from portal.webhooks.exchange import Reply
from portal.webhooks.models import DeliveryStatus
from portal.webhooks.retry import LONGEST_RETRY_AFTER, RetryPolicy

GIVES_UP_AFTER = timedelta(days=5)
"""A webhook that fails for so long is disabled."""
GONE = 410
INTERNAL = "internal"
"""Error class of what failed in the portal itself, before anything reached a receiver."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What follows from an attempt.

    Attributes:
        status: of the delivery.
        due_at: when the next attempt is due, None where none is.
        error_class: why it failed, None where it did not: an error of the wire, or http_<status>.
        disables: why the webhook is to be disabled, "" where it is not.
        pause_until: until when the receiver wants no deliveries at all.
    """

    status: DeliveryStatus
    due_at: datetime | None = None
    error_class: str | None = None
    disables: str = ""
    pause_until: datetime | None = None


def judge(reply: Reply, *, attempts: int, policy: RetryPolicy, now: datetime) -> Verdict:
    """Return what follows from a reply to the attempt of that number."""
    if not reply.error and reply.status is not None and 200 <= reply.status < 300:
        return Verdict(status=DeliveryStatus.SUCCESS)
    error = reply.error or f"http_{reply.status}"
    wish = "" if reply.error else _wish(reply.headers)
    if not reply.error and asks_for_no_more(reply.status, reply.headers):
        how = "410" if reply.status == GONE else "webhook-delivery: disable"
        return Verdict(
            status=DeliveryStatus.FAILED, error_class=error, disables=f"The receiver asked for no more ({how})."
        )
    if wish == "abort-message":
        return Verdict(status=DeliveryStatus.FAILED, error_class=error)
    seconds = None if reply.error else retry_after(reply.headers.get("retry-after", ""), now)
    due_at = policy.next_attempt(attempts=attempts, now=now, retry_after=seconds)
    pause = (
        now + timedelta(seconds=min(seconds, LONGEST_RETRY_AFTER)) if seconds and reply.status in (429, 503) else None
    )
    if due_at is None:
        over = DeliveryStatus.DEAD if policy.dead_letters else DeliveryStatus.FAILED
        return Verdict(status=over, error_class=error, pause_until=pause)
    return Verdict(status=DeliveryStatus.PENDING, due_at=due_at, error_class=error, pause_until=pause)


def asks_for_no_more(status: int | None, headers: Mapping[str, str]) -> bool:
    """Return whether an answer that is no success says that the receiver wants no deliveries at all."""
    return status == GONE or _wish(headers) == "disable"


def _wish(headers: Mapping[str, str]) -> str:
    return headers.get("webhook-delivery", "").strip().lower()


def retry_after(text: str, now: datetime) -> int | None:
    """Return the seconds that the header Retry-After (RFC 9110) asks for, None where it is missing or unreadable."""
    text = text.strip()
    if re.fullmatch("[0-9]{1,20}", text):
        return min(int(text), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round((at - now).total_seconds()))
