"""What a check means: hysteresis, limits, refused credentials."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.health.models import LogStatus
from portal.health.transitions import RECHECK, Result, Rhythm, State, Transition, after_check
from portal.integrations.models import CheckKind, Condition, Status
from portal.providers.base import Outcome

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
ID = uuid.UUID("0195b1c0-3f6e-7d2a-9c41-2f7a5b8e6d10")
ACTIVE = State(Status.ACTIVE, None, 0, None)
UNVERIFIED = State(Status.INACTIVE, Condition.UNVERIFIED, 0, None)
FAILURES = [each for each in Outcome if each not in (Outcome.OK, Outcome.RATE_LIMITED)]


def step(state: State, outcome: Outcome, *, interval: timedelta = FIVE, retry_after: float | None = None) -> Transition:
    return after_check(state, Result(outcome, retry_after), now=NOW, rhythm=Rhythm(ID, interval))


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_first_failure_only_asks_for_a_second_look(outcome: Outcome) -> None:
    after = step(ACTIVE, outcome)
    assert after.state.status == Status.ACTIVE
    assert (after.next_check_at - NOW, after.next_kind) == (RECHECK, CheckKind.AUTO)
    assert after.log_status is LogStatus.FAILURE


@pytest.mark.parametrize("outcome", FAILURES)
def test_two_failures_in_a_row_are_an_error_since_the_first(outcome: Outcome) -> None:
    first = step(ACTIVE, outcome).state
    second = after_check(first, Result(outcome), now=NOW + RECHECK, rhythm=Rhythm(ID, FIVE)).state
    assert second.status == Status.ERROR
    assert second.failing_since == NOW
    assert second.error_count == 2
    assert second.condition == (Condition.REAUTH if outcome is Outcome.AUTH_REJECTED else None)


def test_one_success_resolves_an_error() -> None:
    broken = State(Status.ERROR, Condition.REAUTH, 7, NOW - FIVE)
    assert step(broken, Outcome.OK).state == ACTIVE


def test_being_asked_to_slow_down_is_no_outage_and_the_wait_is_kept() -> None:
    after = step(ACTIVE, Outcome.RATE_LIMITED, retry_after=3600)
    assert after.state == State(Status.ACTIVE, Condition.LIMITED, 0, None)
    assert after.next_check_at == NOW + timedelta(hours=1)
    assert after.log_status is LogStatus.LIMITED


def test_a_provider_cannot_stop_the_checks_for_ever_with_its_wait() -> None:
    assert step(ACTIVE, Outcome.RATE_LIMITED, retry_after=10**9).next_check_at == NOW + timedelta(hours=24)


def test_a_limit_between_two_failures_does_not_reset_the_count() -> None:
    first = step(ACTIVE, Outcome.TIMEOUT).state
    limited = step(first, Outcome.RATE_LIMITED).state
    assert step(limited, Outcome.TIMEOUT).state.status == Status.ERROR


def test_refused_credentials_slow_the_checks() -> None:
    once = step(ACTIVE, Outcome.AUTH_REJECTED).state
    wait = step(once, Outcome.AUTH_REJECTED).next_check_at - NOW
    assert FIVE * 4 * 0.48 <= wait <= FIVE * 4 * 1.52, "at its own moment of the longer interval"


def test_an_outage_keeps_its_rhythm_so_that_its_end_is_seen_soon() -> None:
    after = step(ACTIVE, Outcome.TIMEOUT)
    for _ in range(9):
        after = step(after.state, Outcome.TIMEOUT)
    assert after.next_check_at - NOW <= FIVE * 1.52


def test_who_asks_twice_to_slow_down_is_asked_less_until_it_answers() -> None:
    once = step(ACTIVE, Outcome.RATE_LIMITED)
    assert once.next_check_at - NOW <= FIVE * 1.52
    twice = step(once.state, Outcome.RATE_LIMITED)
    assert FIVE * 4 * 0.48 <= twice.next_check_at - NOW <= FIVE * 4 * 1.52
    again = step(step(twice.state, Outcome.OK).state, Outcome.RATE_LIMITED)
    assert again.next_check_at - NOW <= FIVE * 1.52


def test_refused_credentials_are_still_checked_every_hour() -> None:
    once = step(ACTIVE, Outcome.AUTH_REJECTED).state
    wait = step(once, Outcome.AUTH_REJECTED, interval=timedelta(minutes=60)).next_check_at - NOW
    assert wait <= timedelta(minutes=60 * 1.52)


def test_an_unverified_integration_stays_unverified_however_often_it_fails() -> None:
    state = UNVERIFIED
    for _ in range(5):
        state = step(state, Outcome.AUTH_REJECTED).state
    assert (state.status, state.condition) == (Status.INACTIVE, Condition.UNVERIFIED)


def test_its_first_success_makes_an_unverified_integration_active() -> None:
    assert step(UNVERIFIED, Outcome.OK).state == ACTIVE


@given(
    outcomes=st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=30),
    minutes=st.integers(min_value=1, max_value=60),
)
def test_whatever_happens_the_next_check_comes_and_errors_follow_two_failures(
    outcomes: list[Outcome], minutes: int
) -> None:
    state, interval, failures = ACTIVE, timedelta(minutes=minutes), 0
    for outcome in outcomes:
        after = after_check(state, Result(outcome), now=NOW, rhythm=Rhythm(ID, interval))
        state = after.state
        failures = 0 if outcome is Outcome.OK else failures + (outcome is not Outcome.RATE_LIMITED)
        assert (state.status == Status.ERROR) == (failures >= 2)
        assert state.error_count == failures
        assert NOW < after.next_check_at <= NOW + timedelta(minutes=60 * 1.52)
