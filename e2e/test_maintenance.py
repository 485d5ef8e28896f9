"""Maintenance of an integration, by keyboard and mouse: begin it, end it, plan it for each week, take that back."""

from playwright.sync_api import expect

from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor


def test_maintenance_begins_ends_and_is_planned(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go(f"/admin/integrations/{relay}")
    panel = visitor.page.locator("#maintenance").locator("xpath=ancestor-or-self::section[1]")

    panel.get_by_role("button", name="Start for 1 h").focus()
    visitor.page.keyboard.press("Enter")
    visitor.said("Email relay is in maintenance for 1 h.")
    expect(visitor.state).to_have_text("Maintenance")
    expect(panel.get_by_role("button", name="End now")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    visitor.said("Maintenance of Email relay has ended.")
    expect(visitor.state).to_have_text("Active")
    expect(panel.get_by_role("button", name="Start for 1 h")).to_be_focused()

    panel.get_by_role("link", name="Plan").click()
    visitor.page.get_by_text("Every week", exact=True).click()
    visitor.submit("Plan maintenance", reason="Payroll closes the week.")
    visitor.said("Maintenance planned.")
    (row,) = visitor.page.locator("main tbody tr").all()
    expect(row).to_contain_text("Every week")
    expect(row).to_contain_text("Payroll closes the week.")
    row.get_by_role("button", name="Remove").click()
    visitor.said("Maintenance removed.")
    expect(visitor.page.locator("main tbody tr")).to_have_count(0)
