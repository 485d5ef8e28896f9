"""Channels: people are told of an alert through another provider than the one that is down, and see that they were."""

import re

from playwright.sync_api import expect

from e2e.support.canary import WRONG
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.sandbox import Sandbox


def test_an_alert_is_emailed_through_the_provider_that_works(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    visitor.go("/admin/alerts/channels")
    expect(visitor.page.locator("#channels")).to_contain_text("No email provider configured.")
    visitor.look()
    visitor.page.get_by_label("Wait for more").fill("0")
    visitor.button("Save settings").click()
    visitor.said("Notification settings saved.")

    seeds.integration(place, "Email relay")
    down = seeds.integration(place, "Careers mailbox", password=WRONG)
    seeds.check(down, times=2)
    visitor.page.reload()
    row = visitor.page.get_by_role("table", name="Notification channels").locator("tbody tr").first
    row.get_by_role("button", name="Send test").click()
    visitor.said("The test is on its way to 1 recipient.")
    wait_until(lambda: len(mail.outbox) == 2, "alert and test to arrive")
    arrived = {each["subject"]: each for each in mail.outbox}
    assert {*arrived} == {"Test of an alert channel", "Alert: Emails not sending (Careers mailbox)"}

    visitor.page.get_by_role("link", name="Notifications", exact=True).click()
    told = visitor.page.get_by_role("table", name="Notifications, the last first").locator("tbody tr")
    expect(told.filter(has_text="Careers mailbox")).to_contain_text(re.compile("1 opened.*1 sent", re.DOTALL))
    visitor.look()
    told.filter(has_text="Careers mailbox").get_by_role("link").click()
    expect(visitor.page.get_by_role("table", name="Messages of this notification")).to_contain_text(place.email)
    visitor.look()
    visitor.page.get_by_role("link", name=re.compile("Careers mailbox .SMTP.: re-auth")).click()
    expect(visitor.page.get_by_role("table", name="Notifications of this alert")).to_contain_text("1 sent")

    visitor.go("/admin/alerts")
    visitor.page.get_by_role("button", name=re.compile("^Acknowledge Careers mailbox")).click()
    visitor.button("Acknowledge").click()
    visitor.said("Alert acknowledged.")
    expect(visitor.page.get_by_role("heading", name="No open alerts")).to_be_focused()


def test_a_channel_is_added_in_the_drawer(visitor: Visitor, place: Place) -> None:
    visitor.go("/admin/alerts/channels")
    visitor.page.get_by_text("Add channel").click()
    visitor.page.get_by_role("link", name="Email", exact=True).click()
    visitor.drawer.get_by_label("Name").fill("Night shift")
    addresses = visitor.drawer.get_by_role("textbox", name="Addresses")
    expect(addresses).to_be_hidden()
    visitor.drawer.get_by_role("radio", name="Addresses").check()
    addresses.fill("night@example.org")
    expect(visitor.drawer.get_by_role("group", name="Chosen members")).to_be_hidden()
    visitor.look()
    visitor.button("Save channel").click()
    visitor.said("Channel added.")
    rows = visitor.page.get_by_role("table", name="Notification channels").locator("tbody tr")
    expect(rows.filter(has_text="night@example.org")).to_have_count(1)

    rows.first.get_by_role("button", name="Delete").click()
    visitor.button("Delete channel").click()
    visitor.said("Owners and admins is deleted.")
    expect(visitor.button("Delete Night shift")).to_be_focused()
