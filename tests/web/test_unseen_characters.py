"""Characters that nobody sees, and PostgreSQL does not store, are left out of what forms send, or refused in words."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.alerts.models import Alert
from portal.database import reading
from portal.webhooks.models import Webhook
from tests.alerts.telling_kit import open_alerts
from tests.support.people import Browser, Team, words
from tests.support.webhooks import make_webhook
from tests.webhooks.kit import deliveries

pytestmark = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
HOOKS = "/admin/webhooks"


def test_in_the_name_of_a_webhook(app: Flask, team: Team, admin: Browser) -> None:
    form = {"url": "https://hooks.example.org/in", "all_events": "on", "custom_headers__action": "keep"}
    assert admin.post(f"{HOOKS}/new", form | {"name": "Pay\x00\u202eroll\n"}).status_code == 200
    with app.app_context(), reading() as session:
        assert session.scalars(select(Webhook.name)).all() == ["Payroll"]
    assert "Give the webhook a name" in words(admin.post(f"{HOOKS}/new", form | {"name": "\x00"}))


def test_in_the_event_type_of_a_test(app: Flask, team: Team, admin: Browser) -> None:
    hook = make_webhook(app, team.admin)
    for name in ("job.created\x00", "x" * 200, "job.exploded"):
        answer = admin.post(f"{HOOKS}/{hook}/test", {"event_type": name, "data": "{}"})
        assert (answer.status_code, "There is no event type" in words(answer)) == (422, True)
    assert deliveries(app) == []


def test_in_the_event_type_of_a_replay(app: Flask, team: Team, admin: Browser) -> None:
    hook = make_webhook(app, team.admin)
    for what in ("failed", "missing"):
        form = {"what": what, "since": "2026-01-01T00:00", "type": "job\x00"}
        assert admin.post(f"{HOOKS}/{hook}/replay", form).status_code == 303


def test_in_a_note_and_in_what_a_list_was_narrowed_to(app: Flask, team: Team, admin: Browser) -> None:
    one, other = open_alerts(app, team, 2)
    assert admin.post(f"/admin/alerts/{one}/acknowledge", {"note": "On\x00 it\u202e"}).status_code == 303
    assert admin.post("/admin/alerts/acknowledge", {"q": "rel\x00ay", "note": "\x00"}).status_code == 303
    with app.app_context(), reading() as session:
        notes = {row.id: (row.state, row.acknowledge_note) for row in session.scalars(select(Alert))}
    assert notes == {one: ("acknowledged", "On it"), other: ("acknowledged", "")}
