"""The dashboard: figures, critical alerts, the list with its filters, and words for when there is nothing."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import product
from typing import Any

import pytest
import time_machine
from flask import Flask
from markupsafe import escape
from werkzeug.test import TestResponse

from portal.database import new_id, unit_of_work
from portal.integrations.models import Condition, Integration
from portal.web.access import Role
from tests.alerts.kit import look
from tests.support.integrations import CANARY, failing, make_integration, unverified
from tests.support.people import Browser, Team, make_team, plain, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
PAGE = "/admin/integrations"


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def figures(answer: TestResponse) -> dict[str, str]:
    """Return the cards by their label."""
    found = re.findall(r'<a class="stat"[^>]*>(.*?)</a>', answer.text, re.DOTALL)
    cards = (plain(each).partition(" ") for each in found)
    return {label: rest for label, _, rest in cards}


def rows(answer: TestResponse) -> list[str]:
    """Return the names in the list."""
    return [
        plain(each) for each in re.findall(r'<tr id="row-.*?<a href="[^"]*"[^>]*>(.*?)</a>', answer.text, re.DOTALL)
    ]


def seed(app: Flask, team: Team) -> dict[str, uuid.UUID]:
    """Make one integration of each kind."""
    kinds: dict[str, dict[str, Any]] = {
        "Active": {"last_sync": NOW - timedelta(minutes=4), "last_sync_ok": True},
        "Broken": failing(failing_since=NOW - timedelta(hours=3)),
        "Off": {"enabled": False, "status": "inactive"},
        "New": unverified(),
        "Limited": {"condition": Condition.LIMITED, "last_sync": NOW, "last_sync_ok": True},
        "Mailgun one": {"config": {"preset": "mailgun", "host": "smtp.mailgun.org"}},
    }
    return {name: make_integration(app, team.admin, name, **columns) for name, columns in kinds.items()}


def test_the_cards_count_and_say_their_share(app: Flask, team: Team, admin: Browser) -> None:
    seed(app, team)
    make_integration(app, team.admin, "Deleted", deleted_at=NOW)
    make_integration(app, make_team(app, "Southgate").admin, "Theirs")
    found = figures(admin.get(PAGE))
    assert found == {"Total": "6 1 unverified", "Active": "3 50%", "Errors": "1 17%", "Disabled": "1 17%"}


def test_the_list_says_how_each_is_and_when_it_last_worked(app: Flask, team: Team, admin: Browser) -> None:
    seed(app, team)
    answer = admin.get(PAGE)
    assert rows(answer) == ["Active", "Broken", "Limited", "Mailgun one", "New", "Off"]
    lines = [plain(each) for each in re.findall(r'<tr id="row-.*?</tr>', answer.text, re.DOTALL)]
    expected = ("4 min ago", "Re-authenticate", "Limited", "SMTP, Mailgun Active", "Unverified", "Disabled")
    for line, said in zip(lines, expected, strict=True):
        assert said in line
    assert "SMTP, Mailgun" in words(answer)
    assert "6 of 6 integrations" in words(answer)


def test_critical_alerts_say_what_is_wrong_since_when_and_what_it_means(app: Flask, team: Team, admin: Browser) -> None:
    ids = seed(app, team)
    look(app)
    answer = admin.get(PAGE)
    text = words(answer)
    expected = ("Critical alerts", "Broken (SMTP): re-authenticate, login failed", "Impact: emails not sending.",
                "3 hours ago", "535", "The server refused the login. Check the password.")  # fmt: skip
    for said in expected:
        assert said in text, said
    broken = ids["Broken"]
    for address in (f"{PAGE}/{broken}/logs", f"{PAGE}/{broken}/check", f"{PAGE}/{broken}/troubleshoot"):
        assert f'"{address}"' in answer.text
    for label in ("View logs", "Reconnect", "Troubleshoot", "Acknowledge"):
        assert label in text


@SQLITE
def test_the_longest_outage_comes_first_and_one_that_is_off_is_none(app: Flask, team: Team, admin: Browser) -> None:
    for hours in (2, 9, 5, 1, 3, 4):
        make_integration(app, team.admin, f"Since {hours}", **failing(failing_since=NOW - timedelta(hours=hours)))
    make_integration(app, team.admin, "Off", **(failing() | {"enabled": False, "status": "inactive"}))
    look(app)
    text = words(admin.get(PAGE))
    assert re.findall(r"(Since \d) \(SMTP\): re-authenticate, login failed Impact", text) == [
        "Since 9", "Since 5", "Since 4", "Since 3", "Since 2",
    ]  # fmt: skip
    assert "All 6 alerts" in text
    assert "Off (SMTP)" not in text


@SQLITE
def test_without_an_outage_there_are_no_alerts(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    assert "Critical alerts" not in words(admin.get(PAGE))


FILTERS = {
    "": ["Active", "Broken", "Limited", "Mailgun one", "New", "Off"],
    "status=active": ["Active", "Limited", "Mailgun one"],
    "status=error": ["Broken"],
    "status=reauth": ["Broken"],
    "status=limited": ["Limited"],
    "status=unverified": ["New"],
    "status=disabled": ["Off"],
    "capability=email": ["Active", "Broken", "Limited", "Mailgun one", "New", "Off"],
    "q=BROK": ["Broken"],
    "q=smtp": ["Active", "Broken", "Limited", "Mailgun one", "New", "Off"],
    "q=%25": [],
    "q=_": [],
    "q=o&status=active": ["Mailgun one"],
    "q=nothing": [],
}


def test_the_list_is_filtered_by_what_stands_in_the_address(app: Flask, team: Team, admin: Browser) -> None:
    seed(app, team)
    for query, expected in FILTERS.items():
        page, board = admin.get(f"{PAGE}?{query}"), admin.get(f"{PAGE}?{query}", target="board")
        for answer in (page, board):
            assert rows(answer) == expected, query
            assert ("No integration matches" in words(answer)) is (not expected)
        assert "<html" not in board.text
        assert "Search integrations" not in words(board)
        assert figures(page)["Total"].startswith("6"), "the cards count all"
        assert f'hx-get="{PAGE}?{query}"'.rstrip("?").replace("&", "&amp;").replace('?"', '"') in board.text


HOSTILE = [
    "status=<script>alert(1)</script>",
    "status=all",
    "capability=telepathy",
    "sort=password",
    "sort=id%20DESC",
    "q=%00",
    "q=a%00b",
    "q=%ED%A0%80",
    "q=" + "x" * 20_000,
    "q=%5C",
    "q='%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    "cursor=",
    "status=active&status=error",
]


def test_hostile_parameters_break_nothing(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    for query, target in product(HOSTILE, ("", "board")):
        answer = admin.get(f"{PAGE}?{query}", target=target)
        assert answer.status_code == 200, (query, words(answer))
        assert "<script>alert" not in answer.text


@SQLITE
def test_without_any_integration_the_page_leads_to_the_first_one(team: Team, admin: Browser) -> None:
    answer = admin.get(PAGE)
    assert "Connect your first provider" in words(answer)
    assert 'href="/admin/integrations/new/smtp"' in answer.text
    assert "Health check all" not in words(answer)


NAMES = [
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "' onmouseover='alert(1)",
    "</td></tr></table>",
]


class Markup(HTMLParser):
    """Collects what a browser would make of a page: elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.elements.append((tag, dict(attrs)))


@SQLITE
@pytest.mark.usefixtures("mail")
@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_only_text_everywhere(app: Flask, team: Team, admin: Browser, name: str) -> None:
    error = {"error_title": name, "error_message": name, "error_hint": name, "error_code": name}
    integration = make_integration(app, team.admin, name, **failing(**error), sandbox=True)
    one = f"{PAGE}/{integration}"
    shown = [admin.get(PAGE), admin.get(one)]
    admin.post(f"{one}/check")
    lists = (f"{one}/logs", "/admin/health-logs", "/admin/audit", "/admin/credential-access", f"{PAGE}?q={name[:20]}")
    answers = [*shown, admin.get(f"{one}/edit"), *map(admin.get, lists)]
    answers += [admin.get(PAGE, target="board"), admin.get(one, target="detail")]
    answers.append(admin.post(f"{one}/check", target=f"row-{integration}"))
    for answer in answers:
        assert answer.status_code == 200
        for tag, attributes in Markup(answer.text).elements:
            assert tag != "img"
            assert tag != "script" or "src" in attributes
            assert not [each for each in attributes if each.startswith("on")]
        assert "49" not in words(answer) or "{{" not in name
    for answer in shown:
        assert str(escape(name)) in answer.text


@SQLITE
def test_agents_and_the_not_yet_enrolled_do_not_get_here(app: Flask, team: Team) -> None:
    agent = Browser(app, team.agent).get(PAGE)
    assert (agent.status_code, team.agent.role) == (403, Role.AGENT)
    assert "Ask one of them for access." in words(agent)
    newcomer = Browser(app, team.newcomer).get(PAGE)
    assert (newcomer.status_code, newcomer.headers["Location"]) == (303, f"/profile/two-factor/required?next={PAGE}")


@SQLITE
@pytest.mark.parametrize(("role", "start"), [("owner", PAGE), ("admin", PAGE), ("agent", "/profile")])
def test_the_start_page_depends_on_the_role(app: Flask, team: Team, role: str, start: str) -> None:
    assert Browser(app, getattr(team, role)).get("/").headers["Location"] == start


@SQLITE
def test_the_page_looks_more_often_while_something_happens(app: Flask, team: Team, admin: Browser) -> None:
    checked: dict[str, Any] = {"last_health_check": NOW}
    make_integration(app, team.admin, "Calm", **checked)
    assert "every 5s" in admin.get(PAGE).text
    make_integration(app, team.admin, "Busy", check_token=new_id(), **checked)
    answer = admin.get(PAGE)
    assert "every 2s" in answer.text
    assert "Checking" in words(answer)


@SQLITE
def test_the_navigation_says_where_one_is_and_how_many_are_in_error(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin, **failing())
    for path, label in ((PAGE, "Integrations"), ("/admin/health-logs", "Health logs"), ("/admin/audit", "Audit")):
        text = admin.get(path).text
        current = [plain(each) for each in re.findall(r'<a [^>]*aria-current="page"[^>]*>(.*?)</a>', text, re.DOTALL)]
        assert len(current) == 1
        assert current[0].startswith(label), path
    assert re.search(r"Integrations 1 in error", words(admin.get("/profile")))


@SQLITE
def test_a_banner_says_how_many_point_at_the_sandbox(app: Flask, team: Team, admin: Browser) -> None:
    assert "Sandbox" not in words(admin.get(PAGE))
    make_integration(app, team.admin, "One", sandbox=True)
    assert "1 integration points at the sandbox. Nothing it sends leaves this machine." in words(admin.get(PAGE))
    make_integration(app, team.admin, "Two", sandbox=True)
    assert "2 integrations point at the sandbox. Nothing they send leaves this machine." in words(admin.get("/profile"))


@SQLITE
def test_no_page_of_the_list_shows_a_secret(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    assert CANARY[-4:] not in admin.get(PAGE).text


@SQLITE
def test_a_board_that_did_not_change_is_not_sent_again(
    app: Flask, team: Team, admin: Browser, time: time_machine.Traveller
) -> None:
    integration = make_integration(app, team.admin, "Relay")
    version = _version(admin.get(PAGE).text)
    asks = {"HX-Request": "true", "HX-Target": "board", "X-Portal-Poll": version}
    assert admin.get(PAGE, headers=asks).status_code == 204
    assert admin.get(PAGE + "?q=other", headers=asks).status_code == 200
    assert admin.get(PAGE, headers=asks | {"X-Portal-Poll": "1"}).status_code == 200
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Integration, integration)
        row.last_health_check = row.last_sync = NOW
    changed = admin.get(PAGE, headers=asks)
    assert changed.status_code == 200
    assert _version(changed.text) != version
    asks["X-Portal-Poll"] = _version(changed.text)
    assert admin.get(PAGE, headers=asks).status_code == 204
    time.shift(60)
    assert admin.get(PAGE, headers=asks).status_code == 200, "it says how many minutes ago things were"


def _version(page: str) -> str:
    found = re.search(r'id="board"[^>]*X-Portal-Poll&#34;: &#34;(\w+)&#34;', page)
    assert found
    return found[1]
