"""Windows of maintenance: weekly ones keep their time of day through daylight saving, stopped ones end."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.health.figures import Check, Figures, fold
from portal.health.windows import Plan, Repeats, merged

NOON = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
FAR = NOON + timedelta(days=400)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def minutes(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def test_a_weekly_window_keeps_its_time_of_day_when_clocks_change() -> None:
    plan = Plan(at("2026-03-22T01:00"), at("2026-03-22T02:00"), Repeats.WEEKLY, "Europe/Berlin")
    times = plan.between(NOON, at("2026-04-06T00:00"))
    assert list(times) == [
        (at("2026-03-22T01:00"), at("2026-03-22T02:00")),  # 02:00 to 03:00 in Berlin
        (at("2026-03-29T01:00"), at("2026-03-29T02:00")),  # which is no time on this day: 03:00 to 04:00
        (at("2026-04-05T00:00"), at("2026-04-05T01:00")),
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [  # in Berlin, where clocks go from 02:00 to 03:00 a week later
        (("02:30", "03:30"), ("01:30", "02:30")),  # 03:30 to 04:30: begins after the gap, and lasts as long as ever
        (("01:30", "02:30"), ("00:30", "01:30")),  # 01:30 to 03:30
        (("01:30", "04:00"), ("00:30", "02:00")),  # goes on over it by the clock on the wall
    ],
)
def test_a_weekly_window_is_never_left_out_for_the_hour_that_daylight_saving_skips(
    first: tuple[str, str], then: tuple[str, str]
) -> None:
    begin, end = (at(f"2026-03-22T{each}") - timedelta(hours=1) for each in first)
    plan = Plan(begin, end, Repeats.WEEKLY, "Europe/Berlin")
    begin, end = (at(f"2026-03-29T{each}") for each in then)
    assert list(plan.between(at("2026-03-28T12:00"), at("2026-03-30T00:00"))) == [(begin, end)]


def test_a_weekly_window_is_found_years_later_and_not_before_its_first_time() -> None:
    plan = Plan(NOON, minutes(60), Repeats.WEEKLY)
    assert list(plan.between(NOON - timedelta(days=20), NOON)) == []
    later = NOON + timedelta(weeks=500)
    assert list(plan.between(later + timedelta(minutes=59), later + timedelta(days=7))) == [
        (later, later + timedelta(hours=1))
    ]


def test_a_window_ends_where_it_was_stopped_and_never_comes_again() -> None:
    once = Plan(NOON, minutes(60), Repeats.ONCE, stopped_at=minutes(10))
    assert list(once.between(NOON, FAR)) == [(NOON, minutes(10))]
    assert list(once.between(minutes(10), FAR)) == []
    weekly = Plan(NOON, minutes(60), Repeats.WEEKLY, stopped_at=NOON + timedelta(days=8))
    assert [begin for begin, _ in weekly.between(NOON, FAR)] == [NOON, NOON + timedelta(days=7)]


def test_stretches_that_overlap_or_touch_are_one() -> None:
    found = merged([(minutes(30), minutes(40)), (minutes(0), minutes(10)), (minutes(5), minutes(30))])
    assert found == ((minutes(0), minutes(40)),)
    apart = ((minutes(0), minutes(1)), (minutes(2), minutes(3)))
    assert merged(reversed(apart)) == apart


@pytest.mark.parametrize(
    ("window", "times", "failures"),
    [  # in minutes; times: observed, down, left out
        ((20, 40), (30, 20, 20), 2),  # the failure at 25 is expected; what follows 40 is unknown until the check at 50
        ((5, 15), (40, 35, 10), 2),  # the word of the check at 0 ends at 5; after 15 nobody knows until 25
        ((60, 90), (60, 50, 0), 3),  # touches nothing
        ((0, 60), (0, 0, 60), 0),
    ],
)
def test_maintenance_is_left_out_of_every_figure(
    window: tuple[int, int], times: tuple[int, int, int], failures: int
) -> None:
    checks = [
        Check(minutes(0), "success", 10),
        Check(minutes(10), "failure", 10),
        Check(minutes(25), "failure", 10),
        Check(minutes(50), "failure", 10),
    ]
    windows = [(minutes(window[0]), minutes(window[1]))]
    whole = fold(checks, before=None, start=NOON, end=minutes(60), windows=windows)
    assert (whole.observed / 60, whole.down / 60, whole.maintenance / 60) == times
    assert (whole.failures, sum(whole.histogram.values())) == (failures, int(window[0] > 0))

    first, second = checks[:3], checks[3:]  # cut in two, as hours are, it comes to the same
    parts = Figures()
    parts.add(fold(first, before=None, start=NOON, end=minutes(30), windows=windows))
    parts.add(fold(second, before=first[-1], start=minutes(30), end=minutes(60), windows=windows))
    assert parts == whole
