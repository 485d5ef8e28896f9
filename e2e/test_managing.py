"""What is done with an integration that is there: look at it, change it, switch it off, delete it."""

import re

from playwright.sync_api import expect

from e2e.support.canary import GOOD, WRONG
from e2e.support.seeding import PASSWORD, Check, Place, Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.health.models import LogStatus
from portal.sandbox import Sandbox

MASK = f"••••{GOOD[-4:]}"


def test_admin_int_004b_view_details(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay", preset="mailgun", host="smtp.mailgun.org")
    seeds.checked(place, relay, Check(), Check(status=LogStatus.FAILURE, message="smtp.mailgun.org did not answer."))
    visitor.go("/admin/integrations")
    visitor.page.get_by_role("link", name="Email relay", exact=True).click()

    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Email relay")
    expect(visitor.head).to_contain_text("Active")
    expect(visitor.head).to_contain_text("Sandbox")
    configuration = visitor.page.locator("#configuration")
    for label, value in {
        "Password": MASK, "SMTP host": "smtp.mailgun.org", "User name": "portal",
        "From email": "noreply@northline.example",
    }.items():  # fmt: skip
        expect(configuration.locator(f"dt:text-is('{label}') + dd")).to_have_text(value)
    expect(visitor.page.get_by_role("table", name="Health logs").locator("tbody tr")).to_have_count(2)
    expect(visitor.page.get_by_role("table", name="Recent errors")).to_contain_text("smtp.mailgun.org did not answer.")
    expect(visitor.head).to_contain_text("Last check 3 min ago, passed in 42 ms")
    visitor.look()

    visitor.page.get_by_role("link", name="Configure").click()
    expect(visitor.drawer.get_by_label(f"Keep {MASK}")).to_be_checked()
    expect(visitor.drawer.locator("[name=password]")).to_have_value("")
    visitor.look()


def test_admin_int_005b_update_integration(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    relay = seeds.integration(place, "Email relay")
    kept = seeds.secrets(relay)["password"]
    visitor.go(f"/admin/integrations/{relay}")
    configure = visitor.page.get_by_role("link", name="Configure")

    configure.click()
    visitor.fill(name="Main relay", from_name="Northline payroll", max_per_hour="200", max_per_day="1,500")
    visitor.button("Test & Save").click()
    visitor.said("Integration saved.")
    expect(visitor.drawer).to_have_count(0)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Main relay")
    expect(visitor.page.locator("#configuration")).to_contain_text("Northline payroll")
    row = seeds.row(relay)
    assert (row.name, row.status, row.max_per_hour, row.max_per_day) == ("Main relay", "active", 200, 1500)
    assert seeds.secrets(relay)["password"] == kept
    wait_until(lambda: [log.status for log in seeds.logs(relay)] == ["success"], "the check that follows a save")
    visitor.look()

    # Replaced by a wrong one: said before anything is stored, then stored as unverified on purpose.
    configure.click()
    visitor.drawer.get_by_label("Replace").check()
    visitor.fill(password=WRONG)
    visitor.button("Test & Save").click()
    expect(visitor.result).to_contain_text("Not saved: login failed")
    expect(visitor.drawer.get_by_label("Replace")).to_be_checked()
    expect(visitor.drawer.locator("[name=password]")).to_have_value(WRONG)
    assert seeds.secrets(relay)["password"] == kept
    visitor.look()
    visitor.fill(password=GOOD)
    visitor.button("Test & Save").click()
    visitor.said("Integration saved.")
    expect(visitor.drawer).to_have_count(0)
    expect(configure).to_be_focused()
    assert seeds.secrets(relay)["password"] != kept
    assert seeds.row(relay).status == "active"
    assert seeds.audited(place)[-2:] == ["integration.changed", "integration.changed"]


def test_replacing_a_secret_asks_who_is_there(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    kept = seeds.secrets(relay)["password"]
    seeds.forget_confirmation(place)
    visitor.go(f"/admin/integrations/{relay}")
    visitor.page.get_by_role("link", name="Configure").click()
    visitor.fill(host="mail.elsewhere.example")
    with visitor.expecting(422):
        visitor.button("Test").click()
        confirm = visitor.drawer.locator("[name=confirm_access]")
        expect(confirm).to_be_focused()
        expect(confirm).to_have_attribute("aria-invalid", "true")
        visitor.look()
        confirm.fill("not-the-password-of-dana")
        visitor.button("Test").click()
        expect(visitor.drawer.locator(".error")).to_contain_text(re.compile("password|code"))
    confirm.fill(PASSWORD)
    visitor.button("Test & Save").click()
    visitor.said("Integration saved.")
    assert seeds.row(relay).config["host"] == "mail.elsewhere.example"
    assert seeds.secrets(relay)["password"] == kept


def test_admin_int_006b_disable_integration(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    relay = seeds.integration(place, "Email relay")
    witness = seeds.integration(place, "Witness")
    visitor.go("/admin/integrations")
    visitor.page.get_by_role("switch", name="Email relay enabled").click()
    visitor.said("Email relay is disabled.")
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Disabled")
    expect(visitor.figure("Disabled")).to_contain_text("50%")
    assert (seeds.row(relay).status, seeds.row(relay).next_check_at) == ("inactive", None)
    visitor.look()

    # Even with a time that is over the scheduler passes it by: it takes the witness, which is due just as long.
    seeds.force_due(relay)
    seeds.force_due(witness)
    wait_until(lambda: seeds.logs(witness), "the scheduled check of the witness")
    seeds.force_due(witness)
    wait_until(lambda: len(seeds.logs(witness)) == 2, "one more")
    assert seeds.logs(relay) == []
    assert len(mail.requests) == len(seeds.logs(witness))
    assert seeds.row(relay).status == "inactive"


def test_admin_int_014_disable_integration(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    relay = seeds.integration(place, "Email relay")
    mail.fault("smtp", mode="bad_credentials")
    seeds.check(relay, times=2)
    visitor.go("/admin/integrations")
    expect(visitor.page.locator(".alert")).to_have_count(1)

    visitor.go(f"/admin/integrations/{relay}")
    visitor.page.get_by_role("switch", name="Enabled").click()
    visitor.said("Email relay is disabled.")
    expect(visitor.state).to_have_text("Disabled")
    expect(visitor.page.locator("#detail .banner")).to_contain_text("It is not checked and never used for sending.")
    row = seeds.row(relay)
    assert (row.status, row.enabled, row.next_check_at) == ("inactive", False, None)
    visitor.look()
    visitor.page.reload()
    expect(visitor.button("Run health check")).to_be_disabled()

    wait_until(lambda: seeds.alerts(place) == ["resolved"], "the end of the alert")
    visitor.go("/admin/integrations")
    expect(visitor.page.locator(".alert")).to_have_count(0)
    expect(visitor.button("Test Email relay")).to_be_disabled()
    visitor.button("Health check all").click()
    visitor.said("Nothing to check")
    assert len(seeds.logs(relay)) == 2

    mail.fault("smtp", mode="none")
    visitor.page.get_by_role("switch", name="Email relay enabled").click()
    visitor.said("Email relay is enabled.")
    wait_until(lambda: len(seeds.logs(relay)) == 3, "the check that follows switching on")
    assert seeds.row(relay).status == "active"
    assert [each for each in seeds.audited(place) if "abled" in each] == ["integration.disabled", "integration.enabled"]


def test_admin_int_010b_delete_integration(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    seeds.check(relay)
    assert seeds.secrets(relay) != {}
    visitor.go(f"/admin/integrations/{relay}")
    visitor.button("Delete integration").click()
    question = visitor.page.get_by_role("dialog", name="Delete Email relay?")
    expect(question.get_by_role("button", name="Keep it")).to_be_focused()
    destroy = question.get_by_role("button", name="Delete integration")
    expect(destroy).to_be_disabled()
    visitor.look()
    question.get_by_role("button", name="Keep it").click()
    expect(question).to_be_hidden()

    visitor.button("Delete integration").click()
    question.get_by_label("Name").fill("Email rela")
    expect(destroy).to_be_disabled()
    question.get_by_label("Name").fill("Email relay")
    destroy.click()
    visitor.said("Email relay is deleted.")
    expect(visitor.page).to_have_url(re.compile("/admin/integrations$"))
    expect(visitor.page.get_by_role("link", name="Email relay", exact=True)).to_have_count(0)
    visitor.look()

    row = seeds.row(relay)
    assert row.deleted_at is not None
    assert (row.enabled, row.status, row.next_check_at) == (False, "inactive", None)
    assert seeds.secrets(relay) == {}
    assert len(seeds.logs(relay)) == 1
    with visitor.expecting(404):
        visitor.go(f"/admin/integrations/{relay}")
        expect(visitor.page.locator("[data-error]")).to_contain_text("does not exist")
        visitor.look()
    visitor.go("/admin/health-logs")
    expect(visitor.page.get_by_role("table", name="Health logs")).to_contain_text("Email relay (deleted)")
    visitor.go("/admin/integrations/new")
    expect(visitor.page.get_by_role("link", name="SMTP")).not_to_contain_text("connected")


def test_the_interval_is_saved_or_named(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    relay = seeds.integration(place, "Email relay")
    visitor.go(f"/admin/integrations/{relay}")
    every = visitor.page.get_by_label("Check every")
    every.fill("90")
    visitor.page.locator("#interval-form").get_by_role("button", name="Save").click()
    expect(visitor.page.locator("#interval-form .error")).to_have_text("Use a number from 1 to 60.")
    expect(every).to_be_focused()
    visitor.look()
    every.fill("15")
    every.press("Enter")
    visitor.said("Interval saved.")
    assert seeds.row(relay).health_check_interval_minutes == 15


def test_rows_of_another_organization_do_not_exist(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    strangers = seeds.integration(seeds.place(), "Of somebody else")
    with visitor.expecting(404):
        for address in ("", "/edit", "/logs"):
            visitor.go(f"/admin/integrations/{strangers}{address}")
            expect(visitor.page.locator("[data-error]")).to_contain_text("does not exist")
            expect(visitor.page.locator("body")).not_to_contain_text("Of somebody else")
