"""The documentation of the JSON API in the browser."""

from playwright.sync_api import expect

from e2e.support.visiting import Visitor


def test_the_api_is_documented_under_the_same_policy(visitor: Visitor) -> None:
    visitor.go("/api/docs")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("API")
    visitor.look()
    visitor.page.get_by_role("link", name="Create or overwrite an integration").first.click()
    expect(visitor.page.get_by_role("heading", name="Create or overwrite an integration")).to_be_in_viewport()
