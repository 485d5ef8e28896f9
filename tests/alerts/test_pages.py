"""The pages of the alerts: what they show, what can be done, who may, and what is written down of it."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.alerts import changes, queries, service
from portal.alerts.models import Alert, AlertState
from portal.alerts.queries import AlertFilters
from portal.database import reading, unit_of_work
from portal.overview import counts
from tests.alerts.kit import alerts, change, change_webhook, kinds, look, only, unreached, works
from tests.support.integrations import due, failing, make_integration, trail
from tests.support.people import Browser, Team, make_team, words
from tests.support.webhooks import make_delivery, make_webhook
from tests.test_queries import plan, read

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
PAGE = "/admin/alerts"


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def down(app: Flask, team: Team) -> Alert:
    make_integration(app, team.admin, **failing(failing_since=NOW - timedelta(hours=3)))
    look(app)
    return only(app)


def titles(browser: Browser, address: str = PAGE) -> list[str]:
    return re.findall(r'<a href="/admin/alerts/[0-9a-f-]{36}">([^<]*)</a>', browser.get(address).text)


def test_an_alert_shows_everything_that_one_needs_to_act(app: Flask, admin: Browser, down: Alert) -> None:
    answer = admin.get(PAGE)
    text = words(answer)
    for said in (
        "Email relay (SMTP): re-authenticate, login failed", "Impact: emails not sending.",
        "The server refused the login. Check the password.", "Since 3 hours ago", "535", "Acknowledge", "Mute",
        "For 8 hours", "Until it recovers", "View logs", "Reconnect", "Troubleshoot", "Open 1",
    ):  # fmt: skip
        assert said in text, said
    base = f"/admin/integrations/{down.integration_id}"
    for address in (f"{base}/logs", f"{base}/check", f"{base}/troubleshoot", f"{PAGE}/{down.id}/acknowledge"):
        assert f'"{address}"' in answer.text


def test_nothing_open_says_so(admin: Browser) -> None:
    assert "No open alerts" in words(admin.get(PAGE))
    assert "No resolved alerts" in words(admin.get(f"{PAGE}?state=resolved"))
    assert "No acknowledged alerts" in words(admin.get(f"{PAGE}?state=acknowledged"))
    assert "No alerts match" in words(admin.get(f"{PAGE}?q=nothing"))


def test_an_alert_is_acknowledged_with_a_note_and_taken_back(app: Flask, admin: Browser, down: Alert) -> None:
    admin.post(f"{PAGE}/{down.id}/acknowledge", {"note": "Called support"})
    found = only(app)
    assert (found.state, found.acknowledged_by, found.acknowledged_at) == ("acknowledged", "Marcus Oyelaran", NOW)
    assert titles(admin) == []
    text = words(admin.get(f"{PAGE}?state=acknowledged"))
    assert "Acknowledged by Marcus Oyelaran just now : Called support" in text
    admin.post(f"{PAGE}/{down.id}/withdraw")
    admin.post(f"{PAGE}/{down.id}/withdraw")
    assert (only(app).state, only(app).acknowledge_note) == ("open", "")
    assert kinds(app) == ["opened", "acknowledged", "withdrawn"]
    (entry,) = trail(app, "alert.acknowledged")
    assert (entry.actor_name, entry.target_name, entry.after) == (
        "Marcus Oyelaran", down.title, {"note": "Called support"},
    )  # fmt: skip
    assert len(trail(app, "alert.acknowledgement_withdrawn")) == 1


def test_an_alert_is_muted_for_a_while(
    app: Flask, team: Team, admin: Browser, down: Alert, time: time_machine.Traveller
) -> None:
    admin.post(f"{PAGE}/{down.id}/mute", {"for": "1h"})
    assert only(app).muted_until == NOW + timedelta(hours=1)
    assert "Muted until 13:00:00" in words(admin.get(PAGE))
    time.shift(timedelta(minutes=61))
    admin = Browser(app, team.admin)  # the session before was idle for too long
    assert "Muted until" not in words(admin.get(PAGE))
    admin.post(f"{PAGE}/{down.id}/mute", {"for": "recovered"})
    assert "Muted until it recovers" in words(admin.get(f"{PAGE}/{down.id}"))
    admin.post(f"{PAGE}/{down.id}/unmute")
    assert only(app).muted_until is None
    assert kinds(app) == ["opened", "muted", "muted", "unmuted"]
    assert [entry.after for entry in trail(app, "alert.muted")] == [
        {"muted": "for 1 hour"}, {"muted": "until it recovers"},
    ]  # fmt: skip
    assert admin.post(f"{PAGE}/{down.id}/mute", {"for": "ever"}).status_code == 422


def test_what_is_resolved_is_left_alone(app: Flask, admin: Browser, down: Alert) -> None:
    assert down.integration_id
    change(app, down.integration_id, **works())
    look(app)
    for act in ("acknowledge", "withdraw", "mute", "unmute"):
        answer = admin.post(f"{PAGE}/{down.id}/{act}", {"for": "1h"}, target="body")
        assert "resolved already" in answer.headers["HX-Trigger"]
    assert kinds(app) == ["opened", "resolved"]
    text = words(admin.get(f"{PAGE}?state=resolved"))
    assert "Email relay (SMTP)" in text
    assert "It works again." in text


def test_all_that_are_shown_are_acknowledged_and_none_that_came_since(
    app: Flask, team: Team, admin: Browser, time: time_machine.Traveller
) -> None:
    for name in ("Relay 1", "Relay 2", "Other"):
        make_integration(app, team.admin, name, **failing())
    look(app)
    shown = admin.get(f"{PAGE}?q=relay")
    assert "Acknowledge all 2" in words(shown)
    as_of = re.search(r'name="as_of" value="([^"]*)"', shown.text)
    assert as_of
    time.shift(timedelta(minutes=1))
    make_integration(app, team.admin, "Relay 3", **failing())
    look(app)
    admin.post(f"{PAGE}/acknowledge", {"q": "relay", "as_of": as_of[1], "note": "Outage"})
    states = {each.title.partition(" (")[0]: each.state for each in alerts(app)}
    assert states == {"Relay 1": "acknowledged", "Relay 2": "acknowledged", "Other": "open", "Relay 3": "open"}
    assert len(trail(app, "alert.acknowledged")) == 2


def test_pages_go_by_key_what_is_urgent_first(app: Flask, team: Team, admin: Browser) -> None:
    for number in range(30):
        since = NOW - timedelta(minutes=number % 7)
        make_integration(app, team.admin, f"Relay {number:02}", **failing(failing_since=since))
    hook = make_webhook(app, team.admin)
    change_webhook(app, hook, failing_since=NOW - timedelta(days=3), warned_percent=50)
    look(app)
    found: list[str] = []
    address = PAGE
    while address:
        answer = admin.get(address)
        found += re.findall(r'<a href="/admin/alerts/[0-9a-f-]{36}">([^<]*)</a>', answer.text)
        following = re.search(r'id="page-next" href="([^"]*)"', answer.text)
        address = following[1].replace("&amp;", "&") if following else ""
    assert (len(found), len(set(found))) == (31, 31)
    assert found[-1] == "Payroll: no delivery succeeds", "a warning comes last, however old"
    assert found[0].startswith("Relay 06")
    assert admin.get(f"{PAGE}?cursor=x").status_code == 404


def test_the_page_of_an_alert_tells_its_story(
    app: Flask, team: Team, admin: Browser, down: Alert, time: time_machine.Traveller
) -> None:
    time.shift(timedelta(minutes=5))
    admin.post(f"{PAGE}/{down.id}/acknowledge", {"note": "On it"})
    assert down.integration_id
    time.shift(timedelta(minutes=5))
    change(app, down.integration_id, **works())
    look(app)
    answer = admin.get(f"{PAGE}/{down.id}")
    assert f'<a href="/admin/integrations/{down.integration_id}">' in answer.text
    text = words(answer)
    for said in (
        "12:00:00 Opened Portal", "12:05:00 Acknowledged Marcus Oyelaran On it",
        "12:10:00 Resolved Portal It works again.", "Integration down, critical",
    ):  # fmt: skip
        assert said in text, said


def test_a_webhook_says_how_many_wait(app: Flask, team: Team, admin: Browser) -> None:
    hook = make_webhook(app, team.admin)
    for _ in range(3):
        make_delivery(app, team.admin, hook)
    change_webhook(app, hook, failing_since=NOW - timedelta(days=3), warned_percent=50, last_failure_at=NOW)
    look(app)
    answer = admin.get(PAGE)
    assert "Impact: Payroll does not get events; 3 wait." in words(answer)
    assert f'"/admin/webhooks/{hook}"' in answer.text


def test_the_page_sees_that_no_scheduler_runs(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin, **(due() | {"next_check_at": NOW - timedelta(minutes=9)}))
    assert "Health checks are late Impact: outages are noticed late." in words(admin.get(PAGE))
    assert "Nothing is checked: no scheduler runs" in words(admin.get("/admin/integrations"))
    look(app)
    assert titles(admin) == ["Health checks are late"]
    assert "No alert was raised so far" not in words(admin.get(PAGE))


def test_a_common_outage_names_what_it_hurts(app: Flask, team: Team, admin: Browser) -> None:
    for number in range(4):
        make_integration(app, team.admin, f"Relay {number}", **unreached())
    look(app)
    found = only(app)
    text = words(admin.get(f"{PAGE}/{found.id}"))
    assert "Integrations that cannot be reached Relay 0 Relay 1 Relay 2 Relay 3" in text


def test_alerts_of_others_do_not_exist(app: Flask, team: Team, down: Alert) -> None:
    stranger = Browser(app, make_team(app, "Southline").admin)
    assert titles(stranger) == []
    for act in ("", "/acknowledge", "/withdraw", "/mute", "/unmute"):
        address = f"{PAGE}/{down.id}{act}"
        answer = stranger.post(address, {"for": "1h"}) if act else stranger.get(address)
        assert answer.status_code == 404, act
    assert stranger.get(f"{PAGE}/{uuid.uuid4()}").status_code == 404
    stranger.post(f"{PAGE}/acknowledge", {"q": ""})
    assert only(app).state == "open"


def test_the_navigation_counts_what_is_open_and_critical(app: Flask, team: Team, admin: Browser, down: Alert) -> None:
    def counted() -> Any:
        return re.search(r'href="/admin/alerts"[^>]*>Alerts <span class="count"[^>]*>(\d+)', admin.get("/profile").text)

    assert counted()[1] == "1"
    with app.app_context(), unit_of_work() as session:
        session.get_one(Alert, down.id).state = "acknowledged"
    assert counted() is None


def test_lists_come_out_of_their_index_in_their_order(app: Flask, team: Team) -> None:
    place = team.organization_id
    for state, index in ((AlertState.OPEN, "ix_alerts_unresolved"), (AlertState.RESOLVED, "ix_alerts_resolved")):
        filters = AlertFilters(state=state)
        found = plan(app, read(lambda filters=filters: queries.listed(organization_id=place, filters=filters)))  # type: ignore[misc]
        assert index in found
        assert "TEMP B-TREE" not in found
    found = plan(app, read(lambda: counts.of(place)))
    for index in (
        "ix_alerts_unresolved (organization_id=? AND state=? AND severity=?)", "COVERING INDEX ix_dead_letters",
        "COVERING INDEX ix_integrations_sandboxed", "COVERING INDEX ix_integrations_states",
    ):  # fmt: skip
        assert index in found


def test_the_count_in_the_navigation_comes_along_with_what_is_fetched_anew(
    app: Flask, admin: Browser, down: Alert
) -> None:
    for address, target in ((PAGE, "alert-list"), ("/admin/integrations", "board")):
        part = admin.get(address, target=target).text
        assert re.search(r'<a id="nav-alerts" hx-swap-oob="true"[^>]*>Alerts <span class="count"[^>]*>1<', part), (
            address
        )
        whole = admin.get(address).text
        assert (whole.count('id="nav-alerts"'), 'nav-alerts" hx-swap-oob' in whole) == (1, False)


def test_of_an_alert_that_comes_and_goes_all_the_time_the_last_changes_are_shown(
    app: Flask, team: Team, admin: Browser, down: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 3)
    mine: dict[str, Any] = {"organization_id": team.organization_id, "alert_id": down.id, "by": "Dana"}
    with app.app_context(), unit_of_work():
        service.acknowledge(**mine)
    assert "is left out" not in words(admin.get(f"{PAGE}/{down.id}"))
    for number in (1, 2):
        with app.app_context(), unit_of_work():
            service.acknowledge(**mine, note=f"Note {number}.")
    said = words(admin.get(f"{PAGE}/{down.id}"))
    with app.app_context(), reading():
        assert [each.note for each in changes.last_of(down)] == ["", "Note 1.", "Note 2."]
    assert "These are the last 3 changes; what was before is left out." in said
