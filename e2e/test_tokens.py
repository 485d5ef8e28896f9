"""API tokens in the browser: made, shown once, used, revoked."""

import re

from playwright.sync_api import expect

from e2e.support.portal import Portal
from e2e.support.visiting import Visitor


def test_a_token_is_made_shown_once_used_and_revoked(visitor: Visitor, portal: Portal) -> None:
    visitor.go("/admin/api-tokens")
    expect(visitor.page.get_by_role("heading", name="No tokens yet")).to_be_visible()
    visitor.look()
    visitor.page.get_by_role("link", name="New token").click()
    visitor.look()
    visitor.page.get_by_role("checkbox", name=re.compile("^admin")).check()
    visitor.submit("Make token", name="Payroll export")
    token = visitor.page.locator("#token").inner_text()
    assert re.fullmatch("prt_[0-9A-Za-z]{38}", token)
    visitor.look()

    def ask() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return visitor.page.request.get("/api/admin/integrations", headers=headers).status

    assert ask() == 200
    visitor.page.get_by_role("link", name="Done").click()
    row = visitor.page.get_by_role("row").filter(has_text="Payroll export")
    expect(row).to_contain_text("127.0.0.1")
    expect(row).to_contain_text(f"••••{token[-4:]}")
    visitor.look()
    row.get_by_role("button", name="Revoke Payroll export").click()
    visitor.page.get_by_role("button", name="Revoke token").click()
    visitor.said("Token revoked.")
    expect(row).to_contain_text("Revoked")
    assert ask() == 401
