"""Sorted lists by key: whatever the order and the page size, the pages join to the whole list."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal.database import reading, unit_of_work
from portal.integrations import listing
from portal.integrations.listing import LONG_AGO, SORTS, Filters, Listed
from portal.integrations.models import Condition, Integration, Status
from portal.overview import routes
from tests.support.integrations import add_integration, make_integration
from tests.support.people import Browser, Team, make_team

NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
LETTERS = ["a", "B", "ä", "Z", "ß", "株", "😀", "1", "10", "2", "_", " x", "%"]


def severity(row: Listed) -> int:
    if row.status == Status.ERROR:
        return 0
    if row.condition is not None and row.enabled:
        return 1
    return 2 if row.enabled else 3


KEYS: dict[str, Callable[[Listed], Any]] = {
    "name": lambda row: (row.name_key, row.id),
    "provider": lambda row: (row.provider, row.name_key, row.id),
    "status": lambda row: (severity(row), row.name_key, row.id),
    "last_sync": lambda row: (row.last_sync or LONG_AGO, row.id),
}


def columns(source: random.Random) -> dict[str, Any]:
    """Return the columns of some integration; many share a value."""
    return {
        "provider": source.choice(["smtp", "smtp", "other"]),
        "enabled": source.random() < 0.7,
        "status": source.choice(list(Status)),
        "condition": source.choice([None, *Condition]),
        "last_sync": source.choice([None, None, NOW, NOW - timedelta(microseconds=1), NOW + timedelta(hours=1)]),
    }


def fill(app: Flask, team: Team, seed: int, count: int) -> None:
    source = random.Random(seed)  # noqa: S311 - the same rows at each run
    with app.app_context(), unit_of_work():
        for number in range(count):
            name = source.choice(LETTERS) + source.choice(LETTERS)
            add_integration(team.admin, f"{name} {number}", **columns(source))


def pages(app: Flask, team: Team, sort: str, limit: int, filters: Filters = Filters()) -> list[Listed]:  # noqa: B008 - frozen
    """Return all pages, one after the other."""
    found: list[Listed] = []
    cursor: str | None = ""
    with app.app_context():
        while cursor is not None:
            with reading():
                page = listing.search(
                    organization_id=team.organization_id, filters=filters, sort=sort, cursor=cursor, limit=limit
                )
            assert len(page.items) <= limit
            assert page.items or not cursor, "a last page is never empty"
            found += page.items
            cursor = page.next_cursor
    return found


def test_pages_of_any_size_join_to_the_whole_list_in_its_order(app: Flask, team: Team) -> None:
    fill(app, team, seed=8, count=45)
    fill(app, make_team(app, "Southgate"), seed=1, count=5)
    for sort in SORTS:
        whole = pages(app, team, sort, 1000)
        assert len(whole) == 45
        assert whole == sorted(whole, key=KEYS[sort], reverse=SORTS[sort].descending), sort
        ids = [each.id for each in whole]
        for limit in (1, 2, 7, 44, 45, 46):
            assert [each.id for each in pages(app, team, sort, limit)] == ids, (sort, limit)


def test_filters_narrow_every_page(app: Flask, team: Team) -> None:
    fill(app, team, seed=5, count=40)
    filters = Filters(status="disabled")
    for sort in SORTS:
        whole = [each for each in pages(app, team, sort, 1000) if not each.enabled]
        assert [each.id for each in pages(app, team, sort, 3, filters)] == [each.id for each in whole], sort


@pytest.mark.parametrize("sort", SORTS)
def test_the_page_leads_through_the_list_in_the_chosen_order(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    with app.app_context(), unit_of_work():
        source = random.Random(9)  # noqa: S311 - the same rows at each run
        for number in range(60):
            add_integration(team.admin, f"Relay {number:02}", **(columns(source) | {"provider": "smtp"}))
    expected = [str(each.id) for each in pages(app, team, sort, 1000)]
    grown = follow(admin, f"/admin/integrations?sort={sort}")
    assert [len(each) for each in grown] == [25, 50, 60]
    assert grown[-1] == expected
    monkeypatch.setattr(routes, "MOST_SHOWN", 25)
    turned = follow(admin, f"/admin/integrations?sort={sort}")
    assert [row for each in turned for row in each] == expected
    assert len(turned) == 3


def follow(admin: Browser, path: str) -> list[list[str]]:
    """Press "Load more" or "Next page" to the end; returns the rows that each page shows."""
    shown: list[list[str]] = []
    while path:
        answer = admin.get(path, target="board")
        assert answer.status_code == 200
        shown.append(re.findall(r'<tr id="row-([0-9a-f-]+)"', answer.text))
        following = re.search(r'id="more" href="([^"]*)"', answer.text)
        path = following[1].replace("&amp;", "&") if following else ""
    return shown


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sort", "order"), [("name", "ascending"), ("last_sync", "descending")])
def test_the_head_of_the_table_says_what_it_is_sorted_by(
    app: Flask, team: Team, admin: Browser, sort: str, order: str
) -> None:
    make_integration(app, team.admin)
    text = admin.get(f"/admin/integrations?sort={sort}&q=relay").text
    assert re.findall(r'aria-sort="(\w+)"', text) == [order]
    assert 'href="/admin/integrations?q=relay&amp;sort=provider"' in text, "another order keeps the filters"


def test_a_row_that_moves_between_two_pages_ends_no_list(app: Flask, team: Team) -> None:
    """Keys of the page before need not exist any more."""
    fill(app, team, seed=3, count=20)
    with app.app_context():
        with reading():
            first = listing.search(organization_id=team.organization_id, filters=Filters(), limit=10)
        assert first.next_cursor
        with unit_of_work() as session:
            session.get_one(Integration, first.items[-1].id).name_key = "zzz"
        with reading():
            rest = listing.search(
                organization_id=team.organization_id, filters=Filters(), limit=50, cursor=first.next_cursor
            )
    assert {each.id for each in rest.items} >= {each.id for each in pages(app, team, "name", 100)[9:19]}
