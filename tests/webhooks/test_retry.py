"""The retry policy: exact waits, jitter that only adds, an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.webhooks.retry import DEFAULT, LONGEST_RETRY_AFTER, RECOMMENDED, RetryPolicy, Strategy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(1, 10),
    strategy=st.sampled_from(Strategy),
    first_delay=st.integers(1, 3600),
    max_delay=st.integers(1, 86400),
    jitter=st.booleans(),
    dead_letters=st.booleans(),
)


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (DEFAULT, [5, 10, 20]),
        (RetryPolicy(max_retries=6), [5, 10, 20, 40, 60, 60]),
        (RetryPolicy(strategy=Strategy.LINEAR, max_retries=4, first_delay=10, max_delay=35), [10, 20, 30, 35]),
        (RetryPolicy(strategy=Strategy.FIXED, max_retries=3, first_delay=7), [7, 7, 7]),
        (RetryPolicy(first_delay=90, max_delay=60), [90, 90, 90]),
    ],
)
def test_waits(policy: RetryPolicy, waits: list[int]) -> None:
    assert policy.schedule() == waits
    assert policy.gives_up_after == sum(waits)


def test_the_default_ends_after_35_seconds_and_the_recommended_one_after_hours() -> None:
    assert DEFAULT.gives_up_after == 35
    assert timedelta(hours=16) < timedelta(seconds=RECOMMENDED.gives_up_after) < timedelta(hours=18)


def test_after_the_last_retry_it_is_given_up() -> None:
    assert DEFAULT.next_attempt(attempts=3, now=NOW, chance=0) == NOW + timedelta(seconds=20)
    assert DEFAULT.next_attempt(attempts=4, now=NOW) is None


def test_a_receiver_only_ever_puts_it_off() -> None:
    assert DEFAULT.next_attempt(attempts=1, now=NOW, retry_after=1, chance=0) == NOW + timedelta(seconds=5)
    assert DEFAULT.next_attempt(attempts=1, now=NOW, retry_after=120, chance=0) == NOW + timedelta(seconds=120)
    far = DEFAULT.next_attempt(attempts=1, now=NOW, retry_after=10**9, chance=0)
    assert far == NOW + timedelta(seconds=LONGEST_RETRY_AFTER)


@given(policy=POLICIES, attempts=st.integers(1, 10), chance=st.floats(0, 1))
def test_jitter_only_adds_and_at_most_a_fifth(policy: RetryPolicy, attempts: int, chance: float) -> None:
    found = policy.next_attempt(attempts=attempts, now=NOW, chance=chance)
    if attempts > policy.max_retries:
        assert found is None
        return
    assert found is not None
    wait, least = (found - NOW).total_seconds(), policy.wait(attempts)
    assert least - 1e-6 <= wait <= least * (1.2 if policy.jitter else 1) + 1e-6


@given(policy=POLICIES)
def test_what_is_stored_is_what_is_read(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_dict(policy.as_dict()) == policy
