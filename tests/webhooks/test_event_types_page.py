"""The page of the event types: the catalogue and its search, and own types added, changed and deleted in a drawer."""

import json
from typing import Any

import pytest
from flask import Flask

from portal.database import reading
from portal.webhooks import event_types
from portal.webhooks.event_catalogue import KNOWN
from portal.webhooks.event_types import Listed
from tests.support.integrations import trail
from tests.support.people import Browser, Team, make_team, words
from tests.webhooks.kit import make_webhook

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PAGE = "/admin/event-types"
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
TYPED = {
    "name": "invoice.paid",
    "group": "BILLING",
    "description": "An invoice was paid",
    "sample": '{"id": "inv_7", "größe": 1.5}',
    "schema": json.dumps(SCHEMA),
}


def own(app: Flask, team: Team) -> list[Listed]:
    with app.app_context(), reading():
        return [each for each in event_types.listed(organization_id=team.organization_id) if each.own]


def test_the_catalogue_stands_by_group_with_samples(admin: Browser) -> None:
    shown = words(admin.get(PAGE))
    for each in KNOWN:
        assert f"{each.name} {each.description} Sample" in shown
    assert shown.index("JOBS") < shown.index("job.created") < shown.index("CANDIDATES") < shown.index("WEBHOOKS ")
    assert f"{len(KNOWN)} event types, 0 of your own." in shown


def test_search_narrows_by_name_description_and_group(admin: Browser) -> None:
    answer = admin.get(PAGE, query_string={"q": "INTERVIEW.sch"}, target="catalogue")
    assert "1 event type, 0 of your own." in words(answer)
    assert "<h1" not in answer.text
    assert "candidate.created" in words(admin.get(f"{PAGE}?q=CANDIDATES"))
    assert "job.closed" in words(admin.get(f"{PAGE}?q=was closed"))
    assert "No event type matches None holds “<b>”." in words(admin.get(PAGE, query_string={"q": "<b>"}))


def test_one_is_added_changed_and_deleted_with_a_trace(app: Flask, team: Team, admin: Browser) -> None:
    assert admin.post(f"{PAGE}/new", TYPED).headers["Location"] == PAGE
    [made] = own(app, team)
    assert (made.name, made.group, made.description) == ("invoice.paid", "BILLING", "An invoice was paid")
    assert (made.sample, made.schema) == ({"id": "inv_7", "größe": 1.5}, SCHEMA)
    form = admin.get(f"{PAGE}/invoice.paid/edit")
    assert "größe" in form.text
    assert "readonly" in form.text
    answer = admin.post(f"{PAGE}/invoice.paid/edit", {**TYPED, "group": "", "schema": "", "sample": "[1]"}, htmx=True)
    events = json.loads(answer.headers["HX-Trigger"])
    assert answer.status_code == 204
    assert set(events) == {"drawer-close", "event-types-changed", "toast"}
    [changed] = own(app, team)
    assert (changed.group, changed.sample, changed.schema) == ("INVOICE", [1], None)
    admin.post(f"{PAGE}/invoice.paid/delete")
    assert own(app, team) == []
    assert "invoice.paid is deleted." in words(admin.get(PAGE))
    assert [each.action for each in trail(app) if each.action.startswith("event_type.")] == [
        "event_type.created", "event_type.changed", "event_type.deleted",
    ]  # fmt: skip


def test_an_own_type_of_a_known_group_stands_beside_the_others(admin: Browser) -> None:
    admin.post(f"{PAGE}/new", {**TYPED, "name": "job.paused", "group": "JOBS"})
    shown = words(admin.get(PAGE))
    assert shown.index("job.closed") < shown.index("job.paused") < shown.index("CANDIDATES")
    assert "Sample and schema of job.paused" in shown


@pytest.mark.parametrize(
    ("changes", "field_and_words"),
    [
        ({"name": "Invoice"}, ("name", "Use small letters")),
        ({"name": ""}, ("name", "Use small letters")),
        ({"name": "job.created"}, ("name", "There is already an event type job.created.")),
        ({"sample": "{'id': 1}"}, ("sample", "This is no JSON: line 1, column 2.")),
        ({"sample": '{"id": NaN}'}, ("sample", "This is no JSON that others can read.")),
        ({"sample": '{"id": 1e999}'}, ("sample", "This is no JSON that others can read.")),
        ({"sample": '"\\ud800"'}, ("sample", "This is no JSON that others can read.")),
        ({"sample": "[" * 100_000}, ("sample", "This is no JSON")),
        ({"sample": '{"id": 7}'}, ("sample", "does not follow the schema")),
        ({"schema": "[]"}, ("schema", "A JSON Schema is an object: write it in braces.")),
        ({"schema": '{"type": "thing"}'}, ("schema", "This is no JSON Schema")),
        ({"group": "x" * 61}, ("group", "Shorten the group to 60 characters.")),
    ],
)
def test_what_will_not_do_is_said_beside_its_field(
    app: Flask, team: Team, admin: Browser, changes: dict[str, str], field_and_words: tuple[str, str]
) -> None:
    field, said = field_and_words
    answer = admin.post(f"{PAGE}/new", {**TYPED, **changes})
    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in answer.text
    assert said in words(answer)
    assert own(app, team) == []


def test_what_was_typed_stays_in_a_refused_form(admin: Browser) -> None:
    answer = admin.post(f"{PAGE}/new", {**TYPED, "sample": "{<b>"}, htmx=True)
    assert answer.status_code == 422
    assert "{&lt;b&gt;" in answer.text
    assert 'value="BILLING"' in answer.text


def test_the_name_of_a_stored_type_stays_whatever_is_sent(app: Flask, team: Team, admin: Browser) -> None:
    admin.post(f"{PAGE}/new", TYPED)
    admin.post(f"{PAGE}/invoice.paid/edit", {**TYPED, "name": "invoice.other"})
    assert [each.name for each in own(app, team)] == ["invoice.paid"]


def test_a_type_that_a_webhook_names_is_kept(app: Flask, team: Team, admin: Browser) -> None:
    admin.post(f"{PAGE}/new", TYPED)
    make_webhook(app, team.organization_id, "https://payroll.example.org/", events=["invoice.paid"])
    admin.post(f"{PAGE}/invoice.paid/delete")
    assert [each.name for each in own(app, team)] == ["invoice.paid"]
    assert "The webhook Payroll still gets invoice.paid. Take it out there first." in words(admin.get(PAGE))


def test_what_the_portal_brings_and_what_others_have_cannot_be_touched(app: Flask, team: Team, admin: Browser) -> None:
    admin.post(f"{PAGE}/new", TYPED)
    stranger = Browser(app, make_team(app, "Southgate").admin)
    calls: list[tuple[str, Any]] = [("edit", TYPED), ("delete", {})]
    for path, data in calls:
        assert stranger.post(f"{PAGE}/invoice.paid/{path}", data).status_code == 404
        assert admin.post(f"{PAGE}/job.created/{path}", data).status_code in (303, 422)
        assert admin.post(f"{PAGE}/nothing.there/{path}", data).status_code == 404
    assert stranger.get(f"{PAGE}/invoice.paid/edit").status_code == 404
    assert admin.get(f"{PAGE}/job.created/edit").status_code == 303
    assert [each.name for each in own(app, team)] == ["invoice.paid"]
