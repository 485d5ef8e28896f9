"""Token buckets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.security.throttle import Bucket, BucketState, address_key

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TEN_IN_FIVE_MINUTES = Bucket(10, 300)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def drained(bucket: Bucket) -> BucketState:
    state = None
    for _ in range(bucket.capacity):
        state, allowed, wait = bucket.take(state, NOW)
        assert (allowed, wait) == (True, 0)
    assert state is not None
    return state


def test_a_full_bucket_gives_its_capacity_and_then_says_how_long_to_wait() -> None:
    state = drained(TEN_IN_FIVE_MINUTES)
    assert state == BucketState(0, NOW)
    assert TEN_IN_FIVE_MINUTES.take(state, NOW) == (BucketState(0, NOW), False, 30)
    assert TEN_IN_FIVE_MINUTES.take(state, after(12.5)).retry_after_seconds == 18


def test_waiting_as_long_as_told_is_enough() -> None:
    state = drained(TEN_IN_FIVE_MINUTES)
    assert not TEN_IN_FIVE_MINUTES.take(state, after(29.9)).allowed
    assert TEN_IN_FIVE_MINUTES.take(state, after(30)).allowed


def test_refused_attempts_do_not_push_the_wait_further_away() -> None:
    state = drained(TEN_IN_FIVE_MINUTES)
    for second in range(29):
        state, allowed, wait = TEN_IN_FIVE_MINUTES.take(state, after(second))
        assert not allowed
        assert wait in (30 - second, 31 - second)
    assert TEN_IN_FIVE_MINUTES.take(state, after(30.1)).allowed


def test_an_old_state_is_a_full_bucket_and_not_more() -> None:
    state = drained(TEN_IN_FIVE_MINUTES)
    assert TEN_IN_FIVE_MINUTES.take(state, after(300)).state.tokens == 9
    assert TEN_IN_FIVE_MINUTES.take(state, after(10**6)).state.tokens == 9


def test_a_clock_that_went_back_neither_gives_nor_takes() -> None:
    state = drained(TEN_IN_FIVE_MINUTES)
    taken = TEN_IN_FIVE_MINUTES.take(state, after(-3600))
    assert taken == (BucketState(0, after(-3600)), False, 30)
    assert TEN_IN_FIVE_MINUTES.take(taken.state, after(-3570)).allowed


def test_an_attempt_may_cost_more() -> None:
    state, allowed, _ = Bucket(5, 50).take(None, NOW, cost=4)
    assert (state.tokens, allowed) == (1, True)
    assert Bucket(5, 50).take(state, NOW, cost=3) == (state, False, 20)


@pytest.mark.parametrize("cost", [0, -1, 11])
def test_a_cost_that_can_never_be_paid_is_a_programming_error(cost: int) -> None:
    with pytest.raises(ValueError, match="cost"):
        TEN_IN_FIVE_MINUTES.take(None, NOW, cost=cost)


@pytest.mark.parametrize(("capacity", "refill"), [(0, 10), (1, 0), (1, -1)])
def test_a_bucket_that_never_works_is_refused(capacity: int, refill: float) -> None:
    with pytest.raises(ValueError, match="bucket"):
        Bucket(capacity, refill)


@given(
    st.integers(min_value=1, max_value=50),
    st.integers(min_value=1, max_value=3600),
    st.lists(st.floats(min_value=0, max_value=600), max_size=60),
)
def test_never_more_than_capacity_plus_what_came_back(capacity: int, refill: int, gaps: list[float]) -> None:
    bucket, state, now, allowed_count, passed = Bucket(capacity, refill), None, NOW, 0, 0.0
    for gap in gaps:
        now, passed = now + timedelta(seconds=gap), passed + gap
        state, allowed, wait = bucket.take(state, now)
        allowed_count += allowed
        assert 0 <= state.tokens <= capacity
        assert (wait == 0) == allowed
    assert allowed_count <= capacity + passed * capacity / refill + 1e-3


@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("rubbish", "unknown"),
        ("", "unknown"),
    ],
)
def test_clients_are_counted_by_address_or_network(ip: str, key: str) -> None:
    assert address_key(ip) == key
