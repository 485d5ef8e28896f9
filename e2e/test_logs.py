"""Health logs, audit trail and credential access: what happened, found again by filters, and never a secret in it."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from e2e.support.canary import GOOD, WRONG, leaks
from e2e.support.seeding import Check, Place, Seeder
from e2e.support.visiting import Visitor
from portal.health.models import LogStatus
from portal.integrations.models import CheckKind

FAILED, LIMITED = LogStatus.FAILURE, LogStatus.LIMITED


def test_admin_int_007b_view_health_logs(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    careers = seeds.integration(place, "Careers mailbox", password=WRONG)
    visitor.go("/admin/health-logs")
    expect(visitor.page.get_by_role("heading", name="No checks yet")).to_be_visible()
    visitor.look()

    seeds.checked(place, relay, *(Check(ago=timedelta(minutes=5 * number)) for number in range(1, 28)))
    seeds.check(relay)
    seeds.check(careers)
    visitor.go("/admin/integrations")
    visitor.page.get_by_role("link", name="View logs").click()
    rows = visitor.page.get_by_role("table", name="Health logs").locator("tbody tr")
    expect(rows.first).to_contain_text("Careers mailbox")
    expect(rows.first).to_contain_text(re.compile("Scheduled.*Failure", re.DOTALL))
    expect(rows.first).to_contain_text("mail.northline.example refused the user name or the password.")
    expect(rows.nth(1)).to_contain_text(re.compile(r"Email relay.*Success\s*[\d.]+ m?s\s*Passed every step", re.DOTALL))
    rows.first.get_by_text("Steps").click()
    expect(rows.first.locator(".steps li").nth(3)).to_contain_text("Login")
    visitor.look()

    expect(rows).to_have_count(26)  # a page of 25 and the way on
    visitor.page.get_by_role("link", name="Load older checks").click()
    expect(rows).to_have_count(29)
    expect(visitor.page.locator(".pages")).to_contain_text("29 checks")
    rows.nth(1).get_by_role("link", name="Email relay").click()
    visitor.page.get_by_role("link", name="View all logs").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Health logs")
    expect(visitor.page.locator(".pages")).to_contain_text("28 checks")
    visitor.look()


def test_admin_int_015_view_integration_logs(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    other = seeds.integration(place, "Careers mailbox")
    seeds.checked(place, other, Check(message="Nothing of this page.", status=FAILED))
    seeds.checked(
        place,
        relay,
        Check(kind=CheckKind.MANUAL, asked_by="Dana Whitfield"),
        Check(ago=timedelta(hours=2)),
        Check(ago=timedelta(hours=30), status=FAILED, message="mail.northline.example did not answer."),
        Check(ago=timedelta(hours=31), kind=CheckKind.AUTO, status=FAILED, message="The certificate has expired."),
        Check(ago=timedelta(days=10), status=LIMITED, message="Too many connections."),
    )
    visitor.go(f"/admin/integrations/{relay}/logs")
    rows = visitor.page.get_by_role("table", name="Health logs").locator("tbody tr")
    kind, status = visitor.page.get_by_label("Kind"), visitor.page.get_by_label("Status", exact=True)
    time, search = visitor.page.get_by_label("Time"), visitor.page.get_by_label("Search errors")
    expect(rows).to_have_count(5)
    expect(visitor.page.locator("main")).not_to_contain_text("Nothing of this page.")
    expect(rows.first).to_contain_text("Run by Dana Whitfield")
    visitor.look()

    kind.select_option("manual")
    expect(rows).to_have_count(1)
    expect(visitor.page).to_have_url(re.compile(r"/logs\?kind=manual$"))
    kind.select_option("")
    expect(rows).to_have_count(5)
    status.select_option("failure")
    expect(rows).to_have_count(2)
    time.select_option("24h")
    expect(visitor.page.get_by_role("heading", name="No checks match")).to_be_visible()
    visitor.look()
    time.select_option("7d")
    expect(rows).to_have_count(2)
    search.fill("certificate")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("The certificate has expired.")
    visitor.page.reload()
    expect(rows).to_have_count(1)
    expect(status).to_have_value("failure")
    visitor.page.get_by_role("link", name="Clear filters").click()
    expect(rows).to_have_count(5)


def test_dates_narrow_the_logs(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    seeds.checked(place, relay, Check(), Check(ago=timedelta(days=10), status=LIMITED, message="Too many connections."))
    visitor.go(f"/admin/integrations/{relay}/logs")
    rows = visitor.page.get_by_role("table", name="Health logs").locator("tbody tr")
    week_ago = datetime.now(UTC) - timedelta(days=7)
    visitor.page.get_by_label("From").fill(f"{week_ago:%Y-%m-%d}")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Success")
    visitor.page.get_by_label("From").fill("")
    expect(rows).to_have_count(2)
    visitor.page.get_by_label("To").fill(f"{week_ago:%Y-%m-%d}")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Too many connections.")
    visitor.look()
    visitor.page.get_by_label("Time").select_option("24h")
    expect(visitor.page.get_by_role("heading", name="No checks match")).to_be_visible()


def test_the_catalogue_is_searched(visitor: Visitor) -> None:
    visitor.go("/admin/integrations/new")
    visitor.page.get_by_label("Search providers").fill("no such provider")
    expect(visitor.page.get_by_role("heading", name="No provider matches")).to_be_visible()
    visitor.look()
    visitor.page.get_by_label("Search providers").fill("smtp")
    expect(visitor.page.locator(".tile")).to_have_count(1)
    expect(visitor.page).to_have_url(re.compile(r"/new\?q=smtp$"))
    visitor.page.locator(".tile").click()
    expect(visitor.drawer).to_be_visible()


def test_audit_and_credential_access_show_what_happened_and_no_secret(
    visitor: Visitor, seeds: Seeder, place: Place
) -> None:
    visitor.go("/admin/audit")
    visitor.look()
    relay = seeds.integration(place, "Email relay")
    seeds.check(relay)
    visitor.go(f"/admin/integrations/{relay}/edit")
    visitor.fill(name="Main relay", host="mail.elsewhere.example")
    visitor.drawer.get_by_label("Replace").check()
    visitor.fill(password=WRONG)
    visitor.button("Save").click()
    visitor.page.wait_for_url(re.compile(f"/admin/integrations/{relay}$"))

    visitor.go("/admin/audit")
    entries = visitor.page.get_by_role("table", name="Audit entries").locator("tbody tr")
    expect(entries.first).to_contain_text("Main relay")
    expect(entries.first).to_contain_text("Dana Whitfield")
    expect(entries.first).to_contain_text("127.0.0.1")
    for summary in visitor.page.locator("main summary").all():
        summary.click()
    expect(entries.first).to_contain_text("mail.elsewhere.example")
    assert leaks(visitor.page.locator("body").inner_text()) == []
    assert not any(secret[-8:] in visitor.page.content() for secret in (GOOD, WRONG))
    visitor.look()
    visitor.button("Verify chain").click()
    expect(visitor.page.locator("#chain")).to_contain_text("Chain verified")
    visitor.look()
    visitor.page.get_by_label("Search what changed").fill("no such thing")
    expect(visitor.page.get_by_role("heading", name="No entries match")).to_be_visible()

    visitor.page.get_by_role("link", name="Credential access").click()
    uses = visitor.page.get_by_role("table", name="Uses of credentials")
    expect(uses).to_contain_text("Health check")
    expect(uses).to_contain_text("Main relay")
    visitor.look()
