"""The logs page: filters in the address, pages by key, the reader's own days, and hostile parameters."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from portal.accounts.models import User
from portal.database import db, unit_of_work
from portal.health.models import HealthLog
from portal.health.service import LogFilters
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team, make_team, whole_list, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
PAGE = "/admin/health-logs"


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def add(app: Flask, team: Team, integration: uuid.UUID, *rows: dict[str, Any]) -> None:
    """Store health logs; each row is marked by its response time."""
    usual = {
        "organization_id": team.organization_id,
        "integration_id": integration,
        "check_type": "scheduled",
        "status": "success",
        "checked_at": NOW,
        "detail": {"steps": [], "asked_by": ""},
    }
    with app.app_context(), unit_of_work():
        db.session.add_all(HealthLog(**(usual | row)) for row in rows)


def marks(answer: TestResponse) -> list[int]:
    """Return the marks of the rows that the page shows, in their order."""
    assert answer.status_code == 200, words(answer)
    return [int(found) for found in re.findall(r">(\d+) ms<", answer.text)]


def everything(browser: Browser, path: str) -> list[int]:
    """Return the marks of all pages."""
    return whole_list(browser, path, marks)


@pytest.fixture
def relay(app: Flask, team: Team) -> uuid.UUID:
    return make_integration(app, team.admin, "Email relay")


@SQLITE
def test_logs_are_shown_newest_first_with_what_went_wrong(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID
) -> None:
    steps = [{"name": "Login", "state": "failed", "ok": False, "detail": "535 <no>", "verbatim": True, "code": "535",
              "hint": "Check it.", "duration_ms": 7}]  # fmt: skip
    add(
        app, team, relay,
        {"response_time_ms": 1, "checked_at": NOW - timedelta(hours=1), "detail": {"recovered_after": 3}},
        {"response_time_ms": 2, "status": "failure", "error_class": "auth_rejected", "error_code": "535",
         "error_message": "Refused <b>you</b>.", "detail": {"steps": steps}},
        {"response_time_ms": 3, "checked_at": NOW - timedelta(hours=2), "check_type": "manual",
         "detail": {"asked_by": "Dana <Owner>"}},
    )  # fmt: skip
    for path in (PAGE, f"/admin/integrations/{relay}/logs"):
        answer = admin.get(path)
        assert marks(answer) == [2, 7, 1, 3]
        text = words(answer)
        for said in ("Refused <b>you</b>.", "535", "535 <no>", "Recovered after 3 failures", "Run by Dana <Owner>",
                     "3 checks", "Failure", "Success"):  # fmt: skip
            assert said in text, said
        assert "<b>you</b>" not in answer.text
        assert "<no>" not in answer.text
    assert "Email relay" in words(admin.get(PAGE))


FILTERS = {
    "": [1, 2, 3, 4, 5],
    "kind=manual": [2],
    "kind=auto": [3],
    "kind=scheduled": [1, 4, 5],
    "status=failure": [3, 4],
    "status=limited": [5],
    "status=success": [1, 2],
    "time=24h": [1, 2],
    "time=7d": [1, 2, 3, 4],
    "time=30d": [1, 2, 3, 4, 5],
    "q=timed out": [3],
    "q=TIMED": [3],
    "q=auth_rejected": [4],
    "q=100%25": [4],
    "q=%25": [4],
    "q=_": [3, 4],
    "kind=scheduled&status=failure&time=7d&q=refused": [4],
    "kind=manual&status=failure": [],
    "time=between&since=2025-11-16&until=2025-11-17": [3],
    "time=between&since=2025-11-17": [1, 2],
    "time=between&until=2025-11-16": [3, 4, 5],
    "time=between&since=2025-11-20&until=2025-11-10": [],
    "time=between": [1, 2, 3, 4, 5],
}
DAY = timedelta(days=1)


def test_logs_are_filtered_by_what_stands_in_the_address(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID
) -> None:
    add(
        app, team, relay,
        {"response_time_ms": 1},
        {"response_time_ms": 2, "check_type": "manual", "checked_at": NOW - DAY},
        {"response_time_ms": 3, "check_type": "auto", "status": "failure", "checked_at": NOW - 5 * DAY,
         "error_class": "timeout_x", "error_message": "It Timed Out."},
        {"response_time_ms": 4, "status": "failure", "checked_at": NOW - 6 * DAY, "error_class": "auth_rejected",
         "error_message": "Refused 100%."},
        {"response_time_ms": 5, "status": "limited", "checked_at": NOW - 20 * DAY},
    )  # fmt: skip
    for (query, expected), path in product(FILTERS.items(), (PAGE, f"/admin/integrations/{relay}/logs")):
        answer = admin.get(f"{path}?{query}")
        assert marks(answer) == expected, query
        if not expected:
            assert "No checks match" in words(answer)
        fragment = admin.get(f"{path}?{query}", target="log-list")
        assert marks(fragment) == expected, query
        assert "<html" not in fragment.text


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("UTC", [2, 3]), ("Australia/Sydney", [1, 2]), ("America/Los_Angeles", [3, 4]), ("Asia/Kathmandu", [2])],
)
def test_days_begin_where_the_reader_is(app: Flask, team: Team, relay: uuid.UUID, zone: str, shown: list[int]) -> None:
    with app.app_context(), unit_of_work() as session:
        session.get_one(User, team.admin.user_id).time_zone = zone
    hours = {1: "2025-11-19T13:00", 2: "2025-11-20T05:00", 3: "2025-11-20T20:00", 4: "2025-11-21T07:59:59"}
    rows = [{"response_time_ms": mark, "checked_at": datetime.fromisoformat(at).replace(tzinfo=UTC)}
            for mark, at in hours.items()]  # fmt: skip
    add(app, team, relay, *rows)
    day = f"{PAGE}?time=between&since=2025-11-20&until=2025-11-20"
    assert sorted(marks(Browser(app, team.admin).get(day))) == shown


def test_the_day_on_which_clocks_change_is_as_long_as_it_is(app: Flask, team: Team, relay: uuid.UUID) -> None:
    """5 October 2025 has 23 hours in Sydney: from 14:00 to 13:00 UTC."""
    with app.app_context(), unit_of_work() as session:
        session.get_one(User, team.admin.user_id).time_zone = "Australia/Sydney"
    moments = ["2025-10-04T13:59:59", "2025-10-04T14:00:00", "2025-10-05T12:59:59", "2025-10-05T13:00:00"]
    rows = [{"response_time_ms": mark, "checked_at": datetime.fromisoformat(at).replace(tzinfo=UTC)}
            for mark, at in enumerate(moments, 1)]  # fmt: skip
    add(app, team, relay, *rows)
    day = f"{PAGE}?time=between&since=2025-10-05&until=2025-10-05"
    assert marks(Browser(app, team.admin).get(day)) == [3, 2]


def test_pages_join_to_the_whole_list_also_when_times_are_equal(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID
) -> None:
    times = [NOW - timedelta(seconds=number // 20) for number in range(70)]
    add(app, team, relay, *({"response_time_ms": mark, "checked_at": at} for mark, at in enumerate(times)))
    whole = everything(admin, PAGE)
    assert sorted(whole) == list(range(70))
    assert [times[mark] for mark in whole] == sorted(times, reverse=True)
    assert everything(admin, f"/admin/integrations/{relay}/logs") == whole
    first = admin.get(PAGE)
    assert len(marks(first)) == 25
    assert "70 checks" in words(first)


def test_a_page_of_filtered_logs_leads_to_the_next_one_under_the_same_filter(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID
) -> None:
    kinds = ["manual" if number % 2 else "auto" for number in range(80)]
    add(app, team, relay, *({"response_time_ms": mark, "check_type": kind} for mark, kind in enumerate(kinds)))
    answer = admin.get(f"{PAGE}?kind=manual&time=24h")
    following = re.search(r'href="([^"]*cursor=[^"]*)"', answer.text)
    assert following
    query = parse_qs(urlsplit(following[1].replace("&amp;", "&")).query)
    assert {name: query[name] for name in ("kind", "time")} == {"kind": ["manual"], "time": ["24h"]}
    found = everything(admin, f"{PAGE}?kind=manual&time=24h")
    assert sorted(found) == [mark for mark, kind in enumerate(kinds) if kind == "manual"]


def test_more_rows_are_fetched_as_rows_alone(app: Flask, team: Team, admin: Browser, relay: uuid.UUID) -> None:
    add(app, team, relay, *({"response_time_ms": mark} for mark in range(30)))
    following = re.search(r'href="([^"]*cursor=[^"]*)"', admin.get(PAGE).text)
    assert following
    rows = admin.get(following[1].replace("&amp;", "&"), target="more-logs")
    assert len(marks(rows)) == 5
    assert "<table" not in rows.text


def test_new_logs_do_not_shift_the_pages(app: Flask, team: Team, admin: Browser, relay: uuid.UUID) -> None:
    add(
        app,
        team,
        relay,
        *({"response_time_ms": mark, "checked_at": NOW - timedelta(minutes=mark)} for mark in range(30)),
    )
    first = admin.get(PAGE)
    add(app, team, relay, {"response_time_ms": 999, "checked_at": NOW + timedelta(minutes=1)})
    following = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert following
    assert marks(admin.get(following[1].replace("&amp;", "&"))) == [25, 26, 27, 28, 29]


HOSTILE = [
    "kind=%00",
    "kind=<script>alert(1)</script>",
    "status='%20OR%201=1",
    "time=yesterday",
    "time=between&since=0001-01-01&until=9999-12-31",
    "time=between&since=9999-12-31&until=0001-01-01",
    "time=between&since=2025-13-45&until=x",
    "time=between&since=" + "9" * 5000,
    "time=between&since=%00&until=%ff",
    "time=between&since=2025-11-20T10:00:00Z",
    "q=%00",
    "q=a%00b",
    "q=%ED%A0%80",
    "q=" + "x" * 20_000,
    "q=%5C",
    "q='%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    "kind=manual&kind=auto",
    "cursor=",
    "unknown=1",
]


def test_hostile_parameters_break_nothing(app: Flask, team: Team, admin: Browser, relay: uuid.UUID) -> None:
    add(app, team, relay, {"response_time_ms": 1})
    for query, path in product(HOSTILE, (PAGE, f"/admin/integrations/{relay}/logs")):
        answer = admin.get(f"{path}?{query}")
        assert answer.status_code == 200, (query, words(answer))
        assert "<script>alert" not in answer.text


@SQLITE
def test_without_any_log_the_page_says_when_checks_come(team: Team, admin: Browser, relay: uuid.UUID) -> None:
    answer = admin.get(PAGE)
    assert "No checks yet" in words(answer)
    assert "No checks match" not in words(answer)


@SQLITE
def test_logs_of_another_organization_are_not_shown(app: Flask, team: Team, admin: Browser, relay: uuid.UUID) -> None:
    other = make_team(app, "Southgate")
    theirs = make_integration(app, other.admin, "Their relay")
    add(app, other, theirs, {"response_time_ms": 666, "error_message": "Very private."})
    add(app, team, relay, {"response_time_ms": 1})
    assert marks(admin.get(PAGE)) == [1]
    assert admin.get(f"/admin/integrations/{theirs}/logs").status_code == 404


@SQLITE
def test_one_check_is_counted_in_the_singular(app: Flask, team: Team, admin: Browser, relay: uuid.UUID) -> None:
    add(app, team, relay, {"response_time_ms": 1})
    assert "1 check" in words(admin.get(PAGE))
    assert "1 checks" not in words(admin.get(PAGE))


def test_counting_stops_early_so_that_long_lists_open_fast(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.paging.COUNT_LIMIT", 10)
    add(app, team, relay, *({"response_time_ms": mark} for mark in range(30)))
    assert "10+ checks" in words(admin.get(PAGE))


@SQLITE
def test_logs_are_counted_only_where_their_number_is_shown_and_not_seen(
    app: Flask, team: Team, admin: Browser, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    def count(*, organization_id: uuid.UUID, filters: LogFilters) -> int:
        counted.append(filters.check_type)
        return 4321

    monkeypatch.setattr("portal.health.service.count_logs", count)
    add(app, team, relay, *({"response_time_ms": mark} for mark in range(30)), {"check_type": "manual"})
    assert "1 check" in words(admin.get(f"{PAGE}?kind=manual"))
    assert counted == []
    first = admin.get(f"{PAGE}?kind=scheduled")
    assert "4,321 checks" in words(first)
    following = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert following
    older = following[1].replace("&amp;", "&")
    assert len(marks(admin.get(older, target="more-logs"))) == 5
    assert counted == ["scheduled"]
    assert "4,321 checks" in words(admin.get(older))


@SQLITE
def test_logs_of_a_deleted_integration_keep_its_name(app: Flask, team: Team, admin: Browser) -> None:
    gone = make_integration(app, team.owner, "Closed branch", deleted_at=NOW, enabled=False)
    add(app, team, gone, {"response_time_ms": 1})
    assert "Closed branch (deleted)" in words(admin.get(PAGE))


@SQLITE
def test_what_a_server_said_is_shown_as_text(app: Flask, team: Team, admin: Browser) -> None:
    hostile = "<script>alert(1)</script>"
    relay = make_integration(app, team.owner)
    add(app, team, relay, {"status": "failure", "error_message": hostile, "error_code": hostile})
    answer = admin.get(PAGE, query_string={"q": hostile})
    assert hostile not in answer.text
    assert answer.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
