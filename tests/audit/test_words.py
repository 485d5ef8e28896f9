"""What the pages say and what their filter form understands."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from portal.audit import words
from portal.audit.forms import BAD_DATE, BAD_ORDER, FilterForm
from portal.audit.models import AuditEntry


def test_the_form_reads_days_in_the_viewers_zone_with_the_last_one_included() -> None:
    form = FilterForm.read({"since": "2026-11-21", "until": "2026-11-21", "actor": " dana\x00 "})
    filters = form.filters(ZoneInfo("Australia/Sydney"))
    assert filters.since == datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
    assert filters.until == datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
    assert filters.actor == "dana"
    assert not form.errors
    assert form.given == {"actor": "dana", "since": "2026-11-21", "until": "2026-11-21"}


@pytest.mark.parametrize("bad", ["yesterday", "2026-13-01", "0001-01-01", "9999-12-31", "<b>", "1" * 5000])
def test_a_bad_date_is_named_and_left_out(bad: str) -> None:
    form = FilterForm.read({"since": bad, "until": bad})
    filters = form.filters(ZoneInfo("Pacific/Auckland"))
    assert (filters.since, filters.until) == (None, None)
    assert form.errors == {"since": BAD_DATE, "until": BAD_DATE}


def test_days_in_the_wrong_order_are_named() -> None:
    form = FilterForm.read({"since": "2026-11-21", "until": "2026-11-20"})
    form.filters(ZoneInfo("UTC"))
    assert form.errors == {"until": BAD_ORDER}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("integration.created", "Integration created"), ("integration.switched_off", "Integration switched off"),
        ("token.created", "API token created"), ("event_type.changed", "Event type changed"),
        ("session.refused", "Sign-in refused"), ("new_thing.was.done_twice", "New thing was done twice"),
        ("whatever", "Whatever"), ("", ""), (".", ""), ("x.", "X"),
    ],
)  # fmt: skip
def test_every_action_has_words(action: str, expected: str) -> None:
    assert words.describe(action) == expected


def test_changes_are_told_before_and_after() -> None:
    entry = AuditEntry(before={"port": 25, "enabled": True}, after={"port": 587, "from_name": "", "fields": ["a", "b"]})
    assert words.changes(entry) == [
        ("Enabled", "Yes → Not set"),
        ("Fields", "Not set → a, b"),
        ("From name", "Not set → Not set"),
        ("Port", "25 → 587"),
    ]
    assert words.changes(AuditEntry(before=None, after={"port": 25, "limits": {"b": 1, "a": [None]}})) == [
        ("Limits", '{"a": [null], "b": 1}'),
        ("Port", "25"),
    ]
    assert words.changes(AuditEntry(before=None, after=None)) == []


def test_a_group_that_came_by_url_stays_in_the_filter() -> None:
    assert words.group_choices("new_group")[-1] == ("new_group", "New group")
    assert words.group_choices("member") == words.group_choices()
