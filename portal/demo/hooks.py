"""The webhooks of the demo organization: how their receivers have behaved, and what the sandbox's shall do now."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from portal.webhooks.exchange import Reply
from portal.webhooks.retry import RetryPolicy
from portal.webhooks.sending import TIMEOUT

PEER: Final = "127.0.0.1"
BROKE_BEFORE: Final = timedelta(hours=26)
"""So long ago the calendar's receiver broke."""
SILENT_FOR: Final = timedelta(hours=3)
"""At first it did not answer at all."""
LEFT_BEFORE: Final = timedelta(hours=37)
"""So long ago the job board took its endpoint down."""
Manner = Callable[[timedelta, random.Random], Reply]
"""Makes up an answer, from how long ago it was given and chance."""


@dataclass(frozen=True)
class Hook:
    """A webhook of the demo organization.

    Attributes:
        name: of the webhook.
        endpoint: the last part of its address in the sandbox.
        events: what it wants.
        answers: how its receiver has answered until now.
        dial: the fault of the sandbox that makes it go on like that.
        retry: a policy of its own.
    """

    name: str
    endpoint: str
    events: Sequence[str]
    answers: Manner
    dial: str = "none"
    retry: RetryPolicy | None = None


def _reply(status: int, body: dict[str, Any], source: random.Random, usual_ms: int) -> Reply:
    """Return an answer as the sandbox gives it."""
    content = json.dumps(body).encode()
    took = max(4, round(source.lognormvariate(0, 0.4) * usual_ms))
    return Reply(
        status=status,
        headers={"server": "sandbox", "content-type": "application/json", "content-length": str(len(content))},
        body=content,
        duration_ms=took,
        timing={"connect": 1, "tls": 0, "first_byte": took - 1, "total": took, "peer": PEER},
    )


def dated(reply: Reply, at: datetime) -> Reply:
    """Return the reply with the header Date, where it has headers."""
    if not reply.headers:
        return reply
    headers = {"server": reply.headers["server"], "date": format_datetime(at, usegmt=True), **reply.headers}
    return Reply(
        status=reply.status, headers=headers, body=reply.body, duration_ms=reply.duration_ms, timing=reply.timing
    )


def _fine(source: random.Random, usual_ms: int) -> Reply:
    return _reply(200, {"received": True}, source, usual_ms)


def _silence() -> Reply:
    milliseconds = round(TIMEOUT * 1000) + 1
    return Reply(
        error="timeout",
        detail=f"Operation timed out after {milliseconds} milliseconds with 0 bytes received",
        duration_ms=milliseconds,
        timing={"connect": 1, "tls": 0, "first_byte": 0, "total": milliseconds, "peer": PEER},
    )


def _warehouse(_ago: timedelta, source: random.Random) -> Reply:
    return _fine(source, 60)


def _payroll(_ago: timedelta, source: random.Random) -> Reply:
    if source.random() < 0.3:
        return (
            _silence() if source.random() < 0.15 else _reply(500, {"status": 500, "detail": "Try again."}, source, 210)
        )
    return _fine(source, 170)


def _calendar(ago: timedelta, source: random.Random) -> Reply:
    if ago > BROKE_BEFORE:
        return _fine(source, 90)
    if ago > BROKE_BEFORE - SILENT_FOR:
        return _silence()
    return _reply(500, {"status": 500, "detail": "Something broke here."}, source, 30)


def _job_board(ago: timedelta, source: random.Random) -> Reply:
    if ago > LEFT_BEFORE:
        return _fine(source, 320)
    return _reply(410, {"status": 410, "detail": "This endpoint was taken down."}, source, 45)


HOOKS: Final = (
    Hook("Data warehouse", "data", ("*",), _warehouse),
    Hook(
        "Payroll",
        "payroll",
        ("candidate.created", "candidate.status_changed", "submission.placed", "job.closed"),
        _payroll,
        dial="flaky",
        retry=RetryPolicy(max_retries=8, first_delay=30, max_delay=3600),
    ),
    Hook(
        "Interview calendar",
        "calendar",
        ("interview.scheduled", "interview.completed", "submission.status_changed"),
        _calendar,
        dial="error_500",
    ),
    Hook("Job board", "jobs", ("job.created", "job.updated", "job.closed"), _job_board, dial="gone"),
)
