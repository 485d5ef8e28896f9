"""The rows of the dashboard: whatever one of them shows is told to an open page, and is as it is stored."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.database import new_id, reading, unit_of_work
from portal.integrations import listing
from portal.integrations.listing import Filters, Listed
from portal.integrations.models import Condition, Integration, Status
from tests.support.integrations import add_integration, make_integration
from tests.support.people import Browser, Team

NOW = datetime(2025, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
PAGE = "/admin/integrations"
SHOWN: dict[str, Any] = {
    "provider": "sendgrid",
    "type": "sms",
    "name": "Other relay",
    "name_key": "other relay",
    "config": {"preset": "mailgun"},
    "enabled": False,
    "sandbox": True,
    "status": Status.ERROR,
    "condition": Condition.REAUTH,
    "last_health_check": NOW,
    "last_health_check_status": "failure",
    "last_sync": NOW,
    "last_sync_ok": False,
    "next_check_run_id": new_id(),
    "check_token": new_id(),
    "maintenance_from": NOW - timedelta(hours=1),
    "maintenance_until": NOW + timedelta(hours=1),
}


@pytest.fixture(autouse=True)
def time() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def test_a_row_is_what_is_stored(app: Flask, team: Team) -> None:
    with app.app_context(), unit_of_work():
        stored = [add_integration(team.admin, "Relay"), add_integration(team.admin, **SHOWN)]
        expected = {each.id: {name: getattr(each, name) for name in Listed._fields} for each in stored}
    for filters in (Filters(), Filters(text="RELAY")):
        with app.app_context(), reading():
            found = listing.search(organization_id=team.organization_id, filters=filters).items
        assert {each.id: each._asdict() for each in found} == expected
        assert {each.name: each.in_maintenance(NOW) for each in found} == {"Relay": False, "Other relay": True}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_an_open_page_is_told_of_whatever_a_row_shows(app: Flask, team: Team, admin: Browser) -> None:
    assert {"id", *SHOWN} == set(Listed._fields)
    integration = make_integration(app, team.admin, "Relay")
    seen = {_version(admin)}
    for number, (name, value) in enumerate(SHOWN.items()):
        with app.app_context(), unit_of_work() as session:
            setattr(session.get_one(Integration, integration), name, value)
        seen.add(_version(admin))
        assert len(seen) == number + 2, name


def _version(admin: Browser) -> str:
    found = re.search(r'id="board"[^>]*X-Portal-Poll&#34;: &#34;(\w+)&#34;', admin.get(PAGE).text)
    assert found
    return found[1]
