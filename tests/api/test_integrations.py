"""The endpoints of integrations: list, show, create or overwrite, change, delete, and what they refuse."""

import uuid
from typing import Any

import pytest
from flask import Flask

from portal.database import unit_of_work
from portal.integrations.models import CheckKind, Integration
from tests.api.conftest import Caller, smtp, wanted
from tests.support.integrations import CANARY, all_integrations, failing, load, make_integration, stored_secrets, trail
from tests.support.people import Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""What SQL has a part in stands in test_upsert.py."""


def test_the_list_is_a_plain_array_of_the_organizations_own(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    make_integration(app, team.admin, "Also mine", enabled=False, status="inactive")
    found = api("GET", "/integrations").json
    assert [each["name"] for each in found] == ["Also mine", "Email relay"]
    assert found[1] == {
        "id": str(relay), "provider": "smtp", "type": "email", "name": "Email relay", "enabled": True,
        "status": "active", "last_health_check": None, "last_sync": None, "error_message": None,
    }  # fmt: skip


def test_one_integration_is_shown_in_full_with_masked_secrets(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin, max_per_hour=50, created_by=team.admin.user_id)
    found = api("GET", f"/integrations/{relay}").json
    assert found["credentials"] == {
        **smtp(password="••••77b2"), "from_name": None,
    }  # fmt: skip
    assert found["limits"] == {"max_per_hour": 50, "max_per_day": None}
    assert found["usage"] == {"this_hour": 0, "today": 0}
    assert (found["condition"], found["health_check_interval_minutes"]) == (None, 5)
    assert found["created_by"] == str(team.admin.user_id)
    assert found["created_at"].endswith("Z")


def test_a_check_under_way_shows_as_condition(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin, check_token=uuid.uuid4())
    assert api("GET", f"/integrations/{relay}").json["condition"] == "checking"


def test_a_new_integration_is_stored_unverified_and_checked_at_once(app: Flask, team: Team, api: Caller) -> None:
    answer = api("POST", "/integrations", wanted())
    assert answer.status_code == 201
    made = answer.json
    assert (made["name"], made["status"], made["condition"]) == ("Email", "inactive", "unverified")
    row = load(app, uuid.UUID(made["id"]))
    assert row.next_check_at is not None
    assert row.next_check_kind == CheckKind.AUTO
    assert stored_secrets(app, row.id)["password"] == smtp()["password"]
    entry = trail(app, "integration.created")[0]
    assert (entry.actor_kind, entry.target_name) == ("token", "Email")
    assert entry.actor_name.endswith(f"of {team.admin.name}")


def test_an_integration_can_be_made_disabled(app: Flask, team: Team, api: Caller) -> None:
    made = api("POST", "/integrations", wanted(enabled=False, name="Later")).json
    assert (made["name"], made["enabled"], made["status"]) == ("Later", False, "inactive")
    assert load(app, uuid.UUID(made["id"])).next_check_at is None


def test_the_same_provider_again_overwrites(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin, max_per_day=900, config=smtp(password=..., from_name="Old name"))
    sent = wanted(credentials=smtp(host="other.example.com", username="else", password=""), enabled=False)
    answer = api("POST", "/integrations", sent)
    assert (answer.status_code, answer.json["id"]) == (200, str(relay))
    assert (answer.json["enabled"], answer.json["status"]) == (False, "inactive")
    assert answer.json["limits"]["max_per_day"] == 900
    assert answer.json["credentials"]["from_name"] is None, "what was not sent is not kept"
    assert stored_secrets(app, relay) == smtp(host="other.example.com", username="else", password=CANARY)


@pytest.mark.parametrize("password", [..., "", "  "])
def test_a_secret_that_is_missing_or_empty_is_kept(app: Flask, team: Team, api: Caller, password: Any) -> None:
    relay = make_integration(app, team.admin)
    assert api("POST", "/integrations", wanted(credentials=smtp(password=password))).status_code == 200
    body = {"credentials": {} if password is ... else {"password": password}}
    assert api("PATCH", f"/integrations/{relay}", body).status_code == 200
    assert stored_secrets(app, relay)["password"] == CANARY


def test_null_removes_a_secret(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    found = api("PATCH", f"/integrations/{relay}", {"credentials": {"password": None, "username": None}}).json
    assert (found["credentials"]["password"], found["credentials"]["username"]) == (None, None)
    assert stored_secrets(app, relay) == smtp(password=..., username=...)
    assert trail(app, "integration.changed")[0].after == {
        "username": None,
        "verified": False,
        "secrets_removed": ["password"],
    }


def test_a_change_merges_credentials_and_leaves_the_rest(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    found = api("PATCH", f"/integrations/{relay}", {"credentials": {"security": "tls", "from_name": "Portal"}}).json
    assert found["credentials"] | {"password": ""} == smtp(security="tls", port=465, from_name="Portal", password="")
    assert (found["name"], found["condition"]) == ("Email relay", "unverified")
    assert stored_secrets(app, relay)["password"] == CANARY


def test_a_change_of_name_limits_and_interval_leaves_the_verdict(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin, max_per_hour=10)
    body = {"name": " New  name ", "limits": {"max_per_day": 200.0}, "health_check_interval_minutes": 15}
    found = api("PATCH", f"/integrations/{relay}", body).json
    assert (found["name"], found["status"], found["condition"]) == ("New name", "active", None)
    assert found["limits"] == {"max_per_hour": 10, "max_per_day": 200}
    assert found["health_check_interval_minutes"] == 15
    assert api("PATCH", f"/integrations/{relay}", {"limits": {"max_per_hour": None}}).json["limits"] == {
        "max_per_hour": None, "max_per_day": 200,
    }  # fmt: skip


def test_switching_needs_no_valid_credentials(app: Flask, team: Team, api: Caller) -> None:
    broken = make_integration(app, team.admin, config={"preset": "gone"})
    assert api("PATCH", f"/integrations/{broken}", {"enabled": False}).json["status"] == "inactive"
    assert api("PATCH", f"/integrations/{broken}", {"enabled": True}).json["status"] == "active"
    assert api("PATCH", f"/integrations/{broken}", {}).status_code == 200
    assert "credentials.preset" in api.refused("PATCH", f"/integrations/{broken}", {"name": "Other"})


def test_a_deleted_integration_is_gone_with_its_secrets(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    answer = api("DELETE", f"/integrations/{relay}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert stored_secrets(app, relay).get("password") is None
    assert load(app, relay).deleted_at is not None
    assert api("GET", f"/integrations/{relay}").status_code == 404
    assert api("DELETE", f"/integrations/{relay}").status_code == 404
    assert api("GET", "/integrations").json == []


def test_figures_count_unverified_ones_as_inactive(app: Flask, team: Team, api: Caller) -> None:
    make_integration(app, team.admin)
    make_integration(app, team.admin, "Off", enabled=False, status="inactive")
    make_integration(app, team.admin, "New", status="inactive", condition="unverified")
    make_integration(app, team.admin, "Down", **failing())
    assert api("GET", "/integrations/stats").json == {"total": 4, "active": 1, "error": 1, "inactive": 2}


def test_providers_answer_their_declarations(api: Caller) -> None:
    found = api("GET", "/providers").json
    assert found["next_cursor"] is None
    smtp_fields = next(each for each in found["items"] if each["slug"] == "smtp")["fields"]
    assert [each["name"] for each in smtp_fields if each["secret"]] == ["password"]


WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({"provider": "telepathy"}, {"provider"}),
    ({"provider": 7}, {"provider"}),
    ({"enabled": "yes"}, {"enabled"}),
    ({"enabled": None}, {"enabled"}),
    ({"sandbox": 1}, {"sandbox"}),
    ({"sandbox": True}, {"sandbox"}),
    ({"name": 5}, {"name"}),
    ({"name": " "}, {"name"}),
    ({"name": "x" * 101}, {"name"}),
    ({"credentials": "secret"}, {"credentials"}),
    ({"credentials": []}, {"credentials"}),
    ({"id": "x", "colour": "red"}, {"id", "colour"}),
    ({"credentials": smtp(port="587")}, {"credentials.port"}),
    ({"credentials": smtp(port=True)}, {"credentials.port"}),
    ({"credentials": smtp(port=10**400)}, {"credentials.port"}),
    ({"credentials": smtp(port=0)}, {"credentials.port"}),
    ({"credentials": smtp(password=["x"])}, {"credentials.password"}),
    ({"credentials": smtp(password={"$gt": ""})}, {"credentials.password"}),
    ({"credentials": smtp(password="••••x7Qa")}, {"credentials.password"}),
    ({"credentials": smtp(password="********")}, {"credentials.password"}),
    ({"credentials": smtp(security="rot13")}, {"credentials.security"}),
    ({"credentials": smtp(host=..., from_email="no")}, {"credentials.host", "credentials.from_email"}),
    ({"credentials": smtp(api_key="SG.x", Password="x")}, {"credentials.api_key", "credentials.Password"}),
    ({"credentials": smtp(password=None)}, {"credentials.password"}),
]


def test_what_is_wrong_is_named_and_nothing_is_stored(app: Flask, api: Caller) -> None:
    for changes, fields in WRONG:
        assert set(api.refused("POST", "/integrations", wanted(**changes))) == fields
    assert all_integrations(app) == []


def test_what_is_missing_is_named(api: Caller) -> None:
    assert api.refused("POST", "/integrations", {}) == {
        "provider": "This is required.", "credentials": "This is required.",
    }  # fmt: skip


WRONG_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"provider": "smtp"}, "provider"),
    ({"health_check_interval_minutes": 61}, "health_check_interval_minutes"),
    ({"health_check_interval_minutes": 1.5}, "health_check_interval_minutes"),
    ({"limits": {"max_per_hour": 0}}, "limits.max_per_hour"),
    ({"limits": {"max_per_hour": True}}, "limits.max_per_hour"),
    ({"limits": {"max_per_week": 5}}, "limits.max_per_week"),
    ({"limits": {"max_per_hour": 9, "max_per_day": 8}}, "limits.max_per_hour"),
    ({"limits": None}, "limits"),
    ({"credentials": {"password": "••••77b2"}}, "credentials.password"),
    ({"credentials": {"passwort": "x"}}, "credentials.passwort"),
    ({"credentials": {"port": "25"}}, "credentials.port"),
    ({"name": "Second"}, "name"),
]


def test_a_change_that_is_wrong_changes_nothing(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    make_integration(app, team.admin, "second")
    before = api("GET", f"/integrations/{relay}").json
    for body, field in WRONG_CHANGES:
        assert set(api.refused("PATCH", f"/integrations/{relay}", {**body, "enabled": False})) == {field}
    assert api("GET", f"/integrations/{relay}").json == before


def test_names_of_unknown_fields_are_repeated_short_and_plain(api: Caller) -> None:
    sent = wanted(**{"a\u202eb\x00" + "c" * 99: 1}, **{f"field{number}": 1 for number in range(500)})
    found = api.refused("POST", "/integrations", sent)
    assert len(found) == 20
    assert "ab" + "c" * 58 in found


NO_OBJECTS: list[tuple[bytes, str, int]] = [
    (b"{", "application/json", 400),
    (b"", "application/json", 400),
    (b'{"provider": NaN}', "application/json", 400),
    (b'{"provider": "\xff"}', "application/json", 400),
    (b'{"provider": "smtp", "name": "\\ud800"}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"port": ' + b"9" * 5000 + b"}", "application/json", 400),
    (b"[]", "application/json", 422),
    (b'"text"', "application/json", 422),
    (b"null", "application/json", 422),
    (b"provider=smtp", "application/x-www-form-urlencoded", 415),
    (b"{}", "text/plain", 415),
    (b"", "", 415),
    (b'{"provider": "' + b"x" * 1024 * 1024 + b'"}', "application/json", 413),
]


def test_bodies_that_are_no_json_objects(api: Caller) -> None:
    for data, kind, status in NO_OBJECTS:
        answer = api("POST", "/integrations", data=data, content_type=kind)
        assert answer.status_code == status, data[:40]


def test_a_body_with_a_charset_is_taken(api: Caller) -> None:
    data = b'{"provider": "telepathy", "credentials": {}}'
    answer = api("POST", "/integrations", data=data, content_type="application/json; charset=utf-8")
    assert answer.status_code == 422


def test_a_body_where_none_belongs_is_not_ignored(app: Flask, team: Team, api: Caller) -> None:
    path = f"/integrations/{make_integration(app, team.admin)}/test"
    assert api.refused("POST", path, {"credentials": {}}) == {"credentials": "There is no such field."}


def test_what_addresses_carry_too_much_is_named(api: Caller) -> None:
    assert set(api.refused("GET", "/integrations?page=2")) == {"page"}
    assert set(api.refused("GET", "/audit?limit=5&limit=6")) == {"limit"}


def test_an_integration_that_somebody_deletes_meanwhile_is_gone(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    with app.app_context(), unit_of_work() as session:
        session.delete(session.get_one(Integration, relay))
    assert api("PATCH", f"/integrations/{relay}", {"enabled": False}).status_code == 404


@pytest.mark.parametrize("path", ["/integrations/17", "/integrations/not-a-uuid", "/nothing"])
def test_addresses_that_are_none(api: Caller, path: str) -> None:
    answer = api("GET", path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_method_that_is_none_is_told_which_there_are(api: Caller) -> None:
    answer = api("PUT", "/integrations", wanted())
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
