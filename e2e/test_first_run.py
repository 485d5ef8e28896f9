"""The first run on a portal of its own: from the printed link to a watched mail server, and what is left behind."""

import re
from pathlib import Path

from playwright.sync_api import Page, Request, expect
from pyotp import TOTP

from e2e.conftest import Open, held_to_account
from e2e.support.canary import GOOD, WRONG, leaks
from e2e.support.portal import Portal
from e2e.support.seeding import Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.sandbox import Sandbox

OWNER = "dana@northline.example"


class Answers:
    """Searches every answer that a window gets, headers and body, for the canaries."""

    def __init__(self, page: Page) -> None:
        self.searched, self.leaks = 0, list[str]()
        page.on("requestfinished", self._search)

    def _search(self, request: Request) -> None:
        response = request.response()
        if response is None:
            return
        body = b"" if 300 <= response.status < 400 or response.status == 204 else response.body()
        self.searched += 1
        found = leaks(body + str(response.headers_array()).encode())
        self.leaks += [f"{request.method} {request.url}: {each}" for each in found]


def create_owner(visitor: Visitor, link: str) -> list[str]:
    """Follow the printed link to the end of the first run, and return the recovery codes."""
    visitor.go(link)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Set up the portal")
    expect(visitor.page.locator("[name=code]")).not_to_have_value("")
    visitor.look()
    with visitor.expecting(422):
        visitor.submit("Create owner", organization="Northline Staffing", name="Dana Whitfield", email=OWNER,
                       password="password1234")  # fmt: skip
        expect(visitor.page.locator("[name=password]")).to_have_attribute("aria-invalid", "true")
        expect(visitor.page.locator("[name=organization]")).to_have_value("Northline Staffing")
        visitor.look()
    visitor.submit("Create owner", password="granite-otter-sails-42")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Add your authenticator app")
    expect(visitor.page.locator("main svg").first).to_be_visible()
    visitor.look()
    secret = visitor.page.get_by_label("Key to type").inner_text().replace(" ", "")
    visitor.submit("Turn on", code=TOTP(secret).now())
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Save your recovery codes")
    codes = visitor.page.locator("#codes").inner_text().split()
    visitor.look()
    visitor.button("Continue").click()
    expect(visitor.page.get_by_text("Tick this to go on.")).to_be_visible()  # there is no way around it
    visitor.page.get_by_label("I have saved these codes").check()
    visitor.button("Continue").click()
    expect(visitor.page).to_have_url(re.compile("/admin/integrations$"))
    return codes


def test_from_the_printed_link_to_a_watched_mail_server(open_window: Open, mail: Sandbox, tmp_path: Path) -> None:
    mail.reset()
    portal = Portal(tmp_path, sandbox_url=mail.url)
    try:
        visitor = open_window(portal.url)
        answers = Answers(visitor.page)
        assert len(create_owner(visitor, portal.setup_link)) == 10
        seeds = Seeder(portal.instance, mail.url)
        assert seeds.owners() == [(OWNER, True)]
        connect_break_and_delete(visitor, seeds, mail)
        visitor.page.get_by_role("link", name="Dana Whitfield").click()
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Profile")
        expect(visitor.page.locator("#two-factor")).to_contain_text("10 of 10")
        visitor.look()
        for address in ("/admin/audit", "/admin/credential-access", "/admin/health-logs", "/admin/integrations"):
            visitor.go(address)
            assert leaks(visitor.page.content()) == []

        stranger = open_window(portal.url)
        with stranger.expecting(404):
            stranger.go(portal.setup_link)  # it works once
            expect(stranger.page.locator("[data-error]")).to_contain_text("This portal is already set up")
            stranger.look()
        assert answers.searched > 60
        assert answers.leaks == []
        for window in (visitor, stranger):
            window.page.goto("about:blank")
        seeds.close()
        held_to_account(portal)
    finally:
        portal.stop()
    assert not any("canary" in str(each) for each in mail.requests)


def connect_break_and_delete(visitor: Visitor, seeds: Seeder, mail: Sandbox) -> None:
    """Take the canaries everywhere that a password goes: refused, stored, replaced, used by checks, wiped."""
    visitor.page.get_by_role("link", name="Connect email").click()
    visitor.fill(name="Email relay", host="mail.northline.example", username="portal", password=WRONG,
                 from_email="noreply@northline.example")  # fmt: skip
    visitor.drawer.locator("[name=sandbox]").check()
    visitor.button("Test & Save").click()
    expect(visitor.result).to_contain_text("Not saved: login failed")
    assert leaks(visitor.page.content()) == []
    visitor.fill(password=GOOD)
    visitor.button("Send test email").click()
    expect(visitor.result).to_contain_text("Test email accepted")
    visitor.button("Test & Save").click()
    visitor.page.wait_for_url(re.compile("[0-9a-f]{12}$"))
    relay = visitor.page.url.rpartition("/")[2]
    wait_until(lambda: "Active" in visitor.head.inner_text(), "the first check")

    mail.fault("smtp", mode="malformed")
    visitor.button("Run health check").click()
    expect(visitor.page.locator("#detail .alert")).to_be_visible()
    mail.fault("smtp", mode="none")
    visitor.page.get_by_role("link", name="Configure").click()
    visitor.drawer.get_by_label("Replace").check()
    visitor.fill(password=WRONG)
    visitor.drawer.get_by_role("button", name="Save", exact=True).click()
    visitor.said("Integration saved.")
    expect(visitor.head).to_contain_text("Unverified")
    expect(visitor.page.locator("#configuration")).to_contain_text(f"••••{WRONG[-4:]}")
    assert leaks(visitor.page.content()) == []

    visitor.go(f"/admin/integrations/{relay}")
    visitor.button("Delete integration").click()
    visitor.page.get_by_role("dialog").get_by_label("Name").fill("Email relay")
    visitor.page.get_by_role("dialog").get_by_role("button", name="Delete integration").click()
    visitor.said("Email relay is deleted.")
    assert [seeds.secrets(row.id) for row in seeds.rows()] == [{}]
