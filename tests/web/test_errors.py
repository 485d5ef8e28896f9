"""Errors: a page in words, a fragment for HTMX, nothing of the inside, and an answer even without a database."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from flask import Flask, abort
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal.database import db
from portal.web.access import Who, allow
from portal.web.errors import WORDS
from tests.support.people import HTMX, Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
CANARY = "cAnArY-in-an-exception"


def breaks(app: Flask, view: Callable[[], Any]) -> None:
    """Let the start page do this instead."""
    app.view_functions["overview.home"] = allow(Who.MEMBER)(view)


@SQLITE
@pytest.mark.parametrize("status", sorted(WORDS))
def test_every_status_has_a_page_and_a_fragment_in_words(app: Flask, admin: Browser, status: int) -> None:
    breaks(app, lambda: abort(status))
    page, fragment = admin.get("/"), admin.get("/", htmx=True)
    for answer in (page, fragment):
        assert answer.status_code == status
        assert WORDS[status].title in words(answer)
        assert WORDS[status].text in words(answer)
        assert answer.headers["X-Request-Id"] in words(answer)
    assert "<html" in page.text
    assert "<html" not in fragment.text
    assert "data-error" in fragment.text


@SQLITE
@pytest.mark.parametrize(("status", "like"), [(418, 400), (409, 400), (502, 500)])
def test_a_status_without_words_of_its_own_borrows_some(app: Flask, admin: Browser, status: int, like: int) -> None:
    breaks(app, lambda: abort(status))
    answer = admin.get("/")
    assert answer.status_code == status
    assert WORDS[like].title in words(answer)


@SQLITE
def test_a_boosted_link_and_a_restored_page_get_the_whole_page(app: Flask, admin: Browser) -> None:
    for header in ("HX-Boosted", "HX-History-Restore-Request"):
        answer = admin.client.get("/nothing", headers={**HTMX, header: "true"})
        assert "<html" in answer.text


@SQLITE
def test_an_unexpected_error_is_logged_and_says_nothing_of_the_inside(
    app: Flask, admin: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> NoReturn:
        raise LookupError(CANARY)

    breaks(app, fail)
    answer = admin.get("/")
    assert answer.status_code == 500
    assert CANARY not in answer.text
    assert "Traceback" not in answer.text
    assert "LookupError" not in answer.text
    assert CANARY in caplog.text
    assert answer.headers["X-Request-Id"] in caplog.text
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_statement_that_the_database_refuses_still_ends_in_a_page_with_navigation(app: Flask, admin: Browser) -> None:
    """On PostgreSQL nothing can be read in a transaction that failed, the navigation's figures neither."""
    breaks(app, lambda: db.session.execute(text("SELECT nothing FROM nowhere")))
    answer = admin.get("/")
    assert answer.status_code in (500, 503)
    assert "Nothing was lost." in words(answer)
    assert admin.get("/admin/integrations").status_code == 200


@SQLITE
def test_a_database_that_does_not_answer_is_said_so_even_to_people_known_before(
    app: Flask, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> NoReturn:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    monkeypatch.setattr("portal.integrations.queries.stats", fail)
    monkeypatch.setattr("portal.integrations.listing.count", fail)
    monkeypatch.setattr("portal.overview.counts.of", fail)
    page, fragment = admin.get("/admin/integrations"), admin.get("/admin/integrations", htmx=True)
    for answer in (page, fragment):
        assert answer.status_code == 503
        assert "The database did not answer" in words(answer)
        assert "closed the connection" not in answer.text


@SQLITE
def test_a_broken_database_ends_in_a_page_whatever_breaks(
    app: Flask, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> NoReturn:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    def unexpected() -> NoReturn:
        raise LookupError

    monkeypatch.setattr("portal.overview.counts.of", fail)
    breaks(app, unexpected)
    answer = admin.get("/")
    assert answer.status_code == 500
    assert "Something went wrong in the portal" in words(answer)


@SQLITE
@pytest.mark.parametrize("table", ["sessions", "integrations"])
def test_a_lost_table_breaks_no_error_page(app: Flask, team: Team, admin: Browser, table: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.commit()
    answer = admin.get("/admin/integrations")
    assert answer.status_code == 503
    assert "The database did not answer" in words(answer)


@SQLITE
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_method_that_nobody_takes_says_which_are(admin: Browser, method: str) -> None:
    answer = admin.client.open("/admin/integrations", method=method, headers={"X-CSRFToken": admin.csrf})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert WORDS[405].title in words(answer)


@SQLITE
def test_agents_read_whom_to_ask(app: Flask, team: Team) -> None:
    answer = Browser(app, team.agent).get("/admin/integrations")
    assert answer.status_code == 403
    assert "Integrations are managed by owners and admins. Ask one of them for access." in words(answer)
    assert "Health logs" not in words(answer), "the navigation offers nothing that is closed"


@SQLITE
@pytest.mark.parametrize("path", ["/<script>alert(1)</script>", "/admin/integrations/new/<img src=x onerror=alert(1)>"])
def test_what_stands_in_an_address_is_not_put_into_the_page(admin: Browser, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
