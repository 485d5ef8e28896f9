"""Who may call what: every route stands in the table below, and is called by every kind of person."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import browser as accounts_browser
from portal.accounts import sessions
from portal.accounts.models import User, UserSession
from portal.database import reading, unit_of_work
from portal.web.access import Role, Rule, Who, allow, check_rules, rule_of
from tests.support.integrations import load, make_integration, posted
from tests.support.people import ORIGIN, Browser, Person, Team, make_team

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
pytestmark = SQLITE

TABLE = {
    "GET static": "anyone",
    # Signing in and one's own account
    "GET accounts.first_run": "anyone",
    "POST accounts.first_run": "anyone",
    "GET accounts.login": "anyone",
    "POST accounts.login": "anyone",
    "POST accounts.logout": "anyone",
    "GET accounts.second_step": "pending",
    "POST accounts.second_step": "pending",
    "GET accounts.confirm": "member",
    "POST accounts.confirm": "member",
    "GET accounts.profile": "member",
    "POST accounts.change_profile": "member",
    "POST accounts.change_password": "member",
    "POST accounts.revoke_session": "member",
    "POST accounts.revoke_other_sessions": "member",
    "POST accounts.switch_organization": "member",
    "GET accounts.two_factor_required": "member",
    "POST accounts.two_factor_start": "member recent",
    "GET accounts.two_factor_enrol": "member recent",
    "POST accounts.two_factor_enrol": "member recent",
    "GET accounts.two_factor_off": "member",
    "POST accounts.two_factor_off": "member",
    "GET accounts.recovery_codes": "member recent",
    "GET accounts.recovery_codes_file": "member recent",
    "POST accounts.recovery_codes_saved": "member",
    "POST accounts.recovery_codes_new": "member recent",
    # API tokens
    "GET accounts.tokens": "admin",
    "GET accounts.new_token": "admin recent",
    "POST accounts.create_token": "admin recent",
    "POST accounts.revoke_token": "admin",
    # The organization
    "GET accounts.organization": "admin",
    "POST accounts.change_retention": "admin",
    # Dashboard and details
    "GET overview.home": "member",
    "GET overview.dashboard": "admin",
    "GET overview.detail": "admin",
    "POST overview.check": "admin",
    "POST overview.check_all": "admin",
    "GET overview.settings": "admin",
    "GET overview.style_guide": "admin",
    "POST overview.try_out": "admin",
    # Integrations
    "GET integrations.new": "admin",
    "GET integrations.create_drawer": "admin",
    "POST integrations.create": "admin",
    "GET integrations.edit_drawer": "admin",
    "POST integrations.edit": "admin",
    "POST integrations.troubleshoot": "admin",
    "GET alerts.index": "admin",
    "GET alerts.detail": "admin",
    "POST alerts.acknowledge": "admin",
    "POST alerts.acknowledge_all": "admin",
    "POST alerts.withdraw": "admin",
    "POST alerts.mute": "admin",
    "POST alerts.unmute": "admin",
    "GET alert_channels.index": "admin",
    "POST alert_channels.save_settings": "admin",
    "GET alert_channels.new": "admin",
    "POST alert_channels.create": "admin",
    "GET alert_channels.edit_form": "admin",
    "POST alert_channels.edit": "admin",
    "POST alert_channels.switch": "admin",
    "POST alert_channels.send_test": "admin",
    "POST alert_channels.delete": "admin",
    "GET alert_notifications.index": "admin",
    "GET alert_notifications.detail": "admin",
    "GET overview.troubleshoot": "admin",
    "POST overview.run_test": "admin",
    "POST integrations.switch": "admin",
    "POST integrations.interval": "admin",
    "POST integrations.delete": "admin",
    # Health and audit
    "GET liveness.alive": "anyone",
    "GET liveness.ready": "anyone",
    "GET health.index": "admin",
    "GET health.export": "admin",
    "GET health.export_of_integration": "admin",
    "GET health.of_integration": "admin",
    "GET health.maintenance_of": "admin",
    "POST health.plan_maintenance": "admin",
    "POST health.start_maintenance": "admin",
    "POST health.end_maintenance": "admin",
    "POST health.remove_maintenance": "admin",
    "GET audit.index": "admin",
    "POST audit.verify": "admin",
    "GET audit.credential_access": "admin",
    # Webhooks and deliveries
    "GET webhooks.index": "admin",
    "GET webhooks.new": "admin",
    "POST webhooks.create": "admin",
    "GET webhooks.edit_form": "admin",
    "POST webhooks.edit": "admin",
    "POST webhooks.switch": "admin",
    "POST webhooks.delete": "admin",
    "GET webhooks.detail": "admin",
    "POST webhooks.send_test": "admin",
    "POST webhooks.verify": "admin",
    "GET webhooks.secret_form": "admin",
    "POST webhooks.secret": "admin",
    "GET webhooks.history": "admin",
    "GET webhooks.replay_form": "admin",
    "POST webhooks.start_replay": "admin",
    "GET webhooks.replay_progress": "admin",
    "POST webhooks.send_event": "admin",
    "GET webhooks.deliveries_index": "admin",
    "GET webhooks.delivery": "admin",
    "POST webhooks.replay": "admin",
    # Retry policy and dead letters
    "GET retry_policy.index": "admin",
    "POST retry_policy.save": "admin",
    "GET dead_letters.index": "admin",
    "GET dead_letters.progress": "admin",
    "POST dead_letters.retry": "admin",
    "POST dead_letters.discard": "admin",
    "POST dead_letters.selected": "admin",
    "POST dead_letters.retry_all": "admin",
    "POST dead_letters.discard_all": "admin",
    # Messages
    "GET messages.index": "admin",
    "GET messages.detail": "admin",
    "POST messages.retry": "admin",
    "POST messages.cancel": "admin",
    # Events and event types
    "GET events.index": "admin",
    "GET events.detail": "admin",
    "GET event_types.index": "admin",
    "GET event_types.new": "admin",
    "POST event_types.create": "admin",
    "GET event_types.edit_form": "admin",
    "POST event_types.edit": "admin",
    "POST event_types.delete": "admin",
    # The API described for people; the API itself is called in tests/api/test_who.py
    "GET api.docs": "admin",
}
OPEN_WHILE_ENROLLING = {
    "accounts.two_factor_required",
    "accounts.two_factor_start",
    "accounts.two_factor_enrol",
    "accounts.recovery_codes",
    "accounts.recovery_codes_file",
    "accounts.recovery_codes_saved",
    "accounts.recovery_codes_new",
    "accounts.confirm",
    "accounts.switch_organization",
}
"""All that an owner or admin can do before two-factor authentication is on."""

PASSES, SIGN_IN, FORBIDDEN, ENROL, CONFIRM = "passes", "sign in", "forbidden", "enrol", "confirm"


@dataclass(frozen=True)
class Route:
    """One route with one method, its placeholders filled."""

    method: str
    endpoint: str
    path: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.endpoint}"

    @property
    def rule(self) -> str:
        return TABLE[self.key]


def routes(app: Flask, **ids: object) -> list[Route]:
    """Return every route of the pages with each of its methods; unknown ids are made up."""
    values: dict[str, Any] = {
        "slug": "smtp",
        "filename": "icons.svg",
        "session_id": uuid.uuid4(),
        "token_id": uuid.uuid4(),
        "integration_id": uuid.uuid4(),
        "window_id": uuid.uuid4(),
        "delivery_id": uuid.uuid4(),
        "message_id": uuid.uuid4(),
        "name": "invoice.paid",
        "event_id": "evt_1",
        "webhook_id": uuid.uuid4(),
        "alert_id": uuid.uuid4(),
        "channel_id": uuid.uuid4(),
        "notification_id": uuid.uuid4(),
        "event_row_id": uuid.uuid4(),
        **ids,
    }
    found = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            assert rule.methods is not None
            asked = rule_of(app, rule.endpoint)
            if asked and asked.scope:
                continue
            path = app.url_for(rule.endpoint, **{name: values[name] for name in rule.arguments}, _external=False)
            found += [Route(method, rule.endpoint, path) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
    return found


def call(browser: Browser, route: Route, **headers: str) -> TestResponse:
    data = {"csrf_token": browser.csrf} if route.method == "POST" else None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.client.open(route.path, method=route.method, data=data, headers=sent, buffered=True)


@pytest.fixture
def reached(app: Flask) -> list[str]:
    """The endpoints whose view has run."""
    seen: list[str] = []

    def watched(endpoint: str, view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def run(*args: Any, **values: Any) -> Any:
            seen.append(endpoint)
            return view(*args, **values)

        return run

    for endpoint, view in list(app.view_functions.items()):
        app.view_functions[endpoint] = watched(endpoint, view)
    return seen


def verdict(answer: TestResponse, seen: list[str], route: Route) -> str:
    """Name what the person got: the view, or what stood in its place."""
    if route.endpoint in seen:
        assert answer.status_code < 500, f"{route.key}: {answer.text}"
        assert answer.status_code != 403, route.key
        return PASSES
    if answer.status_code == 403:
        assert "Integrations are managed by owners and admins." in answer.text
        return FORBIDDEN
    location = answer.headers.get("Location", "")
    assert answer.status_code == 303, f"{route.key}: {answer.status_code}"
    ways = {"/login": SIGN_IN, "/profile/two-factor/required": ENROL, "/confirm": CONFIRM}
    return ways[location.partition("?")[0]]


def walk(app: Flask, browser: Browser, seen: list[str], again: Callable[[], None]) -> dict[str, str]:
    """Call every route, each under a fresh session, and return what the person got."""
    found = {}
    for route in routes(app):
        again()
        seen.clear()
        found[route.key] = verdict(call(browser, route), seen, route)
    return found


def enter(app: Flask, browser: Browser, person: Person) -> Callable[[], None]:
    """Return what signs a person in anew, their recovery codes saved whatever a view did to them."""

    def again() -> None:
        browser.sign_in(person)
        with app.app_context(), unit_of_work() as session:
            session.get_one(User, person.user_id).recovery_saved_at = clock.now()

    return again


def expected(decide: Callable[[str, str], str]) -> dict[str, str]:
    """Return what the table promises, by `decide(who may call it, endpoint)`."""
    return {key: decide(rule.split()[0], key.split()[1]) for key, rule in TABLE.items()}


def open_to_anyone(who: str, _endpoint: str) -> str:
    return PASSES if who in ("anyone", "pending") else SIGN_IN


def test_every_route_stands_in_the_table_and_every_row_is_a_route(app: Flask) -> None:
    found = {route.key for route in routes(app)}
    assert sorted(found - TABLE.keys()) == [], "say in the table who may call these"
    assert sorted(TABLE.keys() - found) == [], "there are no such routes"


def test_the_rules_in_the_code_are_those_of_the_table(app: Flask) -> None:
    for route in routes(app):
        who, *more = route.rule.split()
        assert rule_of(app, route.endpoint) == Rule(Who(who), recent="recent" in more), route.key


def test_an_application_with_an_undecided_view_does_not_start(app: Flask) -> None:
    app.view_functions["overview.forgotten"] = lambda: "hello"
    with pytest.raises(RuntimeError, match=r"overview\.forgotten"):
        check_rules(app)


def test_strangers_are_asked_to_sign_in(app: Flask, team: Team, reached: list[str]) -> None:
    nobody = Browser(app)
    assert walk(app, nobody, reached, lambda: nobody.sign_in(None)) == expected(open_to_anyone)


def test_a_forged_session_opens_nothing(app: Flask, team: Team, reached: list[str]) -> None:
    forger = Browser(app)

    def forge() -> None:
        forger.sign_in(None)
        with forger.client.session_transaction() as kept:
            kept["_user_id"] = "x" * 43

    assert walk(app, forger, reached, forge) == expected(open_to_anyone)


def test_a_password_alone_opens_nothing_but_the_second_step(app: Flask, team: Team, reached: list[str]) -> None:
    half_way = Browser(app)

    def half() -> None:
        half_way.sign_in(None)
        with app.app_context(), unit_of_work() as session:
            user = session.get_one(User, team.admin.user_id)
            opened = sessions.open_session(user=user, organization_id=team.organization_id, origin=ORIGIN, pending=True)
        with half_way.client.session_transaction() as kept:
            kept[accounts_browser.PENDING] = kept["_user_id"] = opened.token

    assert walk(app, half_way, reached, half) == expected(open_to_anyone)
    half()
    assert half_way.get("/login/two-factor").status_code == 200


def test_the_second_step_is_nobodys_without_a_pending_sign_in(app: Flask, team: Team, admin: Browser) -> None:
    assert Browser(app).get("/login/two-factor").headers["Location"].startswith("/login")
    assert admin.get("/login/two-factor").headers["Location"] == "/admin/integrations"


def test_agents_open_no_admin_page(app: Flask, team: Team, reached: list[str]) -> None:
    agent = Browser(app)
    found = walk(app, agent, reached, lambda: agent.sign_in(team.agent))
    assert found == expected(lambda who, _: FORBIDDEN if who in ("admin", "owner") else PASSES)


def test_an_admin_without_two_factor_authentication_can_only_turn_it_on(
    app: Flask, team: Team, reached: list[str]
) -> None:
    newcomer = Browser(app)
    found = walk(app, newcomer, reached, lambda: newcomer.sign_in(team.newcomer))
    assert found == expected(
        lambda who, endpoint: PASSES if who in ("anyone", "pending") or endpoint in OPEN_WHILE_ENROLLING else ENROL
    )


def test_an_admin_opens_all_but_what_is_the_owners(app: Flask, team: Team, reached: list[str]) -> None:
    admin = Browser(app)
    found = walk(app, admin, reached, enter(app, admin, team.admin))
    assert found == expected(lambda who, _: FORBIDDEN if who == "owner" else PASSES)


def test_the_owner_opens_all(app: Flask, team: Team, reached: list[str]) -> None:
    owner = Browser(app)
    found = walk(app, owner, reached, enter(app, owner, team.owner))
    assert found == expected(lambda _who, _endpoint: PASSES)


def test_what_asks_for_a_recent_confirmation_gets_one_first(app: Flask, team: Team, reached: list[str]) -> None:
    owner = Browser(app)

    def long_ago() -> None:
        owner.sign_in(team.owner)
        owner.forget_confirmation()

    found = walk(app, owner, reached, long_ago)
    assert found == {key: CONFIRM if "recent" in rule else PASSES for key, rule in TABLE.items()}


@pytest.mark.parametrize(
    ("role", "enrolled", "answer"),
    [(Role.AGENT, True, 403), (Role.ADMIN, True, 403), (Role.OWNER, False, 303), (Role.OWNER, True, None)],
)
def test_a_page_of_the_owner_is_closed_to_admins(
    app: Flask, team: Team, role: Role, enrolled: bool, answer: int | None
) -> None:
    """No route is the owner's yet; the gate is asked directly."""
    person = {Role.AGENT: team.agent, Role.ADMIN: team.admin, Role.OWNER: team.owner}[role]
    app.view_functions["overview.home"] = allow(Who.OWNER)(lambda: "reached")
    if not enrolled:
        with app.app_context(), unit_of_work() as session:
            session.get_one(User, person.user_id).recovery_saved_at = None
    found = Browser(app, person).get("/")
    assert found.status_code == (answer or 200)


def test_a_fragment_is_told_where_to_go_by_header(app: Flask, team: Team) -> None:
    answer = Browser(app).get("/admin/integrations", htmx=True)
    assert (answer.status_code, answer.text) == (401, "")
    assert answer.headers["HX-Redirect"].startswith("/login")


@pytest.mark.parametrize("path", ["/admin/integrations?q=mail&status=error", "/admin/health-logs", "/"])
def test_signing_in_leads_back_to_the_page_that_was_asked_for(app: Flask, path: str) -> None:
    location = Browser(app).get(path).headers["Location"]
    with app.test_request_context(location):
        assert request.args["next"] == path


@pytest.mark.parametrize(
    ("header", "url", "back"),
    [
        ("HX-Current-URL", "http://localhost/admin/integrations?q=1", "/admin/integrations?q=1"),
        ("Referer", "http://localhost/admin/integrations/new", "/admin/integrations/new"),
        ("Referer", "https://evil.example/admin", ""),
        ("HX-Current-URL", "http://localhost.evil.example/admin", ""),
        ("HX-Current-URL", "http://localhost//evil.example", ""),
        ("Referer", "javascript:alert(1)", ""),
    ],
)
def test_a_form_leads_back_to_its_page_and_never_to_another_site(
    app: Flask, team: Team, header: str, url: str, back: str
) -> None:
    """What comes after signing in is asked of the sign-in page itself."""
    nobody = Browser(app)
    answer = nobody.client.post(
        "/admin/integrations/check-all", data={"csrf_token": nobody.csrf}, headers={header: url}
    )
    assert answer.status_code == 303
    signed_in = Browser(app, team.admin)
    arrived = signed_in.get(answer.headers["Location"]).headers["Location"]
    assert arrived == (back or "/admin/integrations")


def test_every_change_needs_the_token_of_a_form(app: Flask, team: Team, reached: list[str]) -> None:
    admin = Browser(app)
    for route in (each for each in routes(app) if each.method == "POST"):
        admin.sign_in(team.admin)
        answer = admin.client.post(route.path, data={"intent": "save"})
        assert (answer.status_code, reached) == (400, []), route.key
        assert "Nothing was stored." in answer.text


def test_whoever_was_signed_out_meanwhile_is_told_that(app: Flask, team: Team) -> None:
    nobody = Browser(app)
    for htmx in (False, True):
        answer = nobody.client.post("/admin/integrations/check-all", headers={"HX-Request": "true"} if htmx else {})
        assert (answer.status_code, "You are signed out" in answer.text) == (401, True)
    assert nobody.client.post("/login", data={}).status_code == 400


def test_no_change_is_taken_from_another_site(app: Flask, team: Team, reached: list[str]) -> None:
    admin = Browser(app)
    for route in (each for each in routes(app) if each.method == "POST"):
        admin.sign_in(team.admin)
        assert call(admin, route, Sec_Fetch_Site="cross-site").status_code == 403, route.key
    assert reached == []


def test_no_route_changes_anything_by_get(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    before = load(app, integration)
    admin = Browser(app, team.admin)
    for rule in app.url_map.iter_rules():
        assert rule.methods is not None
        if "POST" in rule.methods and "GET" not in rule.methods:
            with app.test_request_context():
                values: dict[str, Any] = {"integration_id": integration, "slug": "smtp", "name": "invoice.paid"}
                values |= {name: uuid.uuid4() for name in rule.arguments if name.endswith("_id")} | values
                path = app.url_for(rule.endpoint, **{name: values[name] for name in rule.arguments}, _external=False)
            answer = admin.get(path)
            others = {each.endpoint for each in app.url_map.iter_rules() if each.rule == rule.rule}
            assert answer.status_code == 405 or len(others) > 1, rule.endpoint
    after = load(app, integration)
    assert (after.enabled, after.deleted_at, after.next_check_at) == (before.enabled, None, before.next_check_at)


@pytest.fixture
def stranger(app: Flask, team: Team) -> Person:
    """The owner of another organization."""
    return make_team(app, "Southgate").owner


def test_integrations_of_another_organization_are_not_there(app: Flask, team: Team, stranger: Person) -> None:
    integration = make_integration(app, team.admin)
    before = load(app, integration)
    spy = Browser(app, stranger)
    asked = [each for each in routes(app, integration_id=integration) if str(integration) in each.path]
    assert len(asked) == 17
    for route in asked:
        data = {"csrf_token": spy.csrf, **posted(), "enabled": "off", "interval": "9", "confirm_name": before.name}
        answer = spy.client.open(route.path, method=route.method, data=data if route.method == "POST" else None)
        assert answer.status_code == 404, route.key
        assert before.name not in answer.text
    after = load(app, integration)
    columns = [column.key for column in after.__mapper__.columns]
    assert {name: getattr(after, name) for name in columns} == {name: getattr(before, name) for name in columns}


def test_lists_hold_nothing_of_another_organization(app: Flask, team: Team, stranger: Person) -> None:
    make_integration(app, team.admin, "Very private relay")
    spy = Browser(app, stranger)
    for route in (each for each in routes(app) if each.method == "GET" and each.endpoint != "static"):
        answer = spy.get(route.path)
        assert "Very private relay" not in answer.text, route.key
        assert str(team.organization_id) not in answer.text, route.key


def test_a_session_of_somebody_else_cannot_be_ended(app: Flask, team: Team, admin: Browser, stranger: Person) -> None:
    with app.app_context(), reading() as session:
        theirs = session.scalars(select(UserSession.id).where(UserSession.user_id == team.admin.user_id)).one()
    spy = Browser(app, stranger)
    assert spy.post(f"/profile/sessions/{theirs}/revoke").status_code == 404
    assert admin.get("/admin/integrations").status_code == 200


def test_an_unknown_address_says_so_to_everybody(app: Flask, team: Team, admin: Browser) -> None:
    for browser in (Browser(app), admin):
        for path in ("/admin/nothing", "/admin/integrations/new/telepathy", "/admin/integrations/17"):
            if browser is admin or "new" not in path:
                assert browser.get(path).status_code == 404, path
