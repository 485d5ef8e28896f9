"""The page of one integration, and the button that checks it now."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from portal.database import new_id, unit_of_work
from portal.integrations import calls, service
from portal.integrations.models import Integration
from tests.support.integrations import CANARY, Mail, failing, load, logs, make_integration, refused, unverified
from tests.support.people import Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def page_of(integration: uuid.UUID, action: str = "") -> str:
    return f"/admin/integrations/{integration}{action}"


def test_it_shows_the_configuration_with_the_secret_masked(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin, max_per_hour=1000)
    admin.post(page_of(integration, "/check"))
    for answer in (admin.get(page_of(integration)), admin.get(page_of(integration), target="detail")):
        text = words(answer)
        expected = ("mail.example.com", "587", "noreply@example.com", "••••" + CANARY[-4:], "Active", "passed in 84 ms",
                    "Sent this hour 0 of 1,000", "Secret last used", "health check by Marcus Oyelaran")  # fmt: skip
        for said in expected:
            assert said in text, said
        assert CANARY not in answer.text
        assert CANARY[:8] not in answer.text
    assert "<html" not in admin.get(page_of(integration), target="detail").text


@SQLITE
def test_it_shows_what_is_wrong_and_how_to_mend_it(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **failing())
    mail.report = refused()
    admin.post(page_of(integration, "/check"))
    answer = admin.get(page_of(integration))
    expected = ("Login failed", "Impact: emails not sending.", "The server refused the login.", "535 5.7.8",
                "3 failed checks in a row", "Troubleshoot", "Re-authenticate", "Recent errors")  # fmt: skip
    for said in expected:
        assert said in words(answer), said
    assert "No errors" not in words(answer)
    [alert] = re.findall(r'href="(/admin/alerts/[^"]+)"[^>]*>.*?Open alert', answer.text)
    seen = {"X-Portal-Poll": re.findall(r"X-Portal-Poll&#34;: &#34;(\w+)", answer.text)[0]}
    assert admin.get(page_of(integration), target="detail", headers=seen).status_code == 204
    admin.post(f"{alert}/acknowledge")
    answer = admin.get(page_of(integration), target="detail", headers=seen)
    assert "Acknowledged by Marcus Oyelaran just now" in words(answer)


@SQLITE
def test_a_new_one_says_that_nothing_was_checked_yet(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, **unverified())
    text = words(admin.get(page_of(integration)))
    for said in (
        "Unverified",
        "It is not used for sending until a check passes.",
        "Not checked yet",
        "No checks yet",
        "No errors",
    ):
        assert said in text, said


@SQLITE
def test_a_disabled_one_says_so_and_cannot_be_checked(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin, enabled=False, status="inactive")
    answer = admin.get(page_of(integration))
    assert "It is not checked and never used for sending." in words(answer)
    assert re.search(r"<button[^>]*disabled[^>]*>[^<]*(<svg.*?</svg>)?Run health check", answer.text)
    admin.post(page_of(integration, "/check"))
    assert "Email relay is disabled, so it is not checked." in words(admin.get(page_of(integration)))
    assert mail.probed == []


@SQLITE
def test_the_page_looks_more_often_while_it_is_checked(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    assert "every 5s" in admin.get(page_of(integration)).text
    busy = make_integration(app, team.admin, "Busy", check_token=new_id())
    assert "every 2s" in admin.get(page_of(busy)).text


@SQLITE
@pytest.mark.parametrize(
    "path", ["/admin/integrations/x", f"/admin/integrations/{uuid.UUID(int=5)}", "/admin/integrations/-"]
)
def test_what_is_not_there_is_said_in_words(team: Team, admin: Browser, path: str) -> None:
    for answer in (admin.get(path), admin.get(path, htmx=True)):
        assert answer.status_code == 404
        assert "What it showed may have been deleted, or the address is mistyped." in words(answer)


def test_without_script_a_check_leads_back_with_what_was_found(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/check"))
    assert (answer.status_code, answer.headers["Location"]) == (303, page_of(integration))
    assert "Email relay: check passed in 84 ms." in words(admin.get(page_of(integration)))
    assert load(app, integration).last_health_check == NOW
    mail.report = refused()
    back = "http://localhost/admin/integrations?status=active"
    answer = admin.post(page_of(integration, "/check"), Referer=back)
    assert answer.headers["Location"] == "/admin/integrations?status=active"
    assert "Email relay: login failed." in words(admin.get("/admin/integrations"))


def test_in_its_row_a_check_answers_with_the_row_and_the_figures(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/check"), target=f"row-{integration}")
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith(f'<tr id="row-{integration}"')
    assert "Passed, 84 ms" in words(answer)
    assert 'hx-swap-oob="true"' in answer.text
    toast = json.loads(answer.headers["HX-Trigger"])["toast"]
    assert (toast["title"], toast["tone"]) == ("Email relay: check passed in 84 ms.", "ok")
    mail.report = refused()
    for _ in range(2):
        answer = admin.post(page_of(integration, "/check"), target=f"row-{integration}")
    assert "Failed, 120 ms" in words(answer)
    assert "Critical alerts" in words(answer)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["tone"] == "err"


@SQLITE
def test_on_its_page_a_check_makes_the_page_fetch_itself(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/check"), htmx=True)
    assert answer.status_code == 204
    assert json.loads(answer.headers["HX-Trigger"]).keys() >= {"integrations-changed", "toast"}


@SQLITE
def test_a_check_of_what_changes_meanwhile_says_so(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)

    def disable() -> None:
        with app.app_context(), unit_of_work() as session:
            service.set_enabled(integration=session.get_one(Integration, integration), enabled=False)

    mail.meanwhile = lambda: ThreadPoolExecutor(1).submit(disable).result(timeout=30)
    admin.post(page_of(integration, "/check"))
    assert "Email relay was changed meanwhile. Check it again." in words(admin.get(page_of(integration)))
    assert logs(app) == []


@SQLITE
def test_when_many_wait_for_providers_a_check_is_put_off(
    app: Flask, team: Team, admin: Browser, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(calls, "_places", places)
    integration = make_integration(app, team.admin)
    with places:
        answer = admin.post(page_of(integration, "/check"), target=f"row-{integration}")
    assert answer.status_code == 200
    assert "Not checked: several tests are running." in json.loads(answer.headers["HX-Trigger"])["toast"]["title"]
    assert load(app, integration).check_token is None
    assert logs(app) == []


@SQLITE
def test_times_are_said_as_the_reader_sees_them(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(
        app, team.admin, last_health_check=NOW - timedelta(minutes=4), last_health_check_status="success",
        last_health_check_ms=1234, next_check_at=NOW + timedelta(minutes=1),
    )  # fmt: skip
    text = words(admin.get(page_of(integration)))
    assert re.search(r"Last check 4 min ago ?, passed in 1\.2 s", text)
    assert "Next in 1 min" in text
    assert "Times are in UTC. Change time zone" in text
    assert "Times are in" not in words(admin.get("/admin/integrations/new")), "no times stand there"
