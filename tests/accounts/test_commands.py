"""`portal user …`: what it prints, what it refuses in one line, and that the people it makes can sign in."""

from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from portal import clock
from portal.accounts.commands import user_group
from portal.security import totp
from tests.accounts.conftest import PASSWORD, SQLITE, words

pytestmark = SQLITE


@pytest.fixture
def run(app: Flask) -> Any:
    def invoke(*args: str, stdin: str = "") -> Result:
        with app.app_context():
            return app.test_cli_runner().invoke(user_group, args, input=stdin)

    return invoke


def made(run: Any, email: str = "dana@northline.example", role: str = "owner", *more: str) -> Result:
    result: Result = run("create", "--email", email, "--role", role, "--password-stdin", *more, stdin=PASSWORD + "\n")
    return result


def test_the_first_user_makes_an_organization_and_signs_in_with_the_secret(run: Any, browser: Any, trail: Any) -> None:
    result = made(run, "Dana@Northline.example", "owner", "--organization", "Northline Staffing", "--with-totp")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "Organization: northline-staffing (Northline Staffing)"
    assert PASSWORD not in result.stdout
    browser.post("/login", {"email": "dana@northline.example", "password": PASSWORD})
    answer = browser.post("/login/two-factor", {"code": totp.code_at(lines[-1], clock.now())})
    assert answer.headers["Location"] == "/admin/integrations"
    assert browser.get("/admin/integrations").status_code == 200
    assert {each.actor_kind for each in trail() if each.action in ("member.created", "organization.created")} == {
        "command"
    }


def test_a_password_is_made_and_printed_where_none_is_given(run: Any, browser: Any) -> None:
    result = run("create", "--email", "agent@x.example", "--role", "agent")
    assert result.stdout.splitlines()[0] == "Organization: my-organization (My organization)"
    password = next(line for line in result.stdout.splitlines() if line.startswith("Password: ")).partition(": ")[2]
    assert len(password) >= 20
    assert browser.post("/login", {"email": "agent@x.example", "password": password}).status_code == 303


def test_later_users_join_the_organization_that_is_there(run: Any, browser: Any) -> None:
    made(run)
    result = made(run, "agent@x.example", "agent", "--name", "Ada Ωmega")
    assert result.stdout == "User: agent@x.example, agent in My organization\n"
    browser.post("/login", {"email": "agent@x.example", "password": PASSWORD})
    assert "Ada Ωmega Agent, My organization" in words(browser.get("/profile"))


REFUSED = [
    (["create", "--email", "nonsense", "--role", "agent"], "", "This is no email address."),
    (["create", "--email", "dana@northline.example", "--role", "agent"], "", "There is already a user with the email"),
    (["create", "--email", "b@x.example", "--role", "agent", "--organization", "nowhere"], "", "my-organization"),
    (
        ["create", "--email", "b@x.example", "--role", "agent", "--password-stdin"],
        "short\n",
        "Use at least 12 characters.",
    ),
    (["create", "--email", "b@x.example", "--role", "agent", "--password-stdin"], "", "Use at least 12 characters."),
    (["reset-password", "--email", "nobody@x.example"], "", "There is no user with the email nobody@x.example."),
    (["reset-2fa", "--email", "nobody@x.example"], "", "There is no user"),
    (["disable", "--email", "nobody@x.example"], "", "There is no user"),
    (["enable", "--email", ""], "", "Enter an email address."),
]


def test_what_cannot_be_done_is_one_line_and_exit_code_1(run: Any) -> None:
    made(run)
    for args, stdin, said in REFUSED:
        result = run(*args, stdin=stdin)
        assert result.exit_code == 1, args
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


def test_wrong_usage_is_exit_code_2(run: Any) -> None:
    for args in (["create", "--email", "a@x.example", "--role", "king"], ["create"], ["nothing"]):
        assert run(*args).exit_code == 2, args


def test_a_new_password_signs_out_and_leaves_the_second_factor(run: Any, browser: Any, dana: Any) -> None:
    browser.sign_in(dana)
    result = run("reset-password", "--email", dana.email, "--password-stdin", stdin="nine green apples in the attic\n")
    assert result.exit_code == 0
    assert browser.get("/profile").headers["Location"].startswith("/login")
    answer = browser.post("/login", {"email": dana.email, "password": "nine green apples in the attic"})
    assert answer.headers["Location"] == "/login/two-factor"


def test_a_reset_second_factor_is_enrolled_anew(run: Any, browser: Any, dana: Any, trail: Any) -> None:
    browser.sign_in(dana)
    assert run("reset-2fa", "--email", dana.email).exit_code == 0
    assert browser.get("/profile").headers["Location"].startswith("/login")
    browser.post("/login", {"email": dana.email, "password": PASSWORD})
    assert "/profile/two-factor/required" in browser.get("/admin/integrations").headers["Location"]
    assert "two_factor.reset" in [each.action for each in trail()]


def test_a_disabled_user_is_out_at_once_and_back_when_enabled(run: Any, browser: Any, dana: Any, trail: Any) -> None:
    browser.sign_in(dana)
    assert run("disable", "--email", dana.email).exit_code == 0
    assert browser.get("/profile").headers["Location"].startswith("/login")
    assert browser.post("/login", {"email": dana.email, "password": PASSWORD}).status_code == 422
    assert "was disabled before" in run("disable", "--email", dana.email).stdout
    assert run("enable", "--email", dana.email).exit_code == 0
    assert browser.post("/login", {"email": dana.email, "password": PASSWORD}).status_code == 303
    assert [each.action for each in trail() if each.target_type == "user"].count("member.disabled") == 1


def test_every_command_explains_itself(run: Any) -> None:
    for name in user_group.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert "--email" in result.stdout
