"""The settings view: every provider in one place, configured, switched and tested from its row."""

import re

from playwright.sync_api import Locator, expect

from e2e.conftest import Open
from e2e.support.portal import Portal
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from portal.sandbox import Sandbox
from portal.sandbox.apis.slack import HOOK
from portal.sandbox.apis.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER

VIEW = "/admin/settings/integrations"


def row(visitor: Visitor, words: str) -> Locator:
    return visitor.page.locator("#settings tbody tr").filter(has_text=words)


def test_configuring_switching_and_testing_from_the_settings_view(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    relay = seeds.integration(place, "Email relay", preset="mailgun")
    seeds.integration(place, "Unbroken" * 12, verified=False)
    visitor.go("/admin/integrations")
    navigation = visitor.page.get_by_role("navigation", name="Main")
    navigation.locator("summary").click()
    navigation.locator("details").get_by_role("link", name="Integrations").click()
    expect(visitor.page).to_have_url(re.compile(f"{VIEW}$"))
    settings = navigation.get_by_role("list", name="Settings")
    expect(settings.get_by_role("link", name="Integrations")).to_have_attribute("aria-current", "page")
    expect(row(visitor, "Xero")).to_contain_text("Not available yet")
    visitor.look()

    on = visitor.page.get_by_role("switch", name="Email relay enabled")
    on.click()
    visitor.said("Email relay is disabled.")
    expect(row(visitor, "Email relay").locator(".status")).to_have_text("Disabled")
    assert not seeds.row(relay).enabled
    visitor.button("Undo").click()
    visitor.said("Email relay is enabled.")
    expect(on).to_be_checked()

    configure = visitor.page.get_by_role("link", name="Configure Email relay")
    configure.click()
    visitor.fill(name="Main relay")
    visitor.button("Save").click()
    visitor.said("Integration saved.")
    expect(visitor.drawer).to_have_count(0)
    expect(row(visitor, "Main relay")).to_be_visible()
    expect(visitor.page).to_have_url(re.compile(f"{VIEW}$"))

    visitor.page.get_by_role("link", name="Send test email Main relay").click()
    expect(visitor.drawer.locator("[name=test_to]")).to_be_focused()
    visitor.fill(test_to="reader@northline.example")
    visitor.button("Send test email").click()
    expect(visitor.result).to_contain_text("Test email accepted for reader@northline.example")
    assert len(mail.outbox) == 1


def test_connecting_from_the_settings_view_without_scripts(
    open_window: Open, portal: Portal, seeds: Seeder, place: Place
) -> None:
    visitor = open_window(cookie=seeds.cookie(place, portal.url), script=False)
    visitor.go("/settings/integrations")
    visitor.page.get_by_role("link", name="Connect SMTP").click()
    visitor.fill(host="mail.northline.example", from_email="noreply@northline.example")
    visitor.button("Save").click()
    expect(visitor.page.locator(".toast")).to_contain_text("Integration saved.")
    expect(visitor.page).to_have_url(re.compile("/settings/integrations$"))
    expect(row(visitor, "SMTP").locator(".status")).to_have_count(1)


def test_admin_int_slack_is_connected_and_gets_a_test_message(visitor: Visitor, place: Place, mail: Sandbox) -> None:
    visitor.go(VIEW)
    visitor.page.get_by_role("link", name="Connect Slack").click()
    visitor.fill(webhook_url=HOOK, channel="#alerts")
    visitor.drawer.locator("[name=sandbox]").check()
    visitor.button("Send test message").click()
    expect(visitor.result).to_contain_text("Test message accepted")
    (received,) = mail.outbox
    assert (received["channel"], received["to"]) == ("chat", "#alerts")
    assert "Test message from Integrations Portal" in str(received["title"])
    visitor.look()
    visitor.button("Test & Save").click()
    visitor.said("Integration saved.")
    expect(row(visitor, "Slack, #alerts").locator(".status").first).to_have_text(re.compile("Active|Queued|Checking"))
    assert len(mail.outbox) == 1, "a test posts nothing"
    visitor.page.get_by_role("link", name="Send test message Chat").click()
    expect(visitor.button("Send test message")).to_be_focused()


def test_a_test_sms_is_sent_once_the_number_is_one(visitor: Visitor, place: Place, mail: Sandbox) -> None:
    visitor.go(VIEW)
    visitor.page.get_by_role("link", name="Connect Twilio").click()
    visitor.fill(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, from_number=FROM_NUMBER, test_to="0491 570 156")
    visitor.drawer.locator("[name=sandbox]").check()
    with visitor.expecting(422):
        visitor.button("Send test SMS").click()
        expect(visitor.drawer.locator("#f-test_to-error")).to_contain_text("country code")
    assert mail.outbox == []
    visitor.fill(test_to="+61 (491) 570-156")
    visitor.button("Send test SMS").click()
    expect(visitor.result).to_contain_text("Test SMS accepted for +61491570156")
    (received,) = mail.outbox
    assert (received["to"], received["from"]) == ("+61491570156", FROM_NUMBER)
    visitor.look()
    visitor.button("Save").click()
    visitor.said("Integration saved.")
    expect(row(visitor, "Twilio").locator(".status").first).to_have_text(re.compile("Active|Queued|Checking"))
    expect(visitor.page.get_by_role("link", name="Send test SMS SMS")).to_be_visible()
