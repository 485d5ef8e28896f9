"""A canary password goes through every page, check and error against a real mail server, and is seen nowhere."""

import base64
import io
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import inspect, text
from werkzeug.test import TestResponse

from portal import logs as portal_logs
from portal.database import db, reading
from portal.health import checks
from portal.health import service as health
from portal.integrations.models import Condition, Status
from portal.sandbox import PASSWORD as SANDBOX_PASSWORD
from portal.sandbox import Sandbox
from portal.sandbox.apis import teams
from portal.security.redaction import RedactingFilter
from portal.settings import Settings
from tests.support.integrations import CANARY, all_integrations, load, logs, posted
from tests.support.people import Browser, Team, make_team, words

NEW = "/admin/integrations/new/smtp"
FAULTS = ["bad_credentials", "error_500", "rate_limit", "malformed", "revoked", "slow"]


def disguises(secret: str) -> list[str]:
    """Return the forms in which a secret could travel, each long enough to be told from chance."""
    raw = secret.encode()
    plain = base64.b64encode(b"\0portal\0" + raw).decode()
    return [
        secret,
        secret[:12],
        quote(secret),
        raw.hex(),
        repr(secret)[1:-1],
        secret.encode("unicode_escape").decode(),
        base64.b64encode(raw).decode().rstrip("=")[:-1],
        base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1],
        plain[12:-4],
    ]


def appears(secret: str, where: str | bytes) -> list[str]:
    """Return the forms of a secret that are found somewhere."""
    if isinstance(where, bytes):
        return [form for form in disguises(secret) if form.encode() in where]
    return [form for form in disguises(secret) if form in where]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A real mail server with STARTTLS and AUTH on loopback."""
    with Sandbox().start(0, 0) as running:
        yield running


@pytest.fixture
def wired(settings: Settings, start_app: Callable[[Settings], Flask], sandbox: Sandbox) -> Flask:
    """An application whose sandboxed integrations reach the mail server."""
    sandbox.reset()
    return start_app(replace(settings, sandbox_url=sandbox.url))


@pytest.fixture
def team(wired: Flask) -> Team:
    return make_team(wired)


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What the portal's own handlers write, of every record down to debug."""
    caplog.set_level(logging.DEBUG)
    stream = io.StringIO()
    handlers = [logging.StreamHandler(stream) for _ in range(2)]
    for handler, formatter in zip(handlers, (portal_logs.LineFormatter(), portal_logs.JsonFormatter()), strict=True):
        handler.setFormatter(formatter)
        handler.addFilter(RedactingFilter())
        logging.getLogger().addHandler(handler)
    yield stream
    for handler in handlers:
        logging.getLogger().removeHandler(handler)


def sent(**changes: str) -> dict[str, str]:
    return posted(sandbox="y", **changes)


def contents(app: Flask) -> str:
    """Return every value of every table as text."""
    with app.app_context(), db.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        return "\n".join(repr(row) for name in tables for row in connection.execute(text(f"SELECT * FROM {name}")))  # noqa: S608 - names of our own tables


def walk(admin: Browser, integration: str) -> list[TestResponse]:
    """Open every page that could show something of an integration."""
    one = f"/admin/integrations/{integration}"
    pages = [one, f"{one}/edit", f"{one}/logs", "/admin/integrations", "/admin/integrations/new", "/admin/health-logs",
             "/admin/audit", "/admin/credential-access", "/profile"]  # fmt: skip
    return [admin.get(page, htmx=htmx) for page in pages for htmx in (False, True)]


def test_the_canary_is_seen_nowhere(
    wired: Flask, team: Team, sandbox: Sandbox, written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    admin, answers = Browser(wired, team.admin), []
    for fault in ["none", *FAULTS]:
        sandbox.fault("smtp", mode=fault, delay_ms=1 if fault == "slow" else None)
        forms = [sent(intent=intent, test_to="dana@example.org") for intent in ("test", "send_test", "test_and_save")]
        answers += [admin.post(NEW, each, target="drawer-host") for each in forms]
    answers += [
        admin.post(NEW, sent(intent="save")),
        admin.post(NEW, sent(intent="save")),
        admin.post(NEW, sent(host="")),
        admin.post(NEW, sent(password=CANARY + "\n")),
        admin.client.post(NEW, data=sent()),
        admin.client.post(NEW, data=sent(), headers={"Host": "evil.example"}),
    ]
    [stored] = all_integrations(wired)
    for fault in FAULTS:
        sandbox.fault("smtp", mode=fault, delay_ms=1 if fault == "slow" else None)
        answers.append(admin.post(f"/admin/integrations/{stored.id}/check", target=f"row-{stored.id}"))
        answers.append(admin.post(f"/admin/integrations/{stored.id}/test", target="drawer-host"))
    answers += walk(admin, str(stored.id))
    assert {each.status_code for each in answers} <= {200, 204, 303, 400, 422}
    assert len(logs(wired)) == len(FAULTS)
    for answer in answers:
        assert appears(CANARY, answer.text + str(answer.headers)) == [], words(answer)[:200]
    assert appears(CANARY, caplog.text) == []
    assert appears(CANARY, written.getvalue()) == []
    assert appears(CANARY, contents(wired)) == []
    assert load(wired, stored.id).condition == Condition.UNVERIFIED, "the sandbox never took this password"


WEB_CANARY = "cAnArY4f1d9c77b2e0f5a1b3c7d9e8f6"
WEB = {
    "sendgrid": {
        "api_key": f"SG.{WEB_CANARY[:16]}.{WEB_CANARY}",
        "verified_sender": "noreply@northline.example",
        "region": "global",
    },
    "twilio": {"account_sid": "AC" + "5" * 32, "auth_token": WEB_CANARY, "from_number": "+61491570006"},
    "slack": {"webhook_url": f"https://hooks.slack.com/services/T0SANDBOX/B0ALERTS/{WEB_CANARY}", "channel": "#alerts"},
    "teams": {"webhook_url": f"{teams.HOOK.partition('&sig=')[0]}&sig={WEB_CANARY}"},
}
"""Provider over HTTPS → what its drawer posts, the canary as its secret."""


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("slug", sorted(WEB))
def test_a_canary_key_of_a_web_provider_is_seen_nowhere(
    wired: Flask, sandbox: Sandbox, written: io.StringIO, caplog: pytest.LogCaptureFixture, slug: str
) -> None:
    admin, answers, new = Browser(wired, make_team(wired).admin), [], f"/admin/integrations/new/{slug}"
    form = {"name": "Canary", "sandbox": "y", **WEB[slug]}
    for fault in ["none", *FAULTS]:
        sandbox.fault(slug, mode=fault, delay_ms=1 if fault == "slow" else None)
        answers += [admin.post(new, {**form, "intent": intent, "test_to": "x"}) for intent in ("test", "send_test")]
    answers.append(admin.post(new, {**form, "intent": "save"}))
    [stored] = all_integrations(wired)
    for fault in ["none", *FAULTS]:
        sandbox.fault(slug, mode=fault, delay_ms=1 if fault == "slow" else None)
        answers.append(admin.post(f"/admin/integrations/{stored.id}/check", target=f"row-{stored.id}"))
    answers += [*walk(admin, str(stored.id)), admin.get(f"/api/admin/integrations/{stored.id}"), admin.get("/api/docs")]
    assert {each.status_code for each in answers} <= {200, 204, 303, 422}
    assert len(logs(wired)) == len(FAULTS) + 1
    seen = "".join(each.text + str(each.headers) for each in answers)
    folder = wired.extensions["portal_settings"].instance_dir
    files = b"".join(each.read_bytes() for each in sorted(folder.glob("portal.db*")))
    for where in (seen, caplog.text, written.getvalue(), contents(wired), files):
        assert appears(WEB_CANARY, where) == []
    shown = {"sendgrid": "verified_sender", "twilio": "from_number", "slack": "channel"}
    assert WEB[slug].get(shown.get(slug, ""), "Workflow") in seen, "the search itself works"


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_bytes_of_the_database_do_not_hold_it(wired: Flask, team: Team, settings: Settings) -> None:
    admin = Browser(wired, team.admin)
    admin.post(NEW, sent())
    [stored] = all_integrations(wired)
    admin.post(f"/admin/integrations/{stored.id}/edit", sent(password="second-" + CANARY, password__action="replace"))
    admin.post(f"/admin/integrations/{stored.id}/delete", {"confirm_name": "Email relay"})
    files = sorted(settings.instance_dir.glob("portal.db*"))
    assert [each.name for each in files] == ["portal.db", "portal.db-shm", "portal.db-wal"]
    for file in files:
        assert appears(CANARY, file.read_bytes()) == []
        assert SANDBOX_PASSWORD.encode() not in file.read_bytes()
    assert b"mail.example.com" in b"".join(each.read_bytes() for each in files), "the search itself works"


def test_a_crash_in_the_middle_of_a_call_shows_nothing(
    wired: Flask, team: Team, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver never raises; if it does all the same, its traceback passes the portal's handlers."""

    def crash(_provider: object, values: dict[str, object], _context: object) -> None:
        raise RuntimeError(f"could not log in with password={values['password']!r}")

    monkeypatch.setattr("portal.providers.smtp.provider.Smtp.test", crash)
    answer = Browser(wired, team.admin).post(NEW, sent(intent="test"))
    assert answer.status_code == 500
    assert appears(CANARY, answer.text) == []
    assert "could not log in" in written.getvalue()
    assert appears(CANARY, written.getvalue()) == []


def test_against_the_real_server_the_right_password_verifies_and_a_test_email_arrives(
    wired: Flask, team: Team, sandbox: Sandbox
) -> None:
    admin = Browser(wired, team.admin)
    right = {"password": SANDBOX_PASSWORD, "security": "tls", "port": "465"}
    answer = admin.post(NEW, sent(intent="test_and_save", **right))
    assert answer.status_code == 303, words(answer)
    [stored] = all_integrations(wired)
    assert (stored.status, stored.condition, stored.sandbox) == (Status.ACTIVE, None, True)
    kept = {**right, "password": "", "password__action": "keep"}
    answer = admin.post(
        f"/admin/integrations/{stored.id}/edit", sent(intent="send_test", test_to="dana@example.org", **kept)
    )
    assert "Test email accepted for dana@example.org" in words(answer)
    [arrived] = sandbox.outbox
    assert "Test email from Integrations Portal" in str(arrived)
    assert appears(SANDBOX_PASSWORD, str(arrived)) == []
    answer = admin.post(f"/admin/integrations/{stored.id}/check")
    [log] = logs(wired)
    assert log.status == "success"
    assert [step["name"] for step in log.detail["steps"]] == ["DNS", "TCP", "TLS", "Login", "NOOP"]
    assert "1 integration points at the sandbox." in words(admin.get("/admin/integrations"))


def test_a_sandbox_that_is_gone_is_said_and_no_real_server_is_asked(
    settings: Settings, start_app: Callable[[Settings], Flask]
) -> None:
    app = start_app(replace(settings, sandbox_url="http://127.0.0.1:1"))
    admin = Browser(app, make_team(app).admin)
    answer = admin.post(NEW, sent(intent="test"))
    assert answer.status_code == 200
    assert "andbox" in words(answer)
    assert re.search("Not working", words(answer))


def test_two_failed_checks_make_an_error_and_one_success_mends_it(wired: Flask, team: Team, sandbox: Sandbox) -> None:
    admin = Browser(wired, team.admin)
    admin.post(NEW, sent(intent="test_and_save", password=SANDBOX_PASSWORD))
    [stored] = all_integrations(wired)
    path = f"/admin/integrations/{stored.id}/check"
    sandbox.fault("smtp", mode="bad_credentials")
    admin.post(path)
    assert load(wired, stored.id).status == Status.ACTIVE, "a first failure only asks for a second look"
    admin.post(path)
    broken = load(wired, stored.id)
    assert (broken.status, broken.condition) == (Status.ERROR, Condition.REAUTH)
    dashboard = words(admin.get("/admin/integrations"))
    for said in ("Critical alerts", "Email relay (SMTP):", "Impact: emails not sending.", "Reconnect", "Troubleshoot"):
        assert said in dashboard
    sandbox.reset()
    admin.post(path)
    assert load(wired, stored.id).status == Status.ACTIVE
    assert "Critical alerts" not in words(admin.get("/admin/integrations"))


def test_what_is_due_is_checked_by_a_worker_against_the_real_server(wired: Flask, team: Team, sandbox: Sandbox) -> None:
    admin = Browser(wired, team.admin)
    admin.post(NEW, sent(password=SANDBOX_PASSWORD))
    with wired.app_context():
        [claim] = checks.claim_due(5)
        report = checks.run(claim)
        assert report is not None
        assert report.ok
    [stored] = all_integrations(wired)
    assert (stored.status, stored.condition) == (Status.ACTIVE, None)
    with wired.app_context(), reading():
        found = health.logs(organization_id=team.organization_id, filters=health.LogFilters())
        assert [(each.check_type, each.status) for each in found.items] == [("auto", "success")]
