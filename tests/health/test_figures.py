"""Figures of health checks: percentiles of rollups beside the raw rows, observed and down time."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.health.figures import LONGEST_GAP, RATIO, Check, Figures, bucket, fold, percentile

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(hours=1)


def at(minutes: float, status: str = "success", milliseconds: int | None = 80) -> Check:
    return Check(START + timedelta(minutes=minutes), status, milliseconds)


@example([24], 0.5)
@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_within_seven_percent_of_the_raw_one(times: list[int], share: float) -> None:
    exact = sorted(times)[max(1, math.ceil(share * len(times))) - 1]
    found = Figures()
    for each in times:
        found.note(at(0, milliseconds=each))
    # The middle of a bucket, and then rounded to whole milliseconds: the one comes on top of the other.
    assert found.percentile(share) == pytest.approx(max(exact, 1), abs=0.07 * exact + 0.5)


@given(st.lists(st.integers(1, 60_000), min_size=2, max_size=100), st.integers(1, 99))
def test_it_does_not_matter_how_the_rows_were_rolled_up(times: list[int], cut: int) -> None:
    cut = min(cut, len(times) - 1)
    parts = [Figures(), Figures(), Figures()]
    for number, each in enumerate(times):
        parts[0].note(at(0, milliseconds=each))
        parts[1 if number < cut else 2].note(at(0, milliseconds=each))
    parts[1].add(parts[2])
    assert parts[1] == parts[0]


def test_buckets_grow_by_their_ratio() -> None:
    assert [bucket(0), bucket(1), bucket(2)] == [0, 0, 6]
    chance = random.Random(1)  # noqa: S311 - the same in every run
    for each in (chance.randrange(2, 60_000) for _ in range(200)):
        assert RATIO ** (bucket(each) - 1) < each * 1.0000001
        assert each <= RATIO ** bucket(each) * 1.0000001
    assert percentile({}, 0.5) is None


def test_a_failure_counts_as_down_until_the_next_check() -> None:
    found = fold([at(10), at(20, "failure"), at(26), at(40)], before=at(-5), start=START, end=END)
    assert (found.checks, found.failures) == (4, 1)
    assert (found.observed, found.down) == (3600, 360)
    assert found.uptime_pct == 90.0


def test_what_was_before_speaks_for_the_beginning() -> None:
    found = fold([at(15)], before=at(-5, "failure"), start=START, end=END)
    assert (found.failures, found.down) == (0, 900)


def test_after_a_long_silence_nobody_knows() -> None:
    assert fold([], before=None, start=START, end=END).uptime_pct is None
    silent = Check(START - LONGEST_GAP + timedelta(minutes=6), "success", 1)
    assert fold([], before=silent, start=START, end=END).observed == 360
    old = Check(START - LONGEST_GAP, "failure", 1)
    assert fold([], before=old, start=START, end=END) == Figures()


def test_slowed_down_is_no_outage_and_has_no_response_time() -> None:
    found = fold([at(0, "limited", 900)], before=None, start=START, end=END)
    assert (found.checks, found.failures, found.down, found.percentile(0.5)) == (1, 0, 0, None)


def test_one_second_down_is_never_rounded_up_to_a_hundred() -> None:
    assert Figures(observed=90 * 86_400.0, down=1.0).uptime_pct == 99.999
