"""The style guide: every component in every state, held to what holds for every page."""

from playwright.sync_api import expect

from e2e.support.visiting import Visitor


def test_every_component_in_every_state(visitor: Visitor) -> None:
    visitor.go("/admin/style-guide")
    visitor.look()
    visitor.page.get_by_role("link", name="Open the drawer").click()
    expect(visitor.drawer.locator("[name=sid]")).to_be_focused()
    visitor.drawer.get_by_label("Close").click()
    visitor.button("Delete with a typed name").click()
    question = visitor.page.get_by_role("dialog", name="Delete Email relay?")
    question.get_by_label("Name").fill("Email relay")
    question.get_by_role("button", name="Delete integration").click()
    visitor.said("Nothing happened")
    expect(question).to_be_hidden()
