"""Switch, interval, deletion, and what the audit trail keeps of every change."""

import json
from typing import Any

import pytest
from flask import Flask

from portal import clock
from portal.audit import trail as audit_trail
from portal.database import new_id, reading
from portal.integrations.models import CheckKind, Condition, Status
from tests.support.integrations import (
    CANARY,
    Mail,
    due,
    failing,
    load,
    logs,
    make_integration,
    posted,
    trail,
    unverified,
)
from tests.support.people import Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def page_of(integration: object, action: str = "") -> str:
    return f"/admin/integrations/{integration}{action}"


def test_off_stops_checks_and_sending_at_once(app: Flask, team: Team, admin: Browser) -> None:
    running: dict[str, Any] = {"check_token": new_id(), "next_check_run_id": new_id()}
    integration = make_integration(app, team.admin, **due(), **running)
    answer = admin.post(page_of(integration, "/switch"), htmx=True)
    assert answer.status_code == 204
    fired = json.loads(answer.headers["HX-Trigger"])
    assert "integrations-changed" in fired
    assert fired["toast"]["title"] == "Email relay is disabled."
    stored = load(app, integration)
    assert (stored.enabled, stored.status) == (False, Status.INACTIVE)
    assert (stored.next_check_at, stored.check_token, stored.next_check_run_id) == (None, None, None)
    assert "Disabled" in words(admin.get(page_of(integration)))


def test_on_asks_for_a_check_at_once(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, enabled=False, status=Status.INACTIVE)
    answer = admin.post(page_of(integration, "/switch"), {"enabled": "on"}, htmx=True)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["title"] == "Email relay is enabled."
    stored = load(app, integration)
    assert (stored.enabled, stored.status, stored.next_check_kind) == (True, Status.ACTIVE, CheckKind.AUTO)
    assert stored.next_check_at is not None
    assert stored.next_check_at <= clock.now()


@SQLITE
def test_on_does_not_make_an_unverified_one_usable(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, enabled=False, **unverified())
    admin.post(page_of(integration, "/switch"), {"enabled": "on"})
    stored = load(app, integration)
    assert (stored.status, stored.condition) == (Status.INACTIVE, Condition.UNVERIFIED)
    assert stored.next_check_at is not None


@SQLITE
def test_an_outage_does_not_end_by_switching_off_and_on(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, **failing())
    for enabled in ("off", "on"):
        admin.post(page_of(integration, "/switch"), {"enabled": enabled})
    assert load(app, integration).status == Status.ERROR


@SQLITE
@pytest.mark.parametrize("value", ["off", "", "ON", "true", "<b>", "x" * 10_000])
def test_anything_but_on_is_off(app: Flask, team: Team, admin: Browser, value: str) -> None:
    integration = make_integration(app, team.admin)
    admin.post(page_of(integration, "/switch"), {"enabled": value})
    assert load(app, integration).enabled is False


@SQLITE
def test_pressing_twice_changes_once(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    for _ in range(2):
        assert admin.post(page_of(integration, "/switch")).status_code == 303
    assert len(trail(app, "integration.disabled")) == 1


@SQLITE
def test_the_switch_can_be_taken_back(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/switch"), htmx=True)
    undo = json.loads(answer.headers["HX-Trigger"])["toast"]["undo"]
    assert admin.post(undo["url"], undo["fields"], htmx=True).status_code == 204
    assert load(app, integration).enabled is True


@pytest.mark.parametrize("minutes", ["1", "60", " 17 ", "007"])
def test_the_interval_is_stored_and_counts_from_now(app: Flask, team: Team, admin: Browser, minutes: str) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/interval"), {"interval": minutes})
    assert answer.status_code == 303
    stored = load(app, integration)
    assert stored.health_check_interval_minutes == int(minutes)
    assert stored.next_check_at is not None
    [entry] = trail(app, "integration.interval_changed")
    assert (entry.before, entry.after) == ({"minutes": 5}, {"minutes": int(minutes)})


BAD_MINUTES = ["", "0", "61", "-1", "1.5", "five", "9" * 5000, "٥", "5; DROP TABLE", "<script>alert(1)</script>"]


@SQLITE
@pytest.mark.parametrize("minutes", BAD_MINUTES)
def test_another_interval_is_refused_in_words(app: Flask, team: Team, admin: Browser, minutes: str) -> None:
    integration = make_integration(app, team.admin)
    page = admin.post(page_of(integration, "/interval"), {"interval": minutes})
    fragment = admin.post(page_of(integration, "/interval"), {"interval": minutes}, target="interval-form")
    for answer in (page, fragment):
        assert answer.status_code == 422
        assert "Use a whole number of minutes from 1 to 60." in words(answer)
        assert "<script>alert" not in answer.text
    assert "<html" in page.text
    assert "<html" not in fragment.text
    assert load(app, integration).health_check_interval_minutes == 5


@SQLITE
def test_a_new_interval_leaves_a_check_under_way_alone(app: Flask, team: Team, admin: Browser) -> None:
    token, lease = new_id(), clock.now()
    integration = make_integration(app, team.admin, check_token=token, next_check_at=lease)
    admin.post(page_of(integration, "/interval"), {"interval": "9"})
    stored = load(app, integration)
    assert (stored.check_token, stored.next_check_at) == (token, lease)


@SQLITE
def test_a_disabled_one_gets_its_interval_and_no_check(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, enabled=False)
    admin.post(page_of(integration, "/interval"), {"interval": "9"})
    stored = load(app, integration)
    assert (stored.health_check_interval_minutes, stored.next_check_at) == (9, None)


def test_delete_takes_it_from_every_list_and_keeps_its_history(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin, "Doomed relay", **failing(), **due(), sandbox=True)
    admin.post(page_of(integration, "/check"))
    answer = admin.post(page_of(integration, "/delete"), {"confirm_name": " Doomed relay "})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/integrations")
    assert "Doomed relay is deleted." in words(admin.get("/admin/integrations"))
    for path in ("/admin/integrations", "/admin/integrations?q=doomed", "/admin/integrations/new"):
        assert "Doomed relay" not in words(admin.get(path)), path
        assert "1 connected" not in words(admin.get(path)), path
    stored = load(app, integration)
    assert (stored.enabled, stored.status, stored.next_check_at) == (False, Status.INACTIVE, None)
    assert len(logs(app)) == 1
    assert "Doomed relay (deleted)" in words(admin.get("/admin/health-logs"))


def test_a_deleted_one_is_not_there_any_more(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    admin.post(page_of(integration, "/delete"), {"confirm_name": "Email relay"})
    for action in ("", "/edit", "/logs"):
        assert admin.get(page_of(integration, action)).status_code == 404, action
    for action in ("/edit", "/test", "/switch", "/interval", "/delete", "/check"):
        data = posted(enabled="on", interval="7", confirm_name="Email relay")
        assert admin.post(page_of(integration, action), data).status_code == 404, action
    assert load(app, integration).enabled is False
    assert len(trail(app, "integration.deleted")) == 1
    assert mail.tested == []


@SQLITE
@pytest.mark.parametrize(
    "typed", ["", "email relay", "Email", "Email relay 2", "<script>alert(1)</script>", "x" * 9999]
)
def test_without_its_name_nothing_is_deleted(app: Flask, team: Team, admin: Browser, typed: str) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(page_of(integration, "/delete"), {"confirm_name": typed})
    assert answer.status_code == 303
    page = admin.get(answer.headers["Location"])
    assert "Not deleted: the name did not match." in words(page)
    assert "<script>alert" not in page.text
    assert load(app, integration).deleted_at is None


def test_every_change_is_in_the_audit_trail_without_a_secret(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    location = admin.post("/admin/integrations/new/smtp", posted(max_per_hour="5")).headers["Location"]
    integration = location.rpartition("/")[2]
    kept: dict[str, Any] = {"password": "", "password__action": "keep"}
    admin.post(page_of(integration, "/edit"), posted(from_name="Careers", max_per_hour="5", **kept))
    admin.post(page_of(integration, "/edit"), posted(from_name="Careers", max_per_hour="5", **kept))
    replaced = posted(from_name="Careers", max_per_hour="5", password="new one 1234567", password__action="replace")
    admin.post(page_of(integration, "/edit"), replaced)
    admin.post(page_of(integration, "/interval"), {"interval": "7"})
    admin.post(page_of(integration, "/switch"), {"enabled": "off"})
    admin.post(page_of(integration, "/switch"), {"enabled": "on"})
    admin.post(page_of(integration, "/delete"), {"confirm_name": "Email relay"})
    entries = [each for each in trail(app) if each.action.startswith("integration.")]
    assert [each.action.partition(".")[2] for each in entries] == [
        "created", "changed", "changed", "interval_changed", "disabled", "enabled", "deleted",
    ]  # fmt: skip
    for each in entries:
        assert (each.actor_id, each.actor_name, each.ip) == (team.admin.user_id, "Marcus Oyelaran", "127.0.0.1")
        assert (each.target_type, each.target_id, each.target_name) == ("integration", integration, "Email relay")
        assert CANARY not in str((each.before, each.after))
        assert "new one 1234567" not in str((each.before, each.after))
        assert len(each.request_id) == 36
    created, changed, replacement, *_ = entries
    assert created.before is None
    assert created.after is not None
    assert created.after.items() >= {"host": "mail.example.com", "port": 587, "max_per_hour": 5}.items()
    assert (changed.before, changed.after) == ({"from_name": None}, {"from_name": "Careers"})
    assert replacement.after == {"secrets_replaced": ["password"]}
    with app.app_context(), reading():
        assert audit_trail.verify(team.organization_id).ok
    assert "Marcus Oyelaran" in words(admin.get("/admin/audit"))


def test_a_refused_change_leaves_no_entry(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    make_integration(app, team.admin, "Taken")
    admin.post("/admin/integrations/new/smtp", posted(name="Taken"))
    admin.post("/admin/integrations/new/smtp", posted(host=""))
    assert [each for each in trail(app) if each.action.startswith("integration.")] == []
