"""A schedule in words and on its time line."""

from datetime import UTC, datetime
from itertools import pairwise

from portal.webhooks.retry import RetryPolicy, Strategy
from portal.webhooks.schedule import APART, attempts, length, spelled

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_time_line_keeps_its_order_and_its_words_apart() -> None:
    for strategy in Strategy:
        policy = RetryPolicy(max_retries=10, strategy=strategy, first_delay=1, max_delay=86400)
        found = attempts(policy, now=NOW)
        places = [each.x for each in found]
        assert places == sorted(set(places))
        assert all(each.x + each.spread <= 97.4 for each in found)
        shown = [each.x for each in found if each.labelled]
        assert all(b - a >= APART for a, b in pairwise(shown))
        assert (found[0].labelled, found[-1].labelled) == (True, True)


def test_lengths_are_exact_and_spelled_ones_round_down() -> None:
    assert [length(each) for each in (0, 59, 60, 7410, 61380, 90061)] == [
        "0 s", "59 s", "1 min", "2 h 3 min 30 s", "17 h 3 min", "1 d 1 h 1 min 1 s",
    ]  # fmt: skip
    assert [spelled(each) for each in (1, 35, 119, 120, 7199, 61380)] == [
        "1 second", "35 seconds", "119 seconds", "2 minutes", "119 minutes", "17 hours",
    ]  # fmt: skip
