"""The dashboard: figures, alerts, search, quick test, check of all, and all of it by keyboard."""

import re

from playwright.sync_api import Page, expect

from e2e.support.canary import WRONG
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.sandbox import Sandbox


def fill_dashboard(seeds: Seeder, place: Place) -> None:
    """Make one integration of each kind: active, in error, disabled, unverified."""
    seeds.integration(place, "Email relay", preset="mailgun", host="smtp.mailgun.org")
    failing = seeds.integration(place, "Careers mailbox", preset="gmail", host="smtp.gmail.com", password=WRONG)
    seeds.check(failing, times=2)
    seeds.integration(place, "Newsletter", preset="ses", enabled=False)
    seeds.integration(place, "Old office server", verified=False)


def test_an_empty_dashboard_offers_the_first_step(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.page.get_by_role("heading", name="Connect your first provider")).to_be_visible()
    visitor.look()
    visitor.page.get_by_role("link", name="Connect email").click()
    expect(visitor.drawer).to_be_visible()
    expect(visitor.page).to_have_url(re.compile("/admin/integrations/new/smtp$"))


def test_admin_int_001_view_dashboard(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    fill_dashboard(seeds, place)
    stranger = seeds.place()
    seeds.integration(stranger, "Of somebody else")

    visitor.go("/admin/integrations")

    for label, value in {"Total": "4 1 unverified", "Active": "1 25%", "Errors": "1 25%", "Disabled": "1 25%"}.items():
        expect(visitor.figure(label)).to_have_text(re.compile(rf"{label}\s*{value}\s*$"))
    expect(visitor.page.locator("#board tbody tr")).to_have_count(4)
    for name, provider, status in (
        ("Careers mailbox", "SMTP, Gmail", "Re-authenticate"),
        ("Email relay", "SMTP, Mailgun", "Active"),
        ("Newsletter", "SMTP, Amazon SES", "Disabled"),
        ("Old office server", "SMTP", "Unverified"),
    ):
        expect(visitor.line(name).locator("td").nth(1)).to_have_text(provider)
        expect(visitor.line(name).locator(".status")).to_have_text(status)
    expect(visitor.line("Email relay").locator("time")).to_have_attribute("datetime", re.compile("^20"))
    expect(visitor.line("Careers mailbox")).to_contain_text("(failed)")

    alert = visitor.page.locator(".alert")
    expect(alert).to_have_count(1)
    expect(alert.get_by_role("heading")).to_have_text("Careers mailbox (SMTP): re-authenticate, login failed")
    expect(alert).to_contain_text("Impact: emails not sending.")
    expect(alert).to_contain_text("smtp.gmail.com refused the user name or the password.")
    for action in ("View logs", "Reconnect", "Troubleshoot"):
        expect(alert.get_by_text(action)).to_be_visible()
    expect(visitor.page.locator("nav .count")).to_have_text(["1 in error", "1 open"])
    expect(visitor.page.locator(".banner")).to_contain_text("4 integrations point at the sandbox")
    visitor.look()


def test_figures_search_filters_and_sorting_narrow_the_list(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    fill_dashboard(seeds, place)
    visitor.go("/admin/integrations")
    rows = visitor.page.locator("#board tbody tr")

    visitor.figure("Errors").click()
    expect(rows).to_have_count(1)
    expect(visitor.line("Careers mailbox")).to_be_visible()
    expect(visitor.page.get_by_label("Status", exact=True)).to_have_value("error")
    visitor.look()

    visitor.page.get_by_label("Status", exact=True).select_option("")
    expect(rows).to_have_count(4)
    visitor.page.get_by_label("Search integrations").fill("newsl")
    expect(rows).to_have_count(1)
    expect(visitor.page).to_have_url(re.compile(r"/admin/integrations\?q=newsl$"))
    visitor.page.reload()
    expect(rows).to_have_count(1)

    visitor.page.get_by_label("Search integrations").fill("no such name")
    expect(visitor.page.get_by_role("heading", name="No integration matches")).to_be_visible()
    visitor.look()
    visitor.page.get_by_role("link", name="Clear filters").click()
    expect(rows).to_have_count(4)

    visitor.page.get_by_role("columnheader").get_by_role("link", name="Status").click()
    expect(visitor.page.get_by_role("columnheader", name="Status")).to_have_attribute("aria-sort", "ascending")
    expect(rows.first).to_contain_text("Careers mailbox")
    expect(rows.last).to_contain_text("Newsletter")


def test_a_long_list_comes_in_parts(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    for number in range(1, 28):
        seeds.integration(place, f"Mailbox {number:02}", enabled=False)
    visitor.go("/admin/integrations?sort=provider")
    rows = visitor.page.locator("#board tbody tr[id^=row-]")
    expect(rows).to_have_count(25)
    visitor.page.get_by_role("link", name="Load more").click()
    expect(rows).to_have_count(27)
    expect(rows.last).to_contain_text("Mailbox 27")
    expect(visitor.page.get_by_role("link", name="Load more")).to_have_count(0)
    visitor.look()


def test_a_slow_test_shows_its_result_although_the_list_refreshes(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.page.clock.install()
    visitor.go("/admin/integrations")
    mail.fault("smtp", mode="slow", delay_ms=60_000)
    visitor.button("Test Email relay").click()
    wait_until(lambda: seeds.row(relay).check_token, "the check to begin")
    a_quarter_of_a_minute_goes_by(visitor.page)
    for _ in range(2):  # whatever the page asked for before these has come by then
        visitor.page.evaluate("() => fetch('/login').then((answer) => answer.text())")
    mail.fault("smtp", mode="none")
    expect(visitor.line("Email relay")).to_contain_text(re.compile(r"Passed, [\d.]+ m?s"))
    visitor.said("Email relay: check passed in")


def test_admin_int_008b_manual_health_check(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go("/admin/integrations")
    visitor.line("Email relay").get_by_role("button", name="Test Email relay").click()

    expect(visitor.line("Email relay")).to_contain_text(re.compile(r"Passed, [\d.]+ m?s"))
    visitor.said(re.compile(r"Email relay: check passed in [\d.]+ m?s\."))
    (log,) = seeds.logs(relay)
    assert (log.check_type, log.status) == ("manual", "success")
    assert "NOOP" in str(mail.requests[0]["commands"])
    assert mail.outbox == []
    visitor.look()

    mail.fault("smtp", mode="error_500")
    visitor.go(f"/admin/integrations/{relay}")
    visitor.button("Run health check").click()
    visitor.said("Email relay: server has a temporary fault.")
    expect(visitor.page.locator(".alert")).to_contain_text("4.3.0")
    expect(visitor.page.get_by_role("table", name="Recent errors").locator("tbody tr")).to_have_count(1)
    assert [log.status for log in seeds.logs(relay)] == ["success", "failure"]
    visitor.look()


def test_admin_int_009b_health_check_all(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    checked = [seeds.integration(place, name) for name in ("Email relay", "Invoices")]
    refused = seeds.integration(place, "Careers mailbox", password=WRONG)
    disabled = seeds.integration(place, "Newsletter", enabled=False)
    visitor.go("/admin/integrations")

    mail.fault("smtp", mode="slow", delay_ms=60_000)  # until the fault is taken away
    visitor.button("Health check all").click()
    progress = visitor.page.locator("#board [role=status]")
    expect(progress).to_contain_text("Checking 3 integrations")
    expect(progress).to_contain_text("0 of 3 done")
    for name in ("Email relay", "Invoices", "Careers mailbox"):
        expect(visitor.line(name).locator(".status").first).to_have_text("Checking")
    visitor.look()

    mail.fault("smtp", mode="none")
    expect(progress).to_contain_text("Checked 3 integrations")
    expect(progress).to_contain_text("3 of 3 done, 2 passed, 1 failed")
    expect(progress.get_by_role("progressbar")).to_have_attribute("value", "3")
    expect(visitor.line("Email relay").locator(".status").first).to_have_text("Active")
    for integration_id in checked:
        assert [(log.check_type, log.status) for log in seeds.logs(integration_id)] == [("manual", "success")]
    assert [log.status for log in seeds.logs(refused)] == ["failure"]
    assert seeds.logs(disabled) == []
    assert "health.check_all" in seeds.audited(place)
    visitor.look()


def test_a_scheduled_check_raises_the_alert_on_the_open_dashboard(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.page.clock.install()
    visitor.go("/admin/integrations")
    visitor.page.evaluate("window.stillTheSamePage = true")
    alert = visitor.page.locator(".alert")
    expect(alert).to_have_count(0)

    mail.fault("smtp", mode="bad_credentials")
    for failures in (1, 2):  # the first only asks for a second look
        seeds.check_is_due(relay)
        wait_until(lambda count=failures: len(seeds.logs(relay)) == count, "the scheduled check")  # type: ignore[misc]
    wait_until(lambda: seeds.alerts(place) == ["open"], "the alert")
    a_quarter_of_a_minute_goes_by(visitor.page)
    expect(alert.get_by_role("heading")).to_have_text("Email relay (SMTP): re-authenticate, login failed")
    expect(visitor.figure("Errors")).to_contain_text("100%")
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Re-authenticate")
    visitor.look()

    mail.fault("smtp", mode="none")
    seeds.check_is_due(relay)
    wait_until(lambda: len(seeds.logs(relay)) == 3, "the check after mending")
    wait_until(lambda: seeds.alerts(place) == ["resolved"], "the end of the alert")
    a_quarter_of_a_minute_goes_by(visitor.page)
    expect(alert).to_have_count(0)
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Active")
    assert visitor.page.evaluate("window.stillTheSamePage")
    assert [(log.check_type, log.status) for log in seeds.logs(relay)] == [
        ("scheduled", "failure"), ("scheduled", "failure"), ("scheduled", "success"),
    ]  # fmt: skip


def a_quarter_of_a_minute_goes_by(page: Page) -> None:
    """Let the page believe that it was open so much longer: a calm dashboard looks again every 15 seconds."""
    page.clock.fast_forward(16_000)


def test_troubleshoot_and_reconnect_mend_what_an_alert_tells(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    relay = seeds.integration(place, "Email relay")
    mail.fault("smtp", mode="bad_credentials")
    seeds.check(relay, times=2)
    visitor.go("/admin/integrations")

    visitor.page.get_by_role("link", name="Troubleshoot Email relay").click()
    expect(visitor.page.locator("#test-result")).to_contain_text("Not working: login failed")
    expect(visitor.page.locator(".alert")).to_contain_text("Impact: emails not sending.")
    visitor.look()
    visitor.button("Mend it in the configuration").click()
    expect(visitor.drawer).to_contain_text("Not working: login failed")
    expect(visitor.drawer.get_by_role("heading", level=2)).to_have_text("Email integration (SMTP)")
    visitor.look()
    visitor.page.keyboard.press("Escape")
    expect(visitor.drawer).to_have_count(0)

    visitor.go("/admin/alerts")
    expect(visitor.page.locator(".alert")).to_have_count(1)
    visitor.look()
    visitor.go("/admin/integrations")
    visitor.button("Acknowledge Email relay (SMTP): re-authenticate, login failed").click()
    expect(visitor.page.locator(".alert")).to_contain_text("Acknowledged by")
    mail.fault("smtp", mode="none")
    visitor.button("Reconnect Email relay").click()
    expect(visitor.page.locator(".alert")).to_have_count(0)
    expect(visitor.figure("Active")).to_contain_text("100%")
    assert seeds.row(relay).status == "active"
    visitor.go("/admin/alerts?state=resolved")
    expect(visitor.page.locator("tbody tr")).to_contain_text("It works again.")


def test_the_dashboard_works_by_keyboard_alone(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go("/admin/integrations")
    keyboard = visitor.page.keyboard

    keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to content")).to_be_focused()
    keyboard.press("Enter")
    expect(visitor.page.locator("#main")).to_be_focused()
    stops: list[str] = []
    while not stops or "switch" not in stops[-1]:
        keyboard.press("Tab")
        stops.append(visitor.page.evaluate(
            "() => { const at = document.activeElement;"
            " return `${at.getAttribute('role') ?? at.tagName.toLowerCase()}: "
            "${(at.getAttribute('aria-label') ?? at.textContent).trim().replace(/\\s+/g, ' ')}`; }"
        ))  # fmt: skip
        outline = visitor.page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nothing shows that {stops[-1]} has the focus"
        assert len(stops) < 40
    assert stops[0] == "a: Add integration"
    assert [each for each in stops if "Test" in each or "Email relay" in each][:2] == [
        "a: Email relay", "button: Test Email relay",
    ]  # fmt: skip

    keyboard.press("Space")
    visitor.said("Email relay is disabled.")
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Disabled")
    expect(visitor.page.get_by_role("switch", name="Email relay enabled")).to_be_focused()
    keyboard.press("Space")
    visitor.said("Email relay is enabled.")
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Active")
    assert seeds.row(relay).enabled
    keyboard.press("Shift+Tab")
    expect(visitor.button("Test Email relay")).to_be_focused()
    keyboard.press("Enter")
    expect(visitor.line("Email relay")).to_contain_text("Passed")
