"""Full page or fragment, toasts, and where to go after a form: never to another site."""

import json

import pytest
from flask import Flask, url_for
from flask.wrappers import Response

from portal.web import render
from tests.support.integrations import make_integration
from tests.support.people import HTMX, Browser, Team, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("headers", "fragment"),
    [
        ({}, False),
        (HTMX, True),
        ({**HTMX, "HX-Boosted": "true"}, False),
        ({**HTMX, "HX-History-Restore-Request": "true"}, False),
        ({"HX-Boosted": "true"}, False),
    ],
)
def test_a_fragment_is_for_htmx_alone(app: Flask, admin: Browser, headers: dict[str, str], fragment: bool) -> None:
    with app.test_request_context(headers=headers):
        assert render.wants_fragment() is fragment
    answer = admin.client.get("/admin/integrations/new", headers=headers)
    assert ("<html" not in answer.text) is fragment
    assert "SMTP" in answer.text


def test_triggers_add_up_in_one_header(app: Flask) -> None:
    response = render.trigger(render.add_toast(Response(), "Saved.", body="Tested in 84 ms."), "drawer-close")
    fired = json.loads(response.headers["HX-Trigger"])
    assert fired.keys() == {"toast", "drawer-close"}
    assert fired["toast"].items() >= {"tone": "ok", "title": "Saved.", "body": "Tested in 84 ms."}.items()


@pytest.mark.parametrize("title", ["Größe \u202e <b>x</b>", "line\r\nSet-Cookie: a=b", "株式会社 \U0001f600"])
def test_a_toast_in_a_header_can_hold_anything(app: Flask, title: str) -> None:
    header = render.add_toast(Response(), title).headers["HX-Trigger"]
    assert header.isascii()
    assert header.isprintable()
    assert json.loads(header)["toast"]["title"] == title


def test_after_a_plain_form_the_toast_is_on_the_next_page_and_only_there(
    app: Flask, team: Team, admin: Browser
) -> None:
    integration = make_integration(app, team.admin, "<b>Relay</b>")
    answer = admin.post(f"/admin/integrations/{integration}/switch", {"enabled": "off"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/integrations")
    first, second = admin.get("/admin/integrations"), admin.get("/admin/integrations")
    assert "<b>Relay</b> is disabled." in words(first)
    assert "is disabled." not in words(second)
    assert "<b>Relay</b>" not in first.text


def test_after_a_form_of_htmx_the_page_is_told_where_to_go(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(f"/admin/integrations/{integration}/delete", {"confirm_name": "Email relay"}, htmx=True)
    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["HX-Redirect"] == "/admin/integrations"
    assert "Email relay is deleted." in words(admin.get("/admin/integrations"))


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%0a/evil.example\n",
    "javascript:alert(1)",
    "data:text/html,x",
    "http:evil.example",
    " https://evil.example",
    "evil.example",
    "@evil.example",
    "/" * 3000,
    "/\x00",
]


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_next_page_on_another_site_is_ignored(app: Flask, team: Team, where: str) -> None:
    admin = Browser(app, team.admin)
    with app.test_request_context():
        login, confirm = (url_for(name, next=where) for name in ("accounts.login", "accounts.confirm"))
    assert admin.get(login).headers["Location"] == "/admin/integrations"
    page = admin.get(confirm)
    assert page.status_code == 200
    answer = admin.post(confirm, {"answer": "mellow otter folds seven kites"})
    assert answer.headers["Location"] == "/admin/integrations"


@pytest.mark.parametrize("where", ["/admin/health-logs?kind=manual", "/profile", "/admin/integrations/new?q=a%20b#x"])
def test_a_next_page_of_ours_is_taken(app: Flask, team: Team, where: str) -> None:
    with app.test_request_context():
        login = url_for("accounts.login", next=where)
    assert Browser(app, team.admin).get(login).headers["Location"] == where


@pytest.mark.parametrize("came_from", ["https://evil.example/phish", "//evil.example", "javascript:alert(1)"])
@pytest.mark.parametrize("action", ["switch", "check"])
def test_a_button_leads_back_to_where_it_stood_but_never_to_another_site(
    app: Flask, team: Team, admin: Browser, action: str, came_from: str
) -> None:
    integration = make_integration(app, team.admin, enabled=False)
    path = f"/admin/integrations/{integration}/{action}"
    ours = admin.post(path, {"enabled": "off"}, Referer="http://localhost/admin/health-logs?kind=manual")
    assert ours.headers["Location"].removeprefix("http://localhost") == "/admin/health-logs?kind=manual"
    theirs = admin.post(path, {"enabled": "off"}, Referer=came_from)
    assert theirs.headers["Location"].startswith("/admin/integrations")
