"""A phone: everything is reached, nothing scrolls sideways. Visitor.look holds every other state to that, too."""

import re

import pytest
from playwright.sync_api import expect

from e2e.conftest import Open
from e2e.support.canary import GOOD, WRONG
from e2e.support.portal import Portal
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor

LONG = (
    "Invoices, payslips and reminders of the subsidiary in Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
)


@pytest.fixture
def phone(open_window: Open, portal: Portal, seeds: Seeder, place: Place) -> Visitor:
    """A narrow window, touched by fingers, signed in."""
    return open_window(cookie=seeds.cookie(place, portal.url), phone=True)


def test_the_menu_opens_and_leads_on(phone: Visitor) -> None:
    phone.go("/admin/integrations")
    links = phone.page.get_by_role("navigation", name="Main")
    expect(links).to_be_hidden()
    phone.button("Menu").click()
    expect(links).to_be_visible()
    assert phone.sideways() == []
    phone.page.keyboard.press("Escape")
    expect(links).to_be_hidden()
    expect(phone.button("Menu")).to_be_focused()
    phone.button("Menu").click()
    links.get_by_role("link", name="Health logs").click()
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Health logs")
    expect(links).to_be_hidden()


def test_long_names_and_long_errors_fit(phone: Visitor, seeds: Seeder, place: Place) -> None:
    host = "smtp." + "a" * 60 + ".northline.example"
    relay = seeds.integration(place, LONG[:100], host=host, password=WRONG)
    seeds.check(relay, times=2)
    seeds.integration(place, "Unbroken" * 12)
    for address in ("", f"/{relay}", f"/{relay}/logs", f"/{relay}/edit", "/new"):
        phone.go(f"/admin/integrations{address}")
        assert phone.sideways() == [], address
    phone.go("/admin/integrations")
    expect(phone.page.locator(".alert")).to_contain_text(host)
    phone.look()
    phone.go(f"/admin/integrations/{relay}")
    phone.look()


def test_long_names_fit_a_wide_window_too(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Unbroken" * 12, password=WRONG)
    seeds.check(relay, times=2)
    for address in ("", f"/{relay}", f"/{relay}/logs"):
        visitor.go(f"/admin/integrations{address}")
        visitor.look()
    for address in ("/admin/health-logs", "/admin/audit", "/admin/credential-access"):
        visitor.go(address)
        visitor.look()


def test_an_integration_is_added_with_thumbs(phone: Visitor, seeds: Seeder, place: Place) -> None:
    phone.go("/admin/integrations/new")
    phone.page.get_by_role("link", name="SMTP").click()
    phone.fill(host="mail.northline.example", username="portal", password=GOOD, from_email="a@northline.example")
    phone.drawer.locator("[name=sandbox]").check()
    phone.button("Test").click()
    expect(phone.result).to_be_in_viewport()
    assert phone.sideways() == []
    for name in ("Send test email", "Test", "Save", "Test & Save"):
        expect(phone.button(name)).to_be_in_viewport()
        box = phone.button(name).bounding_box()
        assert box is not None
        assert box["height"] >= 44, f"{name} is {box['height']} px high"
    phone.button("Test & Save").click()
    phone.page.wait_for_url(re.compile("[0-9a-f]{12}$"))
    phone.go("/admin/integrations")
    expect(phone.page.get_by_role("switch")).to_be_visible()
    phone.page.get_by_role("button", name=re.compile("^Test ")).click()
    expect(phone.page.locator("#board tbody tr")).to_contain_text("Passed")
