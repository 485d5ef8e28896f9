"""Signing in: password, authenticator app, recovery code; and what happens when a session runs out."""

import re

import pytest
from playwright.sync_api import expect
from pyotp import TOTP

from e2e.conftest import Open
from e2e.support.seeding import PASSWORD, Place, Seeder
from e2e.support.visiting import Visitor
from portal.web.access import Role


@pytest.fixture
def stranger(open_window: Open) -> Visitor:
    """A window in which nobody is signed in."""
    return open_window()


def test_with_password_and_authenticator_app(stranger: Visitor, place: Place) -> None:
    stranger.go("/admin/integrations?status=error")
    expect(stranger.page).to_have_url(re.compile("/login"))
    expect(stranger.page.get_by_label("Email")).to_be_focused()
    stranger.look()
    with stranger.expecting(422):
        stranger.submit("Sign in", email=place.email, password="not-the-password-of-dana")
        expect(stranger.page.locator(".error")).to_be_visible()
        expect(stranger.page.locator("[name=password]")).to_be_focused()
        expect(stranger.page.locator("[name=password]")).to_have_value("")
        stranger.look()
    stranger.submit("Sign in", password=PASSWORD)
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    stranger.look()
    stranger.go("/admin/integrations?status=error")
    expect(stranger.page).to_have_url(re.compile("/login"))  # a password alone opens nothing
    stranger.submit("Sign in", email=place.email, password=PASSWORD)
    code = TOTP(place.totp_secret).now()
    with stranger.expecting(422):
        stranger.submit("Verify", code="000000" if code != "000000" else "111111")
        expect(stranger.page.locator("[name=code]")).to_have_attribute("aria-invalid", "true")
        stranger.look()
    stranger.submit("Verify", code=code)
    expect(stranger.page).to_have_url(re.compile(r"/admin/integrations\?status=error$"))
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Integrations")

    stranger.button("Sign out").click()
    expect(stranger.page).to_have_url(re.compile("/login$"))
    stranger.said("Signed out.")
    stranger.submit("Sign in", email=place.email, password=PASSWORD)
    with stranger.expecting(422):
        stranger.submit("Verify", code=code)  # no code works twice
        expect(stranger.page.locator(".error")).to_be_visible()


def test_with_a_recovery_code_once(stranger: Visitor, place: Place) -> None:
    for attempt in ("first", "second"):
        stranger.go("/login")
        stranger.submit("Sign in", email=place.email, password=PASSWORD)
        stranger.page.get_by_role("link", name="Use a recovery code").click()
        expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Enter a recovery code")
        if attempt == "first":
            stranger.look()
            stranger.submit("Verify", code=place.recovery_codes[0].lower())
            expect(stranger.page).to_have_url(re.compile("/admin/integrations$"))
            stranger.button("Sign out").click()
            continue
        with stranger.expecting(422):
            stranger.submit("Verify", code=place.recovery_codes[0])
            expect(stranger.page.locator(".error")).to_be_visible()


def test_a_session_that_ran_out_leads_to_sign_in_and_back(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go("/admin/integrations")
    seeds.end_sessions(place)
    with visitor.expecting(401):
        visitor.button("Test Email relay").click()
        visitor.page.wait_for_url(re.compile("/login"))
    assert seeds.logs(relay) == []
    visitor.submit("Sign in", email=place.email, password=PASSWORD)
    visitor.submit("Verify", code=TOTP(place.totp_secret).now())
    expect(visitor.page).to_have_url(re.compile("/admin/integrations$"))
    expect(visitor.line("Email relay")).to_be_visible()


def test_an_open_dashboard_leads_to_sign_in_by_itself(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    seeds.integration(place, "Email relay")
    visitor.page.clock.install()
    visitor.go("/admin/integrations")
    seeds.end_sessions(place)
    with visitor.expecting(401):
        visitor.page.clock.fast_forward(16_000)
        visitor.page.wait_for_url(re.compile("/login"))


def test_an_agent_sees_the_own_account_only(open_window: Open, seeds: Seeder) -> None:
    agent = seeds.place(role=Role.AGENT)
    visitor = open_window()
    visitor.go("/login")
    visitor.submit("Sign in", email=agent.email, password=PASSWORD)
    visitor.submit("Verify", code=TOTP(agent.totp_secret).now())
    expect(visitor.page).to_have_url(re.compile("/profile$"))
    expect(visitor.page.get_by_role("navigation", name="Main").get_by_role("link", name="Health logs")).to_have_count(0)
    visitor.look()
    with visitor.expecting(403):
        visitor.go("/admin/integrations")
        expect(visitor.page.locator("[data-error]")).to_be_visible()
        visitor.look()
