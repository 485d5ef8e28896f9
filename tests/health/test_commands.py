"""`portal integrations …`: what it lists, what a check prints, and how it says which one it does not know."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from portal import clock
from portal.audit import access
from portal.database import reading
from portal.health.commands import integrations_group
from portal.integrations.models import CheckKind
from portal.providers.base import Outcome
from tests.support.integrations import Mail, failing, load, logs, make_integration, refused
from tests.support.people import Team, make_team
from tests.support.processes import portal, running
from tests.support.texting import Texts, make_courier, texts

__all__ = ["texts"]

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def run(app: Flask) -> Any:
    def invoke(*args: str) -> Result:
        with app.app_context():
            return app.test_cli_runner().invoke(integrations_group, args)

    return invoke


@SQLITE
def test_the_list_is_a_table_by_organization_and_name(app: Flask, run: Any, team: Team) -> None:
    assert run("list").stdout == "There are no integrations.\n"
    moment = clock.now().replace(2026, 11, 21, 14, 2)
    make_integration(
        app, team.admin, "Relay \x1b[31m", config={"preset": "mailgun"}, **failing(last_health_check=moment)
    )
    make_integration(app, team.admin, "Backup", enabled=False)
    make_integration(app, make_team(app, "Arbour").admin, "Mail")
    lines = [line.split("  ") for line in run("list").stdout.splitlines()]
    assert [[cell.strip() for cell in line if cell] for line in lines] == [
        ["Organization", "Provider", "Name", "Status", "Last check"],
        ["arbour", "SMTP", "Mail", "Active", "never"],
        ["northline", "SMTP", "Backup", "Disabled", "never"],
        ["northline", "SMTP, Mailgun", "Relay [31m", "Re-authenticate", "2026-11-21 14:02 UTC"],
    ]
    assert "northline" not in run("list", "--organization", "arbour").stdout


@SQLITE
def test_the_list_as_json_has_ids_and_errors_and_no_secret(app: Flask, run: Any, team: Team) -> None:
    assert json.loads(run("list", "--json").stdout) == []
    integration = make_integration(app, team.admin, **failing())
    [row] = json.loads(run("list", "--json").stdout)
    assert row | {"organization": "northline", "id": str(integration), "provider": "smtp", "type": "email",
                  "name": "Email relay", "enabled": True, "status": "error", "condition": "reauth", "sandbox": False,
                  "last_health_check": None, "error_message": "The server refused the login."} == row  # fmt: skip
    assert "config" not in row


@SQLITE
def test_a_check_prints_its_steps_and_is_logged_for_the_person_in_the_shell(
    app: Flask, run: Any, team: Team, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    result = run("check", "email RELAY")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["Email", "relay", "(SMTP,", "northline)"],
        ["passed", "DNS", "3", "ms"],
        ["passed", "Login", "9", "ms"],
        ["Passed", "in", "84", "ms."],
    ]
    [log] = logs(app)
    assert (log.check_type, log.integration_id) == (CheckKind.MANUAL, integration)
    assert log.detail["asked_by"].lower().endswith("shell")
    with app.app_context(), reading():
        use = access.last_use(integration)
    assert use is not None
    assert (use.purpose, use.actor_name) == ("Health check", log.detail["asked_by"])


@SQLITE
def test_a_failed_check_says_what_to_do_and_is_exit_code_1(app: Flask, run: Any, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    mail.report = refused()
    result = run("check", str(integration))
    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "535 5.7.8 no" in result.stdout
    said = "Failed: login failed. The server refused the login. Check user name and password. Code 535 5.7.8."
    assert said in result.stdout
    assert result.stderr == "Error: 1 of 1 not passed: Email relay (SMTP, northline).\n"
    assert load(app, integration).error_count == 1


@SQLITE
def test_being_asked_to_slow_down_is_no_failure(app: Flask, run: Any, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin)
    mail.report = refused(Outcome.RATE_LIMITED, "too many requests")
    result = run("check", "Email relay")
    assert result.exit_code == 0
    assert "Limited: too many requests." in result.stdout


@SQLITE
def test_all_means_every_enabled_one(app: Flask, run: Any, team: Team, mail: Mail, texts: Texts) -> None:
    assert run("check", "--all").stdout == "Nothing to check: no integration is enabled.\n"
    make_integration(app, team.admin, "Off", enabled=False)
    make_integration(app, team.admin, "Relay")
    make_courier(app, team.admin, "Texts")
    make_integration(app, make_team(app, "Arbour").admin, "Mail")
    mail.report = refused()
    result = run("check", "--all")
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if not line.startswith(" ")] == [
        "Mail (SMTP, arbour)", "Relay (SMTP, northline)", "Texts (Courier, northline)",
    ]  # fmt: skip
    assert "2 of 3 not passed: Mail (SMTP, arbour); Relay (SMTP, northline)." in result.stderr
    assert run("check", "--all", "--provider", "courier").exit_code == 0
    assert len(logs(app)) == 4


@SQLITE
def test_of_several_with_a_name_it_says_which(app: Flask, run: Any, team: Team, mail: Mail, texts: Texts) -> None:
    first = make_integration(app, team.admin, "Main")
    make_courier(app, team.admin, "Main")
    make_integration(app, make_team(app, "Arbour").admin, "main")
    result = run("check", "Main")
    assert result.exit_code == 1
    for said in (f"{first} Main (SMTP, northline)", "Main (Courier, northline)", "main (SMTP, arbour)", "--provider"):
        assert said in result.stderr
    assert logs(app) == []
    for more in (["--organization", "arbour"], ["--provider", "courier"]):
        assert run("check", "Main", *more).exit_code == 0


REFUSED = [
    (["check", "Nobody"], "There is no integration named Nobody."),
    (["check", "Off"], "Off (SMTP, northline) is disabled, so it is not checked."),
    (["check", "Off", "--provider", "twilio"], "There is no integration named Off."),
    (["check", "--all", "--organization", "nowhere"], "There is no organization nowhere. There is: northline."),
    (["list", "--organization", "nowhere"], "There is no organization nowhere."),
]


@SQLITE
def test_what_cannot_be_done_is_one_line_and_exit_code_1(app: Flask, run: Any, team: Team, mail: Mail) -> None:
    make_integration(app, team.admin, "Off", enabled=False)
    for args, said in REFUSED:
        result = run(*args)
        assert result.exit_code == 1, args
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


@SQLITE
def test_wrong_usage_is_exit_code_2(run: Any) -> None:
    for args in (["check"], ["check", "One", "--all"], ["check", ""], ["check", "One", "Two"], ["nothing"]):
        assert run(*args).exit_code == 2, args


@SQLITE
def test_every_command_explains_itself(run: Any) -> None:
    for name in integrations_group.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert "--organization" in result.stdout


def test_it_is_a_command_of_portal(tmp_path: Path) -> None:
    """In a process of its own: portal.cli binds the commands of this one to the application that it starts."""
    with running(portal("integrations", "--help"), {}, tmp_path) as process:
        assert process.end() == 0
    assert any("check" in line for line in process.said)
