"""The audit trail and the uses of credentials by the API."""

import pytest
import time_machine
from flask import Flask

from portal.audit import access, trail
from portal.database import unit_of_work
from portal.paging import encode_cursor
from tests.api.conftest import Caller, wanted
from tests.api.test_health import NOON
from tests.support.integrations import make_integration
from tests.support.people import Team, make_team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def test_entries_say_who_changed_what(app: Flask, team: Team, api: Caller) -> None:
    made = api("POST", "/integrations", wanted()).json
    found = api("GET", "/audit?group=integration").json
    (entry,) = found["items"]
    assert (entry["action"], entry["target"]) == (
        "integration.created", {"type": "integration", "id": made["id"], "name": "Email"},
    )  # fmt: skip
    assert entry["actor"]["kind"] == "token"
    assert (entry["before"], entry["after"]["host"]) == (None, "mail.example.com")
    assert found["next_cursor"] is None


def test_entries_come_in_pages_and_are_ones_own(app: Flask, team: Team, api: Caller) -> None:
    with app.app_context(), unit_of_work():
        for number in range(5):
            name = f"thing {number}"
            trail.record(
                action="thing.made", organization_id=team.organization_id, target_type="thing", target_name=name
            )
    make_team(app, "Southgate")
    first = api("GET", "/audit?limit=3&group=thing").json
    second = api("GET", f"/audit?limit=3&group=thing&cursor={first['next_cursor']}").json
    names = [each["target"]["name"] for each in first["items"] + second["items"]]
    assert names == [f"thing {number}" for number in reversed(range(5))]
    assert second["next_cursor"] is None
    assert api("GET", "/audit?target=Southgate").json["items"] == []


def test_filters_take_any_text(api: Caller) -> None:
    for filters in ("actor=%00", "target=%ff%fe", "actor=%25", "group=_"):
        assert api("GET", f"/audit?{filters}").status_code == 200, filters


def test_a_cursor_of_another_list_is_refused(api: Caller) -> None:
    for key in (["0"], ["1", "2"], ["-1"], ["9" * 22], ["2026-11-21T08:30:00+00:00", "x"]):
        cursor = encode_cursor(*key)
        assert set(api.refused("GET", f"/audit?cursor={cursor}")) == {"cursor"}, key
        assert set(api.refused("GET", f"/credential-access?cursor={cursor}")) == {"cursor"}, key


def test_uses_of_credentials_come_in_pages_that_a_counting_row_does_not_upset(
    app: Flask, team: Team, api: Caller
) -> None:
    relay = make_integration(app, team.admin)

    def use(purpose: str) -> None:
        with app.app_context(), unit_of_work():
            access.record_use(
                organization_id=team.organization_id,
                integration_id=relay,
                integration_name="Email relay",
                purpose=purpose,
            )

    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(4):
            use(f"use {number}")
            clock.shift(1)
        first = api("GET", "/credential-access?limit=2").json
        use("use 2")  # the last row of the page before moves to the top
        second = api("GET", f"/credential-access?limit=2&cursor={first['next_cursor']}").json
    assert [each["purpose"] for each in first["items"]] == ["use 3", "use 2"]
    assert [each["purpose"] for each in second["items"]] == ["use 1", "use 0"]
    assert second["next_cursor"] is None
