"""Who may do what by the API: every endpoint, called by everybody; and what replacing secrets asks for besides."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal import clock
from portal.accounts import api_tokens
from portal.accounts import service as accounts
from portal.accounts.models import ApiToken
from portal.api.declaring import OPERATIONS, Operation
from portal.database import Base, reading, unit_of_work
from tests.api.conftest import Caller, make_token, smtp, wanted
from tests.api.things import Things, in_order, make_things
from tests.support.integrations import CANARY, Mail, all_integrations, load, make_integration, stored_secrets
from tests.support.people import Browser, Team, make_team
from tests.support.webhooks import stored_deliveries, stored_events, stored_webhook

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)

TABLE = {
    "nobody": "401 Credentials missing",
    "a token that is none": "401 Token not accepted",
    "a revoked token": "401 Token not accepted",
    "an expired token": "401 Token not accepted",
    "a disabled member's token": "401 Token not accepted",
    "a token without the scope": "403 Scope missing",
    "a token of somebody without two-factor authentication": "403 Two-factor authentication required",
    "an agent": "403 Admins only",
    "an agent's token": "403 Admins only",
    "an admin without two-factor authentication": "403 Two-factor authentication required",
    "an admin": "passes",
    "an admin's token": "passes",
    "the owner": "passes",
    "the owner's token": "passes",
}


def revoked(app: Flask, team: Team) -> str:
    token = make_token(app, team.admin)
    with app.app_context(), unit_of_work() as session:
        newest = session.scalars(select(ApiToken.id).order_by(ApiToken.id.desc())).first()
        assert newest is not None
        api_tokens.revoke(organization_id=team.organization_id, token_id=newest)
    return token


def expired(app: Flask, team: Team) -> str:
    with time_machine.travel(clock.now().replace(year=2020)):
        return make_token(app, team.admin, days=1)


def disabled(app: Flask, team: Team) -> str:
    token = make_token(app, team.owner)
    with app.app_context(), unit_of_work():
        accounts.disable(team.owner.user_id)
    return token


CALLERS: dict[str, Callable[[Flask, Team], Caller]] = {
    "nobody": lambda app, team: Caller(app, browser=Browser(app)),
    "a token that is none": lambda app, team: Caller(app, token="prt_" + "x" * 38),
    "a revoked token": lambda app, team: Caller(app, token=revoked(app, team)),
    "an expired token": lambda app, team: Caller(app, token=expired(app, team)),
    "a disabled member's token": lambda app, team: Caller(app, token=disabled(app, team)),
    "a token without the scope": lambda app, team: Caller(
        app, token=make_token(app, team.admin, scopes=["events:write", "messages:read"])
    ),
    "a token of somebody without two-factor authentication": lambda app, team: Caller(
        app, token=make_token(app, team.newcomer)
    ),
    "an agent": lambda app, team: Caller(app, browser=Browser(app, team.agent)),
    "an agent's token": lambda app, team: Caller(app, token=make_token(app, team.agent)),
    "an admin without two-factor authentication": lambda app, team: Caller(app, browser=Browser(app, team.newcomer)),
    "an admin": lambda app, team: Caller(app, browser=Browser(app, team.admin)),
    "an admin's token": lambda app, team: Caller(app, token=make_token(app, team.admin)),
    "the owner": lambda app, team: Caller(app, browser=Browser(app, team.owner)),
    "the owner's token": lambda app, team: Caller(app, token=make_token(app, team.owner)),
}
EVENT: dict[str, Any] = {"event": "job.created", "data": {}}
BODIES: dict[str, Any] = {
    "create_webhook": {"name": "Another", "url": "https://example.org/", "events": ["*"]},
    "change_webhook": {"name": "Renamed"},
    "mute_alert": {"for": "1h"},
    "create_alert_channel": {"kind": "email"},
    "change_alert_channel": {"name": "Renamed"},
    "change_alert_settings": {"reminder_minutes": 60},
    "test_webhook": {"event_type": "job.created"},
    "replay_webhook": {"since": "2026-01-01T00:00:00Z"},
    "put_retry_config": {},
    "create_event_type": {"name": "invoice.sent"},
    "change_event_type": {"description": "Changed"},
    "send_event": EVENT,
    "send_events": {"events": [EVENT]},
    "put_integration": wanted(name="Another"),
    "change_integration": {"name": "Renamed"},
    "plan_maintenance": {"ends_at": (clock.now() + timedelta(hours=1)).isoformat()},
    "test_values": {"provider": "smtp", "credentials": smtp()},
}


def body_of(operation: Operation, things: Things) -> Any:
    """Return a body that an endpoint takes."""
    if operation.name == "send_event_to_webhook":
        return {"webhook_id": str(things.quiet())}
    return BODIES.get(operation.name)


def expected(operation: Operation, who: str) -> str:
    """Return what the table says of an endpoint; those that show a secret are closed to tokens."""
    return "403 Session required" if TABLE[who] == "passes" and "token" in who and not operation.tokens else TABLE[who]


def for_admins() -> list[Operation]:
    """Return the endpoints of /api/admin."""
    return in_order(each for each in OPERATIONS if each.sessions)


@pytest.mark.parametrize("who", TABLE)
def test_every_endpoint_is_open_to_those_in_the_table(app: Flask, team: Team, mail: Mail, who: str) -> None:
    things = make_things(app, team.admin)
    call = CALLERS[who](app, team)
    call.root = ""
    found = {}
    for operation in for_admins():
        answer = call(operation.method, things.address(operation), body_of(operation, things))
        if answer.status_code in (401, 403):
            found[operation.name] = f"{answer.status_code} {answer.json['title']}"
            assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
        else:
            assert answer.status_code < 300, f"{operation.name}: {answer.text}"
            found[operation.name] = "passes"
    assert found == {operation.name: expected(operation, who) for operation in for_admins()}
    assert (load(app, things.relay).deleted_at is not None) == (TABLE[who] == "passes")
    assert (stored_webhook(app, things.webhook).deleted_at is not None) == (TABLE[who] == "passes")


APPLICATIONS: dict[str, tuple[Callable[[Flask, Team], Caller], str]] = {
    "nobody": (CALLERS["nobody"], "401 Credentials missing"),
    "a token that is none": (CALLERS["a token that is none"], "401 Token not accepted"),
    "an admin's session": (CALLERS["an admin"], "401 Token required"),
    "an agent's session": (CALLERS["an agent"], "401 Token required"),
    "a token without the scope": (CALLERS["an admin's token"], "403 Scope missing"),
    "a token of somebody without two-factor authentication": (
        lambda app, team: Caller(app, token=make_token(app, team.newcomer, scopes=["events:write"])),
        "403 Two-factor authentication required",
    ),
    "a token": (lambda app, team: Caller(app, token=make_token(app, team.admin, scopes=["events:write"])), "passes"),
}


@pytest.mark.parametrize("who", APPLICATIONS)
def test_what_is_for_applications_is_open_to_their_tokens_alone(app: Flask, team: Team, who: str) -> None:
    make, wanted = APPLICATIONS[who]
    call = make(app, team)
    call.root = ""
    for operation in OPERATIONS:
        if not operation.sessions:
            answer = call(operation.method, operation.url, BODIES[operation.name])
            found = f"{answer.status_code} {answer.json.get('title')}" if answer.status_code >= 400 else "passes"
            assert found == wanted, operation.name
            assert ("WWW-Authenticate" in answer.headers) == wanted.startswith("401")
    assert bool(stored_events(app)) == (wanted == "passes")


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/docs"])
def test_the_documentation_is_for_admins(app: Flask, team: Team, path: str) -> None:
    assert Browser(app, team.admin).get(path).status_code == 200
    assert Browser(app, team.agent).get(path).status_code == 403
    for stranger in (Browser(app), Browser(app, team.newcomer)):
        assert stranger.get(path).status_code in (303, 401, 403)
    token = {"Authorization": f"Bearer {make_token(app, team.admin)}"}
    assert app.test_client().get("/api/openapi.json", headers=token).status_code == 200
    assert app.test_client().get("/api/docs", headers=token).status_code == 303, "a page takes no tokens"


def test_nothing_of_another_organization_is_there(app: Flask, team: Team, mail: Mail) -> None:
    things = make_things(app, team.admin, "Very private relay")
    before = columns(load(app, things.relay)), columns(stored_webhook(app, things.webhook))
    spy = Caller(app, browser=Browser(app, make_team(app, "Southgate").owner), root="")
    for operation in for_admins():
        answer = spy(operation.method, things.address(operation), body_of(operation, things))
        assert "Very private" not in answer.text, operation.name
        if operation.path_names:
            assert answer.status_code == 404, operation.name
    assert (columns(load(app, things.relay)), columns(stored_webhook(app, things.webhook))) == before
    assert {each.status for each in stored_deliveries(app)} == {"dlq"}


def columns(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.columns}


def test_a_token_works_in_its_organization_alone_and_wins_over_a_cookie(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, "Very private relay")
    stranger = make_team(app, "Southgate").owner
    both = Caller(app, browser=Browser(app, team.admin))
    both.headers = {"Authorization": f"Bearer {make_token(app, stranger)}"}
    assert both("GET", "/integrations").json == []
    assert both("POST", "/integrations", wanted(name="Theirs")).status_code == 201, "a token needs no CSRF header"
    assert [each.organization_id for each in all_integrations(app)][1] == stranger.organization_id


def test_a_sessions_writes_need_the_csrf_header(app: Flask, team: Team, by_session: Caller, mail: Mail) -> None:
    things = make_things(app, team.admin)
    del by_session.headers["X-CSRFToken"]
    by_session.root = ""
    for operation in OPERATIONS:
        answer = by_session(operation.method, things.address(operation), BODIES.get(operation.name))
        expected = (200, None) if operation.method == "GET" else (403, "CSRF token missing")
        assert (answer.status_code, (answer.json or {}).get("title") if answer.status_code > 200 else None) == expected
    assert (len(all_integrations(app)), mail.tested, mail.probed) == (1, [], [])


REPLACING: list[tuple[str, dict[str, Any]]] = [
    ("PATCH", {"credentials": {"password": "another password"}}),
    ("PATCH", {"credentials": {"password": None, "username": None}}),
    ("PATCH", {"credentials": {"host": "evil.example.com"}}),
    ("POST", wanted(credentials=smtp(password="another password"))),
    ("POST", wanted(credentials=smtp(password="", host="evil.example.com"))),
]


@pytest.mark.parametrize(("method", "body"), REPLACING)
def test_a_session_replaces_or_redirects_secrets_only_right_after_a_confirmation(
    app: Flask, team: Team, method: str, body: dict[str, Any]
) -> None:
    relay = make_integration(app, team.admin)
    path = f"/integrations/{relay}" if method == "PATCH" else "/integrations"
    browser = Browser(app, team.admin)
    browser.forget_confirmation()
    session = Caller(app, browser=browser)
    answer = session(method, path, body)
    assert (answer.status_code, answer.json["title"]) == (403, "Recent authentication required")
    assert stored_secrets(app, relay)["password"] == CANARY
    assert load(app, relay).config["host"] == "mail.example.com"
    assert Caller(app, token=make_token(app, team.admin))(method, path, body).status_code == 200
    assert Caller(app, browser=Browser(app, team.admin))(method, path, body).status_code == 200


def test_a_session_changes_everything_else_without_a_confirmation(app: Flask, team: Team) -> None:
    relay = make_integration(app, team.admin)
    browser = Browser(app, team.admin)
    browser.forget_confirmation()
    session = Caller(app, browser=browser)
    body = {"enabled": False, "name": "New name", "credentials": {"from_name": "Portal", "password": ""}}
    assert session("PATCH", f"/integrations/{relay}", body).status_code == 200
    assert session("POST", "/integrations", wanted(name="Second")).status_code == 201


def test_the_last_use_of_a_token_is_noted(app: Flask, team: Team, api: Caller) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(ApiToken).values(last_used_at=None))
    api("GET", "/integrations/stats")
    with app.app_context(), reading() as session:
        assert session.scalars(select(ApiToken.last_used_at)).one() is not None
