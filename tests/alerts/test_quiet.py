"""Quiet hours and digests by the clock on the wall, on days of 23, 24 and 25 hours; letters of a text message."""

from datetime import UTC, datetime

import pytest

from portal.alerts import gsm, quiet

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "start", "end", "allowed"),
    [
        ("2025-11-21 12:00", "UTC", "", "", "2025-11-21 12:00"),
        ("2025-11-21 12:00", "UTC", "09:00", "17:00", "2025-11-21 17:00"),
        ("2025-11-21 17:00", "UTC", "09:00", "17:00", "2025-11-21 17:00"),
        ("2025-11-21 08:59", "UTC", "09:00", "17:00", "2025-11-21 08:59"),
        ("2025-11-21 22:00", "UTC", "22:00", "07:00", "2025-11-22 07:00"),
        ("2025-11-21 03:00", "UTC", "22:00", "07:00", "2025-11-21 07:00"),
        ("2025-11-21 12:00", "Australia/Sydney", "22:00", "07:00", "2025-11-21 20:00"),
        ("2025-03-29 23:00", BERLIN, "22:00", "07:00", "2025-03-30 05:00"),
        ("2025-10-25 22:00", BERLIN, "22:00", "07:00", "2025-10-26 06:00"),
        ("2025-03-30 00:30", BERLIN, "22:00", "02:30", "2025-03-30 01:30"),
        ("2025-10-26 01:10", BERLIN, "22:00", "02:30", "2025-10-26 01:30"),
    ],
)
def test_quiet_hours(at: str, zone: str, start: str, end: str, allowed: str) -> None:
    assert quiet.after_quiet(utc(at), zone=zone, start=start, end=end) == utc(allowed)


@pytest.mark.parametrize(
    ("after", "zone", "at", "expected"),
    [
        ("2025-11-21 12:00", "UTC", "12:00", "2025-11-22 12:00"),
        ("2025-11-21 11:59", "UTC", "12:00", "2025-11-21 12:00"),
        ("2025-11-21 12:00", "Pacific/Auckland", "08:00", "2025-11-21 19:00"),
        ("2025-03-29 12:00", BERLIN, "02:30", "2025-03-30 01:30"),
        ("2025-10-25 12:00", BERLIN, "02:30", "2025-10-26 00:30"),
        ("2025-10-26 00:30", BERLIN, "02:30", "2025-10-27 01:30"),
    ],
)
def test_the_next_digest(after: str, zone: str, at: str, expected: str) -> None:
    assert quiet.next_time(utc(after), zone=zone, at=at) == utc(expected)


@pytest.mark.parametrize("text", ["24:00", "8:00", "08:60", "08:0٣", "0８:00", "08:00\n", ""])
def test_what_no_clock_shows_is_no_time(text: str) -> None:
    assert not quiet.is_time(text), "stored, it would keep everybody from being told"


def test_a_text_message_is_one_part_of_plain_letters() -> None:
    link = "https://portal.example.org/admin/alerts"
    long = gsm.fitted("Integrations Portal: " + "Emails not sending. " * 20, link)
    assert gsm.length(long) <= 160
    assert long.endswith(f"... {link}")
    assert gsm.plain("Łódź – “naïve”\u202e\n{x}") == "?odz ? ?naive?? {x}"
    assert gsm.length(gsm.fitted("{" * 200, "")) <= 160
    assert gsm.fitted("Down.", "https://" + "x" * 200) == "Down.", "a link that leaves no room is left out"
