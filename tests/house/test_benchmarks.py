"""Figures of the benchmarks: ratios of the same round, targets in both directions, percentiles by rank."""

import pytest

from benchmarks.figures import Sample, Target, percentile, rates


def samples(*rates_: float) -> list[Sample]:
    return [Sample(count=1000, seconds=1000 / rate, cpu={"own": 0.5}) for rate in rates_]


def test_a_ratio_is_the_median_of_those_within_one_round() -> None:
    # The machine was slow in the second round, for both: the medians of the rates alone would say 7.
    found = rates("drain", {"A": samples(100, 10, 90), "B": samples(700, 80, 810)}, "A", {"B": Target(8, 16)})
    line = found[1]
    assert line.value == pytest.approx(8)
    assert "8× A" in line.text()
    assert "must 8 ×: yes" in line.text()
    assert "50% of the goal" in line.text()


@pytest.mark.parametrize(
    ("target", "value", "said"),
    [
        (Target(5, 8), 4.9, "must 5 ×: NO · goal 8: 61% of the goal"),
        (Target(5, 8), 8.0, "must 5 ×: yes · goal 8: goal reached"),
        (Target(10, 4, "ms"), 10.1, "must 10 ms: NO · goal 4: 40% of the goal"),
        (Target(10, 4, "ms"), 4.0, "must 10 ms: yes · goal 4: goal reached"),
    ],
)
def test_a_target_is_reached_from_the_right_side(target: Target, value: float, said: str) -> None:
    assert target.judge(value) == said


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (0.99, 20), (1.0, 20)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile(list(range(20, 0, -1)), share) == value
