"""The webhooks' pages: list, form, switch, deletion; what is wrong stands beside its field, secrets stay out."""

import html
import json
import re
import uuid
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.database import reading, unit_of_work
from portal.webhooks import forms, service, testing
from portal.webhooks.errors import WebhooksError
from portal.webhooks.models import DeliveryStatus, WebhookStatus
from tests.support.people import PASSWORD, Browser, Team, make_team, words
from tests.support.webhooks import make_delivery, make_webhook, stored_webhook

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
LIST, NEW = "/admin/webhooks", "/admin/webhooks/new"
TOKEN = "Bearer cAnArY-9177-not-to-be-seen"


def posted(**changes: Any) -> dict[str, Any]:
    """Return what the form posts; a keyword changes or adds a field, None leaves it out."""
    usual = {
        "name": "Payroll", "url": "https://pay.example.org/in", "events": ["job.created", "job.closed"], "active": "on",
        "custom_headers": "", "rate_limit": "", "retry": "organization", "strategy": "exponential", "max_retries": "3",
        "first_delay": "5", "max_delay": "60", "jitter": "y", "dead_letters": "y", "intent": "save",
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def wrong(answer: TestResponse) -> dict[str, str]:
    """Return what the form says, by the name of the field it says it about."""
    found = re.findall(r'id="f-([\w-]+?)-error">.*?</svg>(.*?)</p>', answer.text, re.DOTALL)
    return {name: html.unescape(said) for name, said in found}


def only(app: Flask, team: Team) -> Any:
    """Return the one webhook of the team."""
    with app.app_context(), reading():
        [found] = service.listed(organization_id=team.organization_id)
        return found


def test_the_first_page_says_what_a_webhook_is_for(admin: Browser) -> None:
    answer = admin.get(LIST)
    assert "No webhooks yet" in words(answer)
    assert f'href="{NEW}"' in answer.text
    assert 'aria-current="page">Webhooks' in answer.text


def test_the_list_shows_each_webhook_with_how_it_does(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin, "Payroll <1>", url="https://pay.example.org/in")
    make_delivery(app, team.admin, made, attempts=1, status=DeliveryStatus.SUCCESS, due_at=None, response_status=204)
    make_delivery(
        app,
        team.admin,
        made,
        attempts=4,
        status=DeliveryStatus.DEAD,
        due_at=None,
        response_status=500,
        error_class="http_500",
    )
    make_webhook(app, make_team(app, "Southgate").admin, "Of others")
    text = words(admin.get(LIST))
    assert re.search(r"Payroll <1> https://pay\.example\.org/in Active All 500 just now 50% of 2", text)
    assert "Of others" not in text
    assert f"/admin/webhooks/{made}" in admin.get(LIST).text


def test_the_list_is_searched_by_name_and_url(app: Flask, team: Team, admin: Browser) -> None:
    make_webhook(app, team.admin, "Payroll", url="https://one.example.org")
    make_webhook(app, team.admin, "Warehouse", url="https://two.example.org")
    assert "Warehouse" not in words(admin.get(f"{LIST}?q=ONE.example"))
    assert "Payroll" not in words(admin.get(f"{LIST}?q=ware"))
    assert "No webhook matches" in words(admin.get(f"{LIST}?q=nothing"))


def test_a_long_list_has_pages(app: Flask, team: Team, admin: Browser) -> None:
    for number in range(27):
        make_webhook(app, team.admin, f"Hook {number:02}")
    first, second = admin.get(LIST), admin.get(f"{LIST}?page=2")
    assert "1 to 25 of 27 webhooks" in words(first)
    assert "26 to 27 of 27 webhooks" in words(second)
    assert "Hook 26" in words(first)
    assert "Hook 00" in words(second)
    assert "26 to 27" in words(admin.get(f"{LIST}?page=99"))


def test_the_form_is_a_page_of_its_own_and_a_fragment(team: Team, admin: Browser) -> None:
    whole, part = admin.get(NEW), admin.get(NEW, target="drawer-host")
    for answer in (whole, part):
        text = words(answer)
        for group in ("Jobs 0 of 3", "Candidates 0 of 3", "Submissions 0 of 3", "Interviews 0 of 2"):
            assert group in text
        assert "0 of 22 events selected" in text
        assert 'value="integration.error"' in answer.text
    assert "<html" in whole.text
    assert "<html" not in part.text


def test_a_new_webhook_is_stored_and_its_secret_shown_once(app: Flask, team: Team, admin: Browser) -> None:
    answer = admin.post(NEW, posted(), target="drawer-host")
    assert answer.status_code == 200
    [secret] = re.findall(r'value="(whsec_[^"]+)"', answer.text)
    stored = only(app, team)
    assert (stored.name, stored.url) == ("Payroll", "https://pay.example.org/in")
    assert stored.events == ["job.closed", "job.created"]
    assert stored.status is WebhookStatus.ACTIVE
    assert stored.retry is None
    assert "webhooks-changed" in json.loads(answer.headers["HX-Trigger"])
    for path in (LIST, f"{LIST}/{stored.id}", f"{LIST}/{stored.id}/edit", f"{LIST}/{stored.id}/secret"):
        assert html.unescape(secret)[6:20] not in html.unescape(admin.get(path).text), path


def test_everything_of_the_form_is_stored(app: Flask, team: Team, admin: Browser) -> None:
    sent = posted(
        all_events="y", active=None, custom_headers=f"Authorization: {TOKEN}\n\nX-Env: prod", rate_limit="20",
        retry="own", strategy="linear", max_retries="7", first_delay="30", max_delay="600", jitter=None, ordered="y",
        filters='{"status": "open"}',
    )  # fmt: skip
    assert admin.post(NEW, sent).status_code == 200
    stored = only(app, team)
    assert stored.events == ["*"]
    assert stored.status is WebhookStatus.DISABLED
    assert (stored.rate_limit, stored.ordered, stored.filters) == (20, True, {"status": "open"})
    assert stored.retry == {
        "max_retries": 7, "retry_strategy": "linear", "fixed_delay_seconds": 30, "max_delay_seconds": 600,
        "enable_jitter": False, "enable_dlq": True,
    }  # fmt: skip
    with app.app_context(), reading():
        assert service.custom_headers(stored) == {"Authorization": TOKEN, "X-Env": "prod"}
    edit = admin.get(f"{LIST}/{stored.id}/edit")
    assert "Authorization, X-Env" in words(edit)
    assert TOKEN not in edit.text
    assert 'name="all_events" value="y" checked' in edit.text
    assert re.search(r'name="retry" value="own" checked', edit.text)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"url": "ftp://example.org"}, "url"),
        ({"url": "https://user:pass@example.org"}, "url"),
        ({"events": None}, "events"),
        ({"events": ["made.up"]}, "events"),
        ({"rate_limit": "0"}, "rate_limit"),
        ({"rate_limit": "²"}, "rate_limit"),
        ({"custom_headers": "no colon"}, "custom_headers"),
        ({"custom_headers": "Host: example.org"}, "custom_headers"),
        ({"custom_headers": "X-A: 1\nx-a: 2"}, "custom_headers"),
        ({"filters": "[1]"}, "filters"),
        ({"filters": "{"}, "filters"),
        ({"retry": "own", "max_retries": "11"}, "max_retries"),
        ({"retry": "own", "first_delay": "90", "max_delay": "60"}, "max_delay"),
        ({"retry": "own", "strategy": "sideways"}, "strategy"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_stored(
    app: Flask, team: Team, admin: Browser, changes: dict[str, Any], field: str
) -> None:
    answer = admin.post(NEW, posted(**changes), target="drawer-host")
    assert answer.status_code == 422
    assert list(wrong(answer)) == [field]
    if "url" not in changes:
        assert "https://pay.example.org/in" in answer.text, "what was typed is kept"
    with app.app_context(), reading():
        assert service.listed(organization_id=team.organization_id) == []


def test_headers_that_were_typed_are_not_sent_back(admin: Browser) -> None:
    answer = admin.post(NEW, posted(name="", custom_headers=f"Authorization: {TOKEN}"), target="drawer-host")
    assert answer.status_code == 422
    assert TOKEN not in answer.text


def test_numbers_of_an_own_policy_count_only_when_it_is_chosen(app: Flask, team: Team, admin: Browser) -> None:
    assert admin.post(NEW, posted(max_retries="nonsense")).status_code == 200
    assert only(app, team).retry is None


def test_editing_keeps_headers_and_secret_and_says_what_changed(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin, custom_headers={"Authorization": TOKEN})
    before = stored_webhook(app, made)
    sent = posted(name="Renamed", url=before.url, custom_headers__action="keep")
    answer = admin.post(f"{LIST}/{made}/edit", sent, target="drawer-host")
    assert answer.status_code == 204
    assert {"drawer-close", "webhooks-changed", "toast"} == set(json.loads(answer.headers["HX-Trigger"]))
    after = stored_webhook(app, made)
    assert (after.name, after.headers_sealed, after.secret_sealed) == (
        "Renamed", before.headers_sealed, before.secret_sealed,
    )  # fmt: skip
    assert admin.post(f"{LIST}/{made}/edit", sent | {"custom_headers__action": "remove"}).status_code == 303
    assert stored_webhook(app, made).headers_sealed is None


def test_what_was_changed_meanwhile_is_not_saved_over_unseen_and_nothing_typed_is_lost(
    app: Flask, team: Team, admin: Browser
) -> None:
    made = make_webhook(app, team.admin)
    path = f"{LIST}/{made}/edit"
    opened = re.search(r'name="version" value="(\w+)"', admin.get(path).text)
    assert opened
    assert Browser(app, team.owner).post(path, posted(name="Theirs")).status_code == 303
    mine = posted(name="Mine", filters='{"status": "open"}')
    answer = admin.post(path, mine | {"version": opened[1]}, target="drawer-host")
    assert answer.status_code == 422
    assert "Not saved: changed meanwhile" in words(answer)
    assert 'value="Mine"' in answer.text
    assert '{"status": "open"}' in html.unescape(answer.text)
    assert stored_webhook(app, made).name == "Theirs"
    again = re.search(r'name="version" value="(\w+)"', answer.text)
    assert again
    assert admin.post(path, mine | {"version": again[1]}).status_code == 303
    assert stored_webhook(app, made).name == "Mine"


@pytest.mark.parametrize(
    "changes",
    [
        {"custom_headers__action": "keep", "url": "https://elsewhere.example.org"},
        {"custom_headers__action": "replace", "custom_headers": "Authorization: other"},
    ],
)
def test_stored_headers_are_replaced_and_sent_elsewhere_only_by_somebody_who_just_confirmed(
    app: Flask, team: Team, admin: Browser, changes: dict[str, str]
) -> None:
    made = make_webhook(app, team.admin, custom_headers={"Authorization": TOKEN})
    admin.forget_confirmation()
    sent = posted(**({"url": stored_webhook(app, made).url} | changes))
    path = f"{LIST}/{made}/edit"
    assert 'name="confirm_access"' in admin.get(path).text
    assert list(wrong(admin.post(path, sent))) == ["confirm_access"]
    assert list(wrong(admin.post(path, sent | {"confirm_access": "wrong"}))) == ["confirm_access"]
    assert stored_webhook(app, made).name == "Payroll"
    assert admin.post(path, sent | {"confirm_access": PASSWORD, "name": "Moved"}).status_code == 303
    assert stored_webhook(app, made).name == "Moved"


def test_saving_with_a_test_sends_one_and_says_what_came_of_it(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    made = make_webhook(app, team.admin, "First")
    delivery = make_delivery(
        app, team.admin, made, attempts=1, status="failed", due_at=None, error_class="timeout", duration_ms=15000
    )

    def send(**values: Any) -> uuid.UUID:
        asked.append(values)
        return delivery

    monkeypatch.setattr(testing, "send_test", send)
    answer = admin.post(NEW, posted(intent="save_and_test"), target="drawer-host")
    assert "Test: Timed out" in words(answer)
    assert "whsec_" in answer.text
    [sent] = asked
    assert (sent["event_type"], sent["data"]["id"]) == ("job.closed", "job_2041")
    edited = admin.post(f"{LIST}/{made}/edit", posted(intent="save_and_test"), target="drawer-host")
    assert edited.headers["HX-Redirect"] == f"{LIST}/{made}?delivery={delivery}"


def test_a_test_that_cannot_be_sent_does_not_undo_the_save(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_values: Any) -> uuid.UUID:
        raise WebhooksError("The portal is full.")

    monkeypatch.setattr(testing, "send_test", fail)
    answer = admin.post(NEW, posted(intent="save_and_test"))
    assert "The test was not sent" in words(answer)
    assert "The portal is full." in words(answer)
    assert only(app, team).name == "Payroll"


def test_the_switch_works_at_once_and_can_be_undone(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    answer = admin.post(f"{LIST}/{made}/switch", htmx=True)
    assert stored_webhook(app, made).status is WebhookStatus.DISABLED
    told = json.loads(answer.headers["HX-Trigger"])
    assert "webhooks-changed" in told
    assert told["toast"]["undo"]["fields"] == {"enabled": "on"}
    assert "Disabled" in words(admin.get(LIST))
    assert admin.post(f"{LIST}/{made}/switch", {"enabled": "on"}).status_code == 303
    assert stored_webhook(app, made).status is WebhookStatus.ACTIVE


def test_a_webhook_is_deleted_once_its_name_was_typed(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    admin.post(f"{LIST}/{made}/delete", {"confirm_name": "Something else"})
    assert stored_webhook(app, made).deleted_at is None
    assert admin.post(f"{LIST}/{made}/delete", {"confirm_name": "Payroll"}).headers["Location"] == LIST
    assert stored_webhook(app, made).deleted_at is not None
    assert "Payroll" not in words(admin.get(LIST)).replace("Payroll is deleted.", "")
    assert admin.get(f"{LIST}/{made}").status_code == 404


def test_webhooks_of_another_organization_are_not_there(app: Flask, team: Team) -> None:
    made = make_webhook(app, team.admin, "Very private")
    delivery = make_delivery(app, team.admin, made)
    spy = Browser(app, make_team(app, "Southgate").owner)
    for path in ("", "/edit", "/secret", "/deliveries", "/replay", "/replay/progress"):
        assert spy.get(f"{LIST}/{made}{path}").status_code == 404, path
    for path in ("/edit", "/secret", "/switch", "/delete", "/test", "/verify", "/replay"):
        sent = posted(confirm_name="Very private", event_type="job.created", data="{}")
        assert spy.post(f"{LIST}/{made}{path}", sent).status_code == 404, path
    assert spy.get(f"/admin/deliveries/{delivery}").status_code == 404
    assert spy.post(f"/admin/deliveries/{delivery}/replay").status_code == 404
    stored = stored_webhook(app, made)
    assert (stored.name, stored.status, stored.deleted_at) == ("Very private", WebhookStatus.ACTIVE, None)


def test_a_stored_webhook_comes_out_of_its_own_form_unchanged(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin, events=["job.created"], rate_limit=5, ordered=True)
    before = stored_webhook(app, made)
    text = admin.get(f"{LIST}/{made}/edit").text
    ticked = re.findall(r'name="events" value="([^"]+)" checked', text)
    assert ticked == ["job.created"]
    with app.app_context(), unit_of_work():
        values = forms.stored(service.get(organization_id=team.organization_id, webhook_id=made)).values
    sent = {name: "y" if value is True else str(value) for name, value in values.items() if value is not False}
    assert (
        admin.post(f"{LIST}/{made}/edit", {**sent, "events": ticked, "custom_headers__action": "keep"}).status_code
        == 303
    )
    after = stored_webhook(app, made)
    same = ("name", "url", "events", "status", "ordered", "rate_limit", "retry", "filters")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
