"""What one check means for its integration: a pure step from the state before to the state after."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.health.models import LogStatus
from portal.integrations.models import CheckKind, Condition, Status
from portal.integrations.service import FAILURES_TO_ERROR
from portal.providers.base import Outcome

RECHECK = timedelta(seconds=30)
"""After a first failure the next check comes this soon."""
JITTER = 0.1
"""Share of the interval by which checks are spread, so that they do not fire together."""
SLOW_FACTOR = 4
"""Refused credentials do not mend by themselves: checks come this much more rarely."""
SLOWEST = timedelta(hours=1)
LONGEST_WAIT = timedelta(hours=24)


@dataclass(frozen=True)
class State:
    """What an integration's health is, as far as checks decide it."""

    status: str
    condition: str | None
    error_count: int
    failing_since: datetime | None


@dataclass(frozen=True)
class Result:
    """What a check found."""

    outcome: Outcome
    retry_after: float | None = None
    """Seconds that the provider asks to wait."""


@dataclass(frozen=True)
class Transition:
    """The state after a check, and when the next one is due."""

    state: State
    log_status: LogStatus
    next_check_at: datetime
    next_kind: CheckKind


def after_check(before: State, result: Result, *, now: datetime, interval: timedelta) -> Transition:
    """Return what follows from one check.

    One success resolves; the first failure only asks for a second look; two in a row are an error. Being asked to
    slow down is no outage. A refused credential says so, and is checked more rarely.
    """
    if result.outcome is Outcome.OK:
        after = State(Status.ACTIVE, None, 0, None)
        return Transition(after, LogStatus.SUCCESS, now + _spread(interval), CheckKind.SCHEDULED)
    if result.outcome is Outcome.RATE_LIMITED:
        return _limited(before, result, now, interval)
    return _failed(before, result, now, interval)


def _limited(before: State, result: Result, now: datetime, interval: timedelta) -> Transition:
    wait = min(timedelta(seconds=result.retry_after or 0), LONGEST_WAIT)
    keeps = before.condition in (Condition.UNVERIFIED, Condition.REAUTH)
    condition = before.condition if keeps else Condition.LIMITED
    after = State(before.status, condition, before.error_count, before.failing_since)
    return Transition(after, LogStatus.LIMITED, now + max(wait, _spread(interval)), CheckKind.SCHEDULED)


def _failed(before: State, result: Result, now: datetime, interval: timedelta) -> Transition:
    count = before.error_count + 1
    since = before.failing_since or now
    if count < FAILURES_TO_ERROR:
        condition = None if before.condition == Condition.LIMITED else before.condition
        after = State(before.status, condition, count, since)
        return Transition(after, LogStatus.FAILURE, now + RECHECK, CheckKind.AUTO)
    refused = result.outcome is Outcome.AUTH_REJECTED
    pause = min(interval * SLOW_FACTOR, max(SLOWEST, interval)) if refused else interval
    if before.condition == Condition.UNVERIFIED:
        after = State(before.status, before.condition, count, since)
    else:
        after = State(Status.ERROR, Condition.REAUTH if refused else None, count, since)
    return Transition(after, LogStatus.FAILURE, now + _spread(pause), CheckKind.SCHEDULED)


def _spread(interval: timedelta) -> timedelta:
    return interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, protects nothing
