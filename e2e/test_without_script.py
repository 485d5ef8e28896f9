"""Everything essential works without JavaScript."""

import re

import pytest
from playwright.sync_api import expect
from pyotp import TOTP

from e2e.conftest import Open
from e2e.support.canary import GOOD
from e2e.support.portal import Portal
from e2e.support.seeding import PASSWORD, Check, Place, Seeder
from e2e.support.visiting import Visitor
from portal.health.models import LogStatus
from portal.integrations.models import CheckKind
from portal.sandbox import Sandbox


@pytest.fixture
def plain(open_window: Open, portal: Portal, seeds: Seeder, place: Place) -> Visitor:
    """A window without scripts, signed in."""
    return open_window(cookie=seeds.cookie(place, portal.url), script=False)


def test_signing_in_and_out(open_window: Open, place: Place) -> None:
    visitor = open_window(script=False)
    visitor.go("/admin/health-logs")
    visitor.submit("Sign in", email=place.email, password=PASSWORD)
    visitor.submit("Verify", code=TOTP(place.totp_secret).now())
    expect(visitor.page).to_have_url(re.compile("/admin/health-logs$"))
    visitor.button("Sign out").click()
    expect(visitor.page).to_have_url(re.compile("/login$"))
    expect(visitor.page.locator(".toast")).to_contain_text("Signed out.")


def test_adding_testing_and_mending_an_integration(plain: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    plain.go("/admin/integrations")
    plain.page.get_by_role("link", name="Connect email").click()
    expect(plain.drawer).to_be_visible()
    expect(plain.page.get_by_role("heading", level=1)).to_be_visible()
    plain.look()
    plain.fill(name="Email relay", host="mail.northline.example", username="portal", from_email="not an address")
    plain.page.evaluate("document.querySelector('#drawer-form').noValidate = true")
    with plain.expecting(422):
        plain.button("Save").click()
        expect(plain.drawer.locator("[name=from_email]")).to_have_attribute("aria-invalid", "true")
        plain.look()
    plain.fill(password=GOOD, from_email="noreply@northline.example", test_to="reader@northline.example")
    plain.drawer.locator("[name=sandbox]").check()
    plain.button("Send test email").click()
    expect(plain.result).to_contain_text("Test email accepted for reader@northline.example")
    assert len(mail.outbox) == 1
    plain.fill(password=GOOD)  # a typed secret is not sent back, so that it has to be typed again
    plain.button("Test").click()
    expect(plain.result).to_contain_text("Connection works")
    plain.look()
    plain.fill(password=GOOD)
    plain.button("Test & Save").click()
    expect(plain.page.get_by_role("heading", level=1)).to_have_text("Email relay")
    expect(plain.page.locator(".toast")).to_contain_text("Integration saved.")
    (row,) = seeds.rows(place)
    assert row.status == "active"


def test_testing_switching_and_deleting(plain: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    plain.go("/admin/integrations")
    plain.look()
    plain.button("Test Email relay").click()
    expect(plain.page.locator(".toast")).to_contain_text("Email relay: check passed in")
    assert len(seeds.logs(relay)) == 1

    plain.page.get_by_role("switch", name="Email relay enabled").uncheck()
    plain.line("Email relay").get_by_role("button", name="Apply").click()
    expect(plain.line("Email relay").locator(".status")).to_have_text("Disabled")
    assert not seeds.row(relay).enabled

    plain.go(f"/admin/integrations/{relay}")
    plain.button("Delete integration").click()
    question = plain.page.get_by_role("dialog", name="Delete Email relay?")
    question.get_by_label("Name").fill("something else")
    question.get_by_role("button", name="Delete integration").click()
    expect(plain.page.locator(".toast")).to_contain_text("Not deleted: the name did not match.")
    plain.button("Delete integration").click()
    question.get_by_label("Name").fill("Email relay")
    question.get_by_role("button", name="Delete integration").click()
    expect(plain.page.locator(".toast")).to_contain_text("Email relay is deleted.")
    assert seeds.row(relay).deleted_at is not None


def test_filtering_the_logs_and_checking_all(plain: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    seeds.checked(place, relay, Check(), Check(kind=CheckKind.MANUAL, status=LogStatus.FAILURE, message="No answer."))
    plain.go(f"/admin/integrations/{relay}/logs")
    rows = plain.page.get_by_role("table", name="Health logs").locator("tbody tr")
    expect(rows).to_have_count(2)
    plain.page.get_by_label("Status", exact=True).select_option("failure")
    plain.button("Apply").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("No answer.")
    plain.look()

    plain.go("/admin/integrations")
    plain.button("Health check all").click()
    expect(plain.page.locator(".toast")).to_contain_text("Checking 1 integration.")
