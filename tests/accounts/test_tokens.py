"""API tokens: made once, good for their maker and scopes, refused when they ended, and never for pages."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.accounts import api_tokens, service
from portal.accounts.commands import token_group
from portal.accounts.errors import BadTokenError
from portal.accounts.models import ApiToken, Membership, User
from portal.audit.models import AuditEntry
from portal.database import reading, unit_of_work
from portal.security.api_tokens import PATTERN, is_well_formed, new_api_token
from portal.settings import Settings
from portal.web.access import Who, allow, identity
from tests.support.people import Browser, Person, Team, make_team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def app(settings: Settings, start_app: Callable[[Settings], Flask]) -> Flask:
    """An application with two more routes, like those of the API: what counts here is who gets to them."""
    app = start_app(settings)

    @allow(Who.ADMIN, scope="admin")
    def whoami() -> dict[str, Any]:
        who = identity()
        return {
            "user": str(who.user_id),
            "organization": str(who.organization_id),
            "scopes": sorted(who.token_scopes or []),
        }

    @allow(Who.ADMIN, scope="admin", recent=True)
    def reveal() -> str:
        return "secret"

    app.add_url_rule("/api/admin/whoami", view_func=whoami, methods=["GET", "POST"])
    app.add_url_rule("/api/admin/reveal", view_func=reveal, methods=["POST"])
    return app


def make(app: Flask, person: Person, **values: Any) -> str:
    given: dict[str, Any] = {"name": "Payroll export", "scopes": ["admin"], "days": 90, **values}
    with app.app_context(), unit_of_work():
        return api_tokens.create(user_id=person.user_id, organization_id=person.organization_id, **given)[1]


def ask(app: Flask, token: str, path: str = "/api/admin/whoami", method: str = "GET", scheme: str = "Bearer") -> Any:
    return app.test_client().open(path, method=method, headers={"Authorization": f"{scheme} {token}"})


def rows(app: Flask) -> list[ApiToken]:
    with app.app_context(), reading() as session:
        return list(session.scalars(select(ApiToken).order_by(ApiToken.id)))


def test_a_token_works_for_its_maker_and_is_kept_as_a_digest(app: Flask, team: Team) -> None:
    token = make(app, team.admin)
    answer = ask(app, token)
    assert answer.json == {
        "user": str(team.admin.user_id), "organization": str(team.organization_id), "scopes": ["admin"],
    }  # fmt: skip
    assert ask(app, token, method="POST").status_code == 200
    (row,) = rows(app)
    assert row.last_used_at is not None
    assert row.last_used_ip == "127.0.0.1"
    assert row.masked == f"prt_••••{token[-4:]}"
    assert token.encode() not in row.digest
    assert row.expires_at - row.created_at == timedelta(days=90)


def refused(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    return answer.status_code, answer.json["title"]


@SQLITE
def test_what_is_no_good_token_is_refused_in_one_way(app: Flask, team: Team) -> None:
    token = make(app, team.admin)
    revoked = make(app, team.admin, name="Revoked")
    expired = make(app, team.admin, name="Expired", days=1)
    with app.app_context(), unit_of_work() as session:
        api_tokens.revoke(organization_id=team.organization_id, token_id=rows(app)[1].id)
        session.get_one(ApiToken, rows(app)[2].id).expires_at = clock.now()
    bad = [revoked, expired, new_api_token(), token[:-1], token + "x", "prt_", token.replace("prt_", ""), "é" * 42]
    answers = [ask(app, each.encode().decode("latin-1")) for each in bad]
    assert {refused(each) for each in answers} == {(401, "Token not accepted")}
    assert {each.headers["WWW-Authenticate"] for each in answers} == {"Bearer"}
    assert refused(app.test_client().get("/api/admin/whoami")) == (401, "Credentials missing")
    assert refused(ask(app, token, scheme="Basic")) == (401, "Credentials missing")


@SQLITE
def test_a_token_ends_with_what_its_maker_may_do(app: Flask, team: Team) -> None:
    token = make(app, team.admin)

    def change(**columns: Any) -> None:
        with app.app_context(), unit_of_work() as session:
            user = session.get_one(User, team.admin.user_id)
            for name, value in columns.items():
                setattr(user, name, value)

    change(recovery_saved_at=None)
    assert refused(ask(app, token)) == (403, "Two-factor authentication required")
    change(recovery_saved_at=clock.now(), disabled_at=clock.now())
    assert refused(ask(app, token)) == (401, "Token not accepted")
    change(disabled_at=None)
    assert ask(app, token).status_code == 200
    with app.app_context(), unit_of_work() as session:
        membership = session.scalars(select(Membership).where(Membership.user_id == team.admin.user_id)).one()
        session.delete(membership)
    assert refused(ask(app, token)) == (401, "Token not accepted")
    assert rows(app) == []


@SQLITE
def test_scopes_roles_and_what_no_token_may(app: Flask, team: Team) -> None:
    other = make(app, team.admin, name="Events", scopes=["events:write"])
    assert refused(ask(app, other)) == (403, "Scope missing")
    agents = make(app, team.agent, name="Agent")
    assert refused(ask(app, agents)) == (403, "Admins only")
    owners = make(app, team.owner, name="Owner")
    assert refused(ask(app, owners, "/api/admin/reveal", "POST")) == (403, "Session required")


@SQLITE
def test_sessions_use_the_api_too_with_their_csrf_token(app: Flask, team: Team, admin: Browser) -> None:
    assert admin.get("/api/admin/whoami").get_json()["scopes"] == []
    assert refused(admin.client.post("/api/admin/whoami")) == (403, "CSRF token missing")
    headers = {"X-CSRFToken": admin.csrf}
    assert admin.client.post("/api/admin/whoami", headers=headers).status_code == 200
    assert admin.client.post("/api/admin/reveal", headers=headers).status_code == 200
    admin.forget_confirmation()
    assert refused(admin.client.post("/api/admin/reveal", headers=headers)) == (403, "Recent authentication required")
    assert refused(Browser(app, team.agent).get("/api/admin/whoami")) == (403, "Admins only")
    assert refused(Browser(app, team.newcomer).get("/api/admin/whoami")) == (403, "Two-factor authentication required")


@SQLITE
def test_a_bad_token_is_not_saved_by_a_good_cookie(app: Flask, team: Team, admin: Browser) -> None:
    answer = admin.client.get("/api/admin/whoami", headers={"Authorization": f"Bearer {new_api_token()}"})
    assert refused(answer) == (401, "Token not accepted")


@SQLITE
def test_a_token_opens_no_page(app: Flask, team: Team) -> None:
    token = make(app, team.admin)
    for path in ("/admin/integrations", "/profile", "/admin/api-tokens"):
        assert ask(app, token, path).headers["Location"].startswith("/login")


@SQLITE
def test_errors_below_the_api_are_problems(app: Flask, team: Team) -> None:
    client = app.test_client()
    assert refused(client.get("/api/nothing")) == (404, "Not found")
    assert refused(client.delete("/api/admin/whoami")) == (405, "Method not allowed")
    assert client.delete("/api/admin/whoami").headers["Allow"]
    assert "text/html" in client.get("/nothing").content_type


@SQLITE
def test_a_token_is_made_on_its_page_and_shown_once(app: Flask, team: Team, admin: Browser) -> None:
    form = admin.get("/admin/api-tokens/new").text
    assert 'value="admin"' in form
    assert 'value="events:write"' in form
    assert "checked" not in form, "whoever makes a token says what it may do"
    answer = admin.post("/admin/api-tokens/new", {"name": "Payroll <b>", "scopes": "admin", "days": "30"})
    (token,) = set(PATTERN.findall(answer.text))
    assert ask(app, token).status_code == 200
    page = admin.get("/admin/api-tokens")
    assert token not in page.text
    assert f"prt_••••{token[-4:]}" in page.text
    assert "Payroll <b>" in words(page)
    (row,) = rows(app)
    admin.post(f"/admin/api-tokens/{row.id}/revoke")
    assert refused(ask(app, token)) == (401, "Token not accepted")
    assert "Revoked" in words(admin.get("/admin/api-tokens"))
    with app.app_context(), reading() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.target_type == "token")).all()
    assert {each.action for each in entries} == {"token.created", "token.revoked"}
    assert token not in str([each.after for each in entries])


@SQLITE
@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"name": " ", "scopes": "admin", "days": "30"}, "Enter a name."),
        ({"name": "x" * 101, "scopes": "admin", "days": "30"}, "Shorten the name to 100 characters."),
        ({"name": "Export", "days": "30"}, "Choose at least one scope."),
        ({"name": "Export", "scopes": "root", "days": "30"}, "not"),
        ({"name": "Export", "scopes": "admin", "days": "400"}, "Not a valid choice"),
        ({"name": "Export", "scopes": "admin", "days": "x"}, "Invalid Choice"),
        ({"name": "PAYROLL export", "scopes": "admin", "days": "30"}, "There is already a token named"),
    ],
)
def test_what_cannot_be_is_named(app: Flask, team: Team, admin: Browser, posted: dict[str, str], said: str) -> None:
    make(app, team.admin)
    answer = admin.post("/admin/api-tokens/new", posted)
    assert answer.status_code == 422
    assert said in words(answer)
    assert len(rows(app)) == 1


@SQLITE
def test_strangers_neither_see_nor_revoke(app: Flask, team: Team) -> None:
    make(app, team.admin)
    strangers = Browser(app, make_team(app, "Elsewhere").admin)
    assert "Payroll export" not in strangers.get("/admin/api-tokens").text
    assert strangers.post(f"/admin/api-tokens/{rows(app)[0].id}/revoke").status_code == 404
    assert rows(app)[0].revoked_at is None


def test_a_name_is_free_again_after_its_token_ended_and_there_are_not_too_many(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(app, team.admin)
    with app.app_context(), unit_of_work():
        api_tokens.revoke(organization_id=team.organization_id, token_id=rows(app)[0].id)
    make(app, team.admin)
    monkeypatch.setattr(api_tokens, "MOST", 1)
    with pytest.raises(BadTokenError, match="There are 1 tokens in use"):
        make(app, team.admin, name="Another")


@SQLITE
def test_the_command_prints_the_token_as_its_last_line(app: Flask, team: Team) -> None:
    def run(*arguments: str) -> Any:
        with app.app_context():
            return CliRunner().invoke(token_group, ["create", *arguments])

    good = ("--email", team.admin.email, "--name", "Cron", "--scopes", "admin")
    done = run(*good, "--expires-days", "7")
    assert done.exit_code == 0, done.output
    assert ask(app, done.output.splitlines()[-1]).status_code == 200
    with app.app_context(), reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "token.created")).one()
    assert entry.actor_kind == "command"
    for changed, said in [
        (("--scopes", "root"), "There is no scope root. There is: admin, events:write."),
        (("--email", team.agent.email), "is neither owner nor admin"),
        (("--email", team.newcomer.email), "has no two-factor authentication yet"),
        (("--email", "nobody@example.org"), "There is no user"),
        (("--name", "Other", "--expires-days", "367"), "1 to 366"),
        (("--organization", "elsewhere"), "of elsewhere"),
        ((), "There is already a token named Cron"),
    ]:
        failed = run(*good, *changed)
        assert failed.exit_code == 1
        assert said in failed.output


@SQLITE
def test_whoever_works_in_several_organizations_says_where(app: Flask, team: Team) -> None:
    elsewhere = make_team(app, "Elsewhere")
    with app.app_context(), unit_of_work() as session:
        user = session.get_one(User, team.admin.user_id)
        place = service.places(elsewhere.owner.user_id)[0]
        session.add(
            Membership(user_id=user.id, organization_id=place.organization_id, role="admin", created_at=clock.now())
        )
    arguments = ["create", "--email", team.admin.email, "--name", "Cron", "--scopes", "admin"]
    with app.app_context():
        failed = CliRunner().invoke(token_group, arguments)
        done = CliRunner().invoke(token_group, [*arguments, "--organization", "elsewhere"])
    assert "Choose one with --organization." in failed.output
    assert ask(app, done.output.splitlines()[-1]).json["organization"] == str(elsewhere.organization_id)


def test_the_checksum_finds_what_was_mistyped() -> None:
    token = new_api_token()
    assert is_well_formed(token)
    assert re.fullmatch("prt_[0-9A-Za-z]{38}", token)
    swapped = token[:10] + token[11] + token[10] + token[12:]
    assert not is_well_formed(swapped if swapped != token else token[:-1] + "_")
    assert not is_well_formed(token.lower() if token.lower() != token else token.upper())
