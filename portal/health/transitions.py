"""What one check means for its integration: a pure step from the state before to the state after."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.health.models import LogStatus
from portal.health.spreading import next_slot
from portal.integrations.models import CheckKind, Condition, Status
from portal.integrations.service import FAILURES_TO_ERROR
from portal.providers.base import Outcome

RECHECK = timedelta(seconds=30)
"""After a first failure the next check comes this soon."""
LEAST = 0.5
"""Share of the interval that passes between two checks, where one came out of turn."""
SLOW_FACTOR = 4
"""Refused credentials do not mend by themselves, and a provider that asks twice to slow down is asked less: checks come
this much more rarely."""
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


@dataclass(frozen=True)
class Rhythm:
    """How often an integration is checked, and where in the interval it has its moment."""

    integration_id: uuid.UUID
    interval: timedelta

    def next(self, now: datetime) -> datetime:
        """Return when the next check is due."""
        return next_slot(self.integration_id, self.interval, now, least=LEAST)

    def slow(self, now: datetime) -> datetime:
        """Return when it is due where checks slow down: every hour at most, or as rarely as the interval says."""
        interval = min(self.interval * SLOW_FACTOR, max(SLOWEST, self.interval))
        return next_slot(self.integration_id, interval, now, least=LEAST)


def after_check(
    before: State, result: Result, *, now: datetime, rhythm: Rhythm, maintenance: bool = False
) -> Transition:
    """Return what follows from one check.

    One success resolves; the first failure only asks for a second look; two in a row are an error. Being asked to
    slow down is no outage. A refused credential says so, and is checked more rarely. An outage keeps its rhythm, so
    that its end is seen as soon as its begin. In maintenance only a success changes anything.
    """
    if result.outcome is Outcome.OK:
        after = State(Status.ACTIVE, None, 0, None)
        return Transition(after, LogStatus.SUCCESS, rhythm.next(now), CheckKind.SCHEDULED)
    if result.outcome is Outcome.RATE_LIMITED:
        step = _limited(before, result, now, rhythm)
    else:
        step = _failed(before, result, now, rhythm)
    return _unchanged(before, step, now, rhythm) if maintenance else step


def _unchanged(before: State, step: Transition, now: datetime, rhythm: Rhythm) -> Transition:
    """Return the step of a check that failed in maintenance: nothing follows, and the next one comes as usual."""
    due = step.next_check_at if step.log_status is LogStatus.LIMITED else rhythm.next(now)
    return Transition(before, step.log_status, due, CheckKind.SCHEDULED)


def _limited(before: State, result: Result, now: datetime, rhythm: Rhythm) -> Transition:
    wait = min(timedelta(seconds=result.retry_after or 0), LONGEST_WAIT)
    keeps = before.condition in (Condition.UNVERIFIED, Condition.REAUTH)
    condition = before.condition if keeps else Condition.LIMITED
    after = State(before.status, condition, before.error_count, before.failing_since)
    following = rhythm.slow(now) if before.condition == Condition.LIMITED else rhythm.next(now)
    return Transition(after, LogStatus.LIMITED, max(now + wait, following), CheckKind.SCHEDULED)


def _failed(before: State, result: Result, now: datetime, rhythm: Rhythm) -> Transition:
    count = before.error_count + 1
    since = before.failing_since or now
    if count < FAILURES_TO_ERROR:
        condition = None if before.condition == Condition.LIMITED else before.condition
        after = State(before.status, condition, count, since)
        return Transition(after, LogStatus.FAILURE, now + RECHECK, CheckKind.AUTO)
    refused = result.outcome is Outcome.AUTH_REJECTED
    if before.condition == Condition.UNVERIFIED:
        after = State(before.status, before.condition, count, since)
    else:
        after = State(Status.ERROR, Condition.REAUTH if refused else None, count, since)
    following = rhythm.slow(now) if refused else rhythm.next(now)
    return Transition(after, LogStatus.FAILURE, following, CheckKind.SCHEDULED)
