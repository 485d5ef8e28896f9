"""Words of checks that did not pass: kept once each, looked through for the logs, and gone with the last of these."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import paging
from portal.database import new_id, reading, unit_of_work
from portal.health import checks, retention, rollups, service, words
from portal.health.models import HealthLog, HealthWords
from portal.health.service import LogFilters
from portal.integrations.models import CheckKind
from tests.support.integrations import Mail, make_integration, refused
from tests.support.people import Team, make_team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def relay(app: Flask, team: Team) -> uuid.UUID:
    return make_integration(app, team.admin, "Email relay")


def add(app: Flask, team: Team, integration: uuid.UUID, *rows: dict[str, Any]) -> None:
    """Store logs whose words are not noted; each is marked by its response time."""
    usual = {
        "organization_id": team.organization_id, "integration_id": integration, "check_type": "scheduled",
        "status": "failure", "checked_at": NOW, "detail": {},
    }  # fmt: skip
    with app.app_context(), unit_of_work() as session:
        session.add_all(HealthLog(**usual | row) for row in rows)


def found(app: Flask, team: Team, text: str, *, limit: int = 3, **narrowed: Any) -> list[int | None]:
    """Return the marks of all pages of the logs with a text, and see that they are as many as is said."""
    filters, marks, cursor = LogFilters(text=text, **narrowed), [], ""
    with app.app_context(), reading():
        total = service.count_logs(organization_id=team.organization_id, filters=filters)
        while True:
            page = service.logs(organization_id=team.organization_id, filters=filters, cursor=cursor, limit=limit)
            assert page.total in (None, min(total, paging.COUNT_LIMIT + 1))
            marks += [each.response_time_ms for each in page.items]
            cursor = page.next_cursor or ""
            if not cursor:
                assert total in (len(marks), paging.COUNT_LIMIT + 1)
                return marks


def kept(app: Flask) -> dict[str, datetime]:
    """Return until when which words are kept."""
    with app.app_context(), reading() as session:
        return {each.words.replace("\x1f", "|"): each.until for each in session.scalars(select(HealthWords))}


ROWS: Sequence[dict[str, Any]] = [
    {"error_class": "timeout", "error_code": "t1", "error_message": "It Timed Out.", "checked_at": NOW - 2 * DAY},
    {"error_class": "auth_rejected", "error_message": "Refused 100%."},
    {"status": "limited", "error_class": "rate_limited", "error_code": "429"},
    {"status": "limited", "checked_at": NOW - 9 * DAY},
    {"error_class": "timeout", "error_code": "t1", "error_message": "It Timed Out.", "check_type": "auto"},
    {"error_message": "Slash / and back \\ and Ünicode", "checked_at": NOW - DAY},
    {"status": "success", "error_message": "timed out, but passed"},
    {"error_class": "timeout", "error_message": "timed in"},
]
SEARCHES = {
    "timed out": [4, 0], "TIMED": [7, 4, 0], "t1": [4, 0], "100%": [1], "%": [1], "_": [2, 1], "429": [2], "/": [5],
    "\\": [5], "ünicode": None, "timeoutt1": [], "t1it": [], "never": [], "e": [7, 4, 2, 1, 5, 0],
}  # fmt: skip
"""Text → marks of what has it, newest first; None where the databases differ about the case of a letter."""


@pytest.mark.parametrize("way", ["not noted", "few", "common"])
def test_a_search_finds_the_same_in_whichever_way_it_looks(
    app: Flask, team: Team, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    ids = sorted(new_id() for _ in ROWS)
    add(app, team, relay, *({**row, "id": ids[mark], "response_time_ms": mark} for mark, row in enumerate(ROWS)))
    other = make_team(app, "Southgate")
    add(app, other, make_integration(app, other.admin), {"error_message": "It timed out.", "response_time_ms": 666})
    before = {text: found(app, team, text) for text in SEARCHES}
    if way != "not noted":
        with app.app_context():
            assert words.catch_up() == len(ROWS)
    if way == "common":
        monkeypatch.setattr(paging, "COUNT_LIMIT", 0)
    assert {text: found(app, team, text) for text in SEARCHES} == before
    assert {text: before[text] for text, marks in SEARCHES.items() if marks is not None} == {
        text: marks for text, marks in SEARCHES.items() if marks is not None
    }
    assert found(app, team, "timed", check_type="auto") == [4]
    assert found(app, team, "timed", until=NOW) == [0]
    assert found(app, team, "timed", since=NOW, error_class="timeout") == [7, 4]
    assert found(app, team, "t", status="limited") == [2]
    assert found(app, team, "timed", integration_id=relay) == [7, 4, 0]


def test_what_an_older_portal_wrote_is_found_until_it_is_noted_and_after(
    app: Flask, team: Team, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "BATCH", 2)
    old = [{"error_message": "It was said before.", "response_time_ms": mark} for mark in range(5)]
    add(app, team, relay, *old, {"status": "success", "response_time_ms": 9})
    assert set(found(app, team, "before")) == {0, 1, 2, 3, 4}
    with app.app_context():
        assert words.catch_up() == 5
        assert words.catch_up() == 0
    add(app, team, relay, {"error_message": "Nobody noted this.", "response_time_ms": 7})
    assert (found(app, team, "noted"), len(found(app, team, "before"))) == ([7], 5)
    with app.app_context():
        retention.tidy()
    assert (found(app, team, "noted"), len(found(app, team, "before"))) == ([7], 5)
    assert kept(app).keys() == {"||it was said before.", "||nobody noted this."}


def test_a_failed_check_notes_its_words_once_a_day(
    app: Flask, team: Team, mail: Mail, time: time_machine.Traveller
) -> None:
    integrations = [make_integration(app, team.admin, f"Relay {number}") for number in range(3)]

    def check() -> None:
        with app.app_context():
            claims = [checks.claim_one(each, kind=CheckKind.MANUAL, asked_by="") for each in integrations]
            for claim in claims:
                assert claim
                checks.run(claim)

    check()
    assert kept(app) == {}
    mail.report = refused()
    check()
    first = kept(app)
    assert list(first.values()) == [NOW + DAY]
    time.shift(DAY)
    check()
    assert kept(app) == first, "nothing is written while it runs ahead"
    time.shift(timedelta(seconds=1))
    check()
    assert kept(app) == {said: NOW + 2 * DAY + timedelta(seconds=1) for said in first}
    error = mail.report.error
    assert error
    assert len(found(app, team, error.message)) == 9


def test_words_go_with_the_last_log_that_has_them(
    app: Flask, team: Team, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "BATCH", 2)
    add(app, team, relay, *({"error_message": f"Old {mark}", "checked_at": NOW - 40 * DAY} for mark in range(5)))
    add(app, team, relay, {"error_message": "Old and new", "checked_at": NOW - 40 * DAY},
        {"error_message": "Old and new", "checked_at": NOW - DAY})  # fmt: skip
    with app.app_context():
        words.catch_up()
        assert len(kept(app)) == 6
        while rollups.fold_due(most=timedelta(days=50)):
            pass
        assert retention.tidy() == 6 + 5
    assert kept(app) == {"||old and new": NOW}
    assert found(app, team, "old") == [None]


@SQLITE
def test_words_that_are_said_again_while_they_are_forgotten_stay(
    app: Flask, team: Team, relay: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(app, team, relay, {"error_message": "It is back.", "checked_at": NOW - 40 * DAY})
    with app.app_context():
        words.catch_up()

        def late() -> Any:
            monkeypatch.setattr("portal.health.words.unit_of_work", unit_of_work)
            add(app, team, relay, {"error_message": "It is back."})
            words.catch_up()
            return unit_of_work()

        monkeypatch.setattr("portal.health.words.unit_of_work", late)
        words.forget(team.organization_id, NOW - 30 * DAY)
    assert kept(app) == {"||it is back.": NOW + DAY}
