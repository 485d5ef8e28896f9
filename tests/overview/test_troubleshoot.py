"""The Troubleshoot page: what is known at once, then the test of what is stored, with the mend."""

import pytest
from flask import Flask

from portal.integrations import drafts
from portal.integrations.calls import TooBusy
from portal.integrations.models import Status
from tests.alerts.kit import look, only
from tests.support.integrations import CANARY, Mail, failing, load, logs, make_integration, passed, refused
from tests.support.people import Browser, Team, make_team, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def test_the_page_says_what_is_known_and_begins_to_test(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **failing())
    look(app)
    address = f"/admin/integrations/{integration}/troubleshoot"
    answer = admin.get(address)
    text = words(answer)
    for said in ("Troubleshoot Email relay", "Impact: emails not sending.", "2 failed checks in a row", "Reconnect",
                 "Configure", "View logs", "Recent errors"):  # fmt: skip
        assert said in text, said
    assert f'hx-post="{address}" hx-trigger="load"' in answer.text
    assert f'href="/admin/alerts/{only(app).id}"' in answer.text
    assert mail.tested == [], "looking tests nothing"


def test_the_test_names_cause_and_mend_and_decides_nothing(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    address = f"/admin/integrations/{integration}/troubleshoot"
    mail.report = refused()
    answer = admin.post(address, target="test-result")
    assert answer.text.lstrip().startswith('<div id="test-result"')
    text = words(answer)
    for said in ("Not working: login failed", "The server refused the login. Check user name and password.", "Mend it"):
        assert said in text, said
    assert "hx-trigger" not in answer.text, "it does not begin again by itself"
    assert [each["password"] for each in mail.tested] == [CANARY]
    assert (load(app, integration).status, logs(app)) == (Status.ACTIVE, [])
    mail.report = passed()
    without_script = admin.post(address)
    assert "Connection works" in words(without_script)
    assert "Mend it" not in words(without_script)
    assert "<h1>" in without_script.text


def test_too_many_at_once_are_told_to_wait(
    app: Flask, team: Team, admin: Browser, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = make_integration(app, team.admin)

    def busy(*_given: object, **_more: object) -> None:
        raise TooBusy

    monkeypatch.setattr(drafts, "test", busy)
    answer = admin.post(f"/admin/integrations/{integration}/troubleshoot", target="test-result")
    assert "Not tested: several tests are running" in words(answer)


def test_integrations_of_others_are_not_there(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    spy = Browser(app, make_team(app, "Southline").admin)
    address = f"/admin/integrations/{integration}/troubleshoot"
    assert (spy.get(address).status_code, spy.post(address).status_code, mail.tested) == (404, 404, [])
