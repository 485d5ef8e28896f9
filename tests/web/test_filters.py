"""How times, durations and numbers are written, where the reader is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from portal.web import access, filters

NOW = datetime(2025, 11, 21, 10, 28, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LookFrom = Callable[[str], None]


@pytest.fixture
def look_from(monkeypatch: pytest.MonkeyPatch) -> LookFrom:
    """Lets somebody in this time zone look."""

    def set_zone(name: str) -> None:
        monkeypatch.setattr(access, "signed_in", lambda: SimpleNamespace(time_zone=name))

    return set_zone


@pytest.fixture(autouse=True)
def somewhere(look_from: LookFrom) -> Iterator[None]:
    look_from("UTC")
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.parametrize(
    ("gone", "written"),
    [
        (0 * SECOND, "just now"),
        (4 * SECOND, "just now"),
        (5 * SECOND, "5 sec ago"),
        (59 * SECOND, "59 sec ago"),
        (60 * SECOND, "1 min ago"),
        (59 * MINUTE + 59 * SECOND, "59 min ago"),
        (HOUR, "1 hour ago"),
        (2 * HOUR, "2 hours ago"),
        (DAY - SECOND, "23 hours ago"),
        (DAY, "1 day ago"),
        (7 * DAY - SECOND, "6 days ago"),
        (7 * DAY, "14 Nov 2025"),
        (400 * DAY, "17 Oct 2024"),
        (-SECOND / 2, "just now"),
        (-5 * SECOND, "in 5 sec"),
        (-30 * MINUTE, "in 30 min"),
        (-2 * DAY, "in 2 days"),
    ],
)
def test_ago(gone: timedelta, written: str) -> None:
    assert filters.ago(NOW - gone) == written


def test_what_never_happened() -> None:
    assert filters.ago(None) == "Never"


def test_ago_does_not_depend_on_where_one_looks_but_the_date_does(look_from: LookFrom) -> None:
    look_from("Pacific/Kiritimati")
    assert filters.ago(NOW - HOUR) == "1 hour ago"
    assert filters.ago(NOW - 7 * DAY) == "15 Nov 2025"


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)))
def test_a_span_is_never_longer_than_the_time_and_says_most_of_it(length: timedelta) -> None:
    written = filters.span(length)
    if written == "a moment":
        assert length < SECOND
        return
    count, unit = written.split(" ")
    size = {"day": DAY, "hour": HOUR, "min": MINUTE, "sec": SECOND}[unit.rstrip("s") if unit != "s" else unit]
    assert int(count) * size <= length < (int(count) + 1) * size


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("UTC", "Fri 21 Nov 2025, 10:28:12 UTC"),
        ("Australia/Sydney", "Fri 21 Nov 2025, 21:28:12 AEDT"),
        ("America/Los_Angeles", "Fri 21 Nov 2025, 02:28:12 PST"),
        ("Asia/Kathmandu", "Fri 21 Nov 2025, 16:13:12 +0545"),
        ("Pacific/Kiritimati", "Sat 22 Nov 2025, 00:28:12 +14"),
        ("Nowhere/At_All", "Fri 21 Nov 2025, 10:28:12 UTC"),
        ("../../etc/passwd", "Fri 21 Nov 2025, 10:28:12 UTC"),
    ],
)
def test_full_time_is_the_readers(look_from: LookFrom, zone: str, written: str) -> None:
    look_from(zone)
    assert filters.full_time(NOW) == written


@pytest.mark.parametrize(
    ("moment", "written", "machine"),
    [
        ("2025-10-04T15:59:59", "Sun 5 Oct 2025, 01:59:59 AEST", "2025-10-05T01:59:59+10:00"),
        ("2025-10-04T16:00:00", "Sun 5 Oct 2025, 03:00:00 AEDT", "2025-10-05T03:00:00+11:00"),
        ("2026-04-04T15:30:00", "Sun 5 Apr 2026, 02:30:00 AEDT", "2026-04-05T02:30:00+11:00"),
        ("2026-04-04T16:30:00", "Sun 5 Apr 2026, 02:30:00 AEST", "2026-04-05T02:30:00+10:00"),
    ],
)
def test_the_hour_that_is_skipped_and_the_one_that_comes_twice(
    look_from: LookFrom, moment: str, written: str, machine: str
) -> None:
    look_from("Australia/Sydney")
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert filters.full_time(at) == written
    assert filters.iso(at) == machine
    assert datetime.fromisoformat(filters.iso(at)) == at


def test_strangers_see_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "signed_in", lambda: None)
    assert filters.full_time(NOW) == "Fri 21 Nov 2025, 10:28:12 UTC"


def test_clock_time_carries_the_date_of_another_day(look_from: LookFrom) -> None:
    assert filters.clock_time(NOW - HOUR) == "09:28:12"
    assert filters.clock_time(NOW - DAY) == "20 Nov 2025, 10:28:12"
    look_from("Australia/Sydney")
    assert filters.clock_time(NOW - 21 * HOUR) == "00:28:12"
    assert filters.clock_time(NOW - 22 * HOUR) == "20 Nov 2025, 23:28:12"


def test_day_has_no_leading_zero() -> None:
    assert filters.day(datetime(2025, 3, 4, tzinfo=UTC)) == "4 Mar 2025"


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (None, ""),
        (0, "0 ms"),
        (84, "84 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (1249, "1.2 s"),
        (1_234_567, "1,234.6 s"),
    ],
)
def test_duration(milliseconds: int | None, written: str) -> None:
    assert filters.duration(milliseconds) == written


@pytest.mark.parametrize(
    ("part", "whole", "written"), [(0, 0, "0%"), (0, 7, "0%"), (1, 3, "33%"), (2, 3, "67%"), (7, 7, "100%")]
)
def test_percent(part: int, whole: int, written: str) -> None:
    assert filters.percent(part, whole) == written


def test_numbers_and_nouns() -> None:
    assert filters.number(1_048_210) == "1,048,210"
    assert [filters.plural(count, "check") for count in (0, 1, 2, 1200)] == [
        "0 checks",
        "1 check",
        "2 checks",
        "1,200 checks",
    ]
    assert filters.plural(2, "entry", "entries") == "2 entries"


def test_first_letters() -> None:
    assert filters.lower_first("Emails not sending") == "emails not sending"
    assert filters.upper_first("login failed") == "Login failed"
    assert filters.lower_first("") == filters.upper_first("") == ""
