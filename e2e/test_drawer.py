"""How the drawer behaves: what it asks, where the focus goes, what survives, what is sent once."""

import re

import pytest
from playwright.sync_api import Dialog, expect

from e2e.support.canary import GOOD, WRONG
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from portal.sandbox import Sandbox

CATALOGUE = re.compile("/admin/integrations/new$")
DRAWER = re.compile("/admin/integrations/new/smtp$")


@pytest.fixture
def opened(visitor: Visitor) -> Visitor:
    """A window with the catalogue and the drawer over it."""
    visitor.go("/admin/integrations/new")
    visitor.page.get_by_role("link", name="SMTP").click()
    expect(visitor.drawer).to_be_visible()
    expect(visitor.page).to_have_url(DRAWER)
    return visitor


def is_closed(visitor: Visitor) -> None:
    """See the drawer gone, the catalogue's address back, and the focus on the tile that opened it."""
    expect(visitor.drawer).to_have_count(0)
    expect(visitor.page).to_have_url(CATALOGUE)
    expect(visitor.page.get_by_role("link", name="SMTP")).to_be_focused()


def test_the_focus_is_on_the_first_field_and_stays_inside(opened: Visitor) -> None:
    expect(opened.drawer.get_by_label("Name", exact=True)).to_be_focused()
    for _ in range(40):
        opened.page.keyboard.press("Tab")
        where = opened.page.evaluate("document.activeElement.closest('dialog.drawer, body')?.tagName")
        inside = opened.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert inside, f"the focus left the drawer for {where}"


@pytest.mark.parametrize("way", ["Escape", "cross", "back"])
def test_an_untouched_drawer_closes_without_asking(opened: Visitor, way: str) -> None:
    close(opened, way)
    is_closed(opened)


@pytest.mark.parametrize("way", ["Escape", "cross", "back"])
def test_a_drawer_asks_before_it_drops_what_was_typed(opened: Visitor, way: str) -> None:
    opened.fill(host="mail.northline.example", password=WRONG)
    close(opened, way)
    question = opened.page.get_by_role("dialog", name="Discard what you entered?")
    expect(question).to_be_visible()
    expect(question.get_by_role("button", name="Keep editing")).to_be_focused()
    if way == "Escape":
        opened.look()
    opened.button("Keep editing").click()
    expect(question).to_be_hidden()
    expect(opened.drawer.locator("[name=host]")).to_have_value("mail.northline.example")
    expect(opened.drawer.locator("[name=password]")).to_have_value(WRONG)
    expect(opened.page).to_have_url(DRAWER)

    close(opened, way)
    opened.button("Discard").click()
    is_closed(opened)


def close(visitor: Visitor, way: str) -> None:
    """Close the drawer in one of the ways that people use."""
    if way == "Escape":
        visitor.page.keyboard.press("Escape")
    elif way == "cross":
        visitor.drawer.get_by_label("Close").click()
    else:
        visitor.page.evaluate("history.back()")


def test_forward_after_back_opens_the_drawer_again(opened: Visitor) -> None:
    close(opened, "back")
    is_closed(opened)
    opened.page.evaluate("history.forward()")
    expect(opened.drawer).to_be_visible()
    expect(opened.page).to_have_url(DRAWER)
    close(opened, "cross")
    expect(opened.drawer).to_have_count(0)
    expect(opened.page).to_have_url(CATALOGUE)
    expect(opened.page.get_by_role("heading", level=1)).to_have_text("Add integration")


def test_the_drawer_has_an_address_of_its_own(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go(f"/admin/integrations/{relay}/edit")
    expect(visitor.drawer).to_be_visible()
    expect(visitor.drawer.locator("[name=host]")).to_have_value("mail.northline.example")
    visitor.look()
    visitor.drawer.get_by_label("Close").click()
    expect(visitor.page).to_have_url(re.compile(f"/admin/integrations/{relay}$"))
    expect(visitor.page.get_by_role("heading", level=1, name="Email relay")).to_be_visible()


def test_a_failed_test_takes_the_focus_and_loses_nothing(opened: Visitor, seeds: Seeder, place: Place) -> None:
    opened.fill(name="Email relay", host="mail.northline.example", username="portal", password=WRONG,
                from_email="noreply@northline.example")  # fmt: skip
    opened.drawer.locator("[name=sandbox]").check()
    opened.button("Test").click()
    expect(opened.result).to_be_focused()
    expect(opened.result).to_contain_text("Not working: login failed")
    expect(opened.result).to_contain_text("535")
    password = opened.drawer.locator("[name=password]")
    expect(password).to_have_value(WRONG)
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(opened.drawer.locator("[name=sandbox]")).to_be_checked()
    expect(opened.button("Save as unverified")).to_be_visible()
    opened.look()

    # The result belongs to the values tested: it fades once one of them changes.
    password.fill(GOOD)
    expect(opened.result).to_contain_text("Values changed since this test.")
    expect(opened.button("Save as unverified")).to_have_count(0)
    opened.look()

    opened.button("Test").click()
    expect(opened.result).to_contain_text("Connection works")
    expect(password).to_have_value(GOOD)
    # What passed a test a moment ago needs no second one to be trusted.
    opened.button("Save").click()
    opened.page.wait_for_url(re.compile("[0-9a-f]{12}$"))
    expect(opened.state).to_have_text(re.compile("Active|Checking"))
    (row,) = seeds.rows(place)
    assert row.condition is None


def test_saving_twice_in_a_row_makes_one_integration(
    opened: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    opened.fill(name="Email relay", host="mail.northline.example", username="portal", password=GOOD,
                from_email="noreply@northline.example")  # fmt: skip
    opened.drawer.locator("[name=sandbox]").check()
    mail.fault("smtp", mode="slow", delay_ms=60_000)
    opened.button("Test & Save").dblclick()
    expect(opened.button("Test & Save")).to_have_attribute("aria-busy", "true")
    opened.page.keyboard.press("Enter")
    mail.fault("smtp", mode="none")
    opened.page.wait_for_url(re.compile("[0-9a-f]{12}$"))
    assert [row.name for row in seeds.rows(place)] == ["Email relay"]
    assert seeds.audited(place).count("integration.created") == 1


def test_show_unmasks_what_is_being_typed(opened: Visitor) -> None:
    password = opened.drawer.locator("[name=password]")
    password.fill(WRONG)
    expect(password).to_have_attribute("type", "password")
    opened.button("Show").click()
    expect(password).to_have_attribute("type", "text")
    opened.button("Hide").click()
    expect(password).to_have_attribute("type", "password")


def test_reloading_asks_before_it_drops_what_was_typed(visitor: Visitor, place: Place) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    visitor.page.on("dialog", answer)
    visitor.go("/admin/integrations/new/smtp")
    visitor.page.reload()
    assert asked == []
    visitor.drawer.locator("[name=host]").fill("mail.northline.example")
    visitor.page.reload()
    assert asked == ["beforeunload"]
