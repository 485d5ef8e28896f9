"""The settings view: a row per provider, what is connected of it, and what does not exist yet without a button."""

import re

import pytest
from flask import Flask

from portal.overview import settings_routes
from portal.providers import catalogue
from tests.support.integrations import failing, make_integration, unverified
from tests.support.people import Browser, Team, make_team, plain, words
from tests.support.texting import Texts, make_courier, texts

__all__ = ["texts"]

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PAGE = "/admin/settings/integrations"


def rows(text: str) -> list[str]:
    """Return the rows of the table as markup."""
    return re.findall(r"<tr>.*?</tr>", text.partition("<tbody>")[2], re.DOTALL)


def row(text: str, about: str) -> str:
    """Return the one row about a provider or an integration."""
    [found] = [each for each in rows(text) if about in plain(each)]
    return found


@pytest.mark.parametrize("path", [PAGE, "/settings/integrations"])
def test_it_stands_at_both_addresses_for_owners_and_admins(app: Flask, team: Team, path: str) -> None:
    for person in (team.owner, team.admin):
        answer = Browser(app, person).get(path)
        assert answer.status_code == 200
        assert "Connect third-party services for SMS, email, calendar, and file storage." in words(answer)
        assert f'hx-get="{path}"' in answer.text, "it fetches itself anew where it stands"
        current = re.findall(r'<a href="([^"]+)" aria-current="page">Integrations', answer.text)
        assert len(current) == 1
        assert current[0].endswith("/settings/integrations")
    assert Browser(app, team.agent).get(path).status_code == 403


def test_every_provider_has_a_row_and_what_is_to_come_has_no_button(team: Team, admin: Browser) -> None:
    text = admin.get(PAGE).text
    for provider in catalogue.all():
        shown = row(text, provider.summary)
        assert "Not connected" in plain(shown)
        assert f'href="/admin/integrations/new/{provider.slug}?from=settings"' in shown
    for slug, line in settings_routes.ANNOUNCED.items():
        if slug not in {provider.slug for provider in catalogue.all()}:
            shown = row(text, line.purpose)
            assert "Not available yet" in plain(shown)
            assert not re.search("<a |<button|<input", shown)
    assert "NDIA claims" in plain(text)
    assert "/invoices" not in text


def test_what_is_announced_gives_way_to_the_provider_itself(
    team: Team, admin: Browser, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = settings_routes.Line(icon="sms", name="Courier", purpose="Soon.")
    monkeypatch.setattr(settings_routes, "ANNOUNCED", {"courier": line})
    text = admin.get(PAGE).text
    assert "Soon." not in text
    assert "Not connected" in plain(row(text, "Text messages by courier."))


def test_each_integration_has_a_row_with_status_configure_test_and_switch(
    app: Flask, team: Team, admin: Browser, texts: Texts
) -> None:
    relay = make_integration(app, team.admin, "Relay <1>", config={"preset": "mailgun"}, **failing())
    backup = make_integration(app, team.admin, "Backup", enabled=False, status="inactive")
    sms = make_courier(app, team.admin, "Main texts", **unverified())
    make_courier(app, make_team(app, "Southgate").admin, "Of others")
    text = admin.get(PAGE).text
    for integration, name, said, test in (
        (relay, "Relay &lt;1&gt;", "SMTP, Mailgun Relay <1> Re-authenticate", "Send test email"),
        (backup, "Backup", "SMTP Backup Disabled", "Send test email"),
        (sms, "Main texts", "Courier Main texts Unverified", "Send test SMS"),
    ):
        [shown] = [each for each in rows(text) if f"/integrations/{integration}/switch" in each]
        assert plain(shown).startswith(said)
        edit = f"/admin/integrations/{integration}/edit"
        assert re.search(rf'href="{edit}\?from=settings"[^>]*hx-get="{edit}\?from=settings"[^>]*>\s*Configure', shown)
        assert re.search(rf'href="{edit}\?to=send-test&amp;from=settings"[^>]*>\s*{test}', shown)
        assert ("checked" in shown) == (integration != backup)
        assert f"{name} enabled" in shown
    assert "Of others" not in text
    assert "Not connected" not in plain(row(text, "Main texts"))
    assert not [each for each in rows(text) if "Courier" in plain(each) and "Connect" in plain(each)]


def test_the_switch_works_without_script_and_comes_back_here(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    path = f"/admin/integrations/{integration}/switch"
    answer = admin.post(path, Referer=f"http://localhost{PAGE}")
    assert answer.headers["Location"] == PAGE
    page = admin.get(PAGE)
    assert "Email relay is disabled." in words(page)
    assert "Disabled" in plain(row(page.text, "Email relay"))


def test_the_region_alone_is_fetched_anew(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin)
    part = admin.get(PAGE, target="settings")
    assert "Email relay" in part.text
    assert "<h1" not in part.text


def test_a_long_list_is_cut_and_says_so_and_offers_nothing_to_connect_that_is_connected(
    app: Flask, team: Team, admin: Browser, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_routes, "MOST_SHOWN", 1)
    make_courier(app, team.admin)
    make_integration(app, team.admin)
    text = admin.get(PAGE).text
    assert "These are the first integrations." in plain(text)
    assert "Connect SMTP" not in plain(text)
