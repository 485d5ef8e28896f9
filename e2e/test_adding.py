"""Adding an email server in the drawer, by hand."""

import re

from playwright.sync_api import expect

from e2e.support.canary import GOOD, WRONG
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.sandbox import Sandbox

DETAIL = re.compile(r"/admin/integrations/[0-9a-f-]{36}$")


def open_drawer(visitor: Visitor) -> None:
    """Go the way a person goes: dashboard, catalogue, provider."""
    visitor.go("/admin/integrations")
    visitor.page.get_by_role("link", name=re.compile("^(Add integration|See all providers)$")).first.click()
    visitor.page.get_by_role("link", name="SMTP").click()
    expect(visitor.drawer).to_be_visible()
    expect(visitor.page).to_have_url(re.compile("/admin/integrations/new/smtp$"))


def fill_drawer(visitor: Visitor, *, name: str = "Email relay", password: str = GOOD) -> None:
    """Fill the drawer with a server that the sandbox plays."""
    visitor.fill(name=name, host="mail.northline.example", username="portal", password=password,
                 from_email="noreply@northline.example", from_name="Northline")  # fmt: skip
    visitor.drawer.get_by_label("Sandbox: talk to the provider sandbox").check()


def steps(visitor: Visitor) -> list[tuple[str, str]]:
    """Return what the result says of each step."""
    items = visitor.result.locator(".steps > li")
    return [(each.locator("b").inner_text(), str(each.locator("svg").get_attribute("aria-label")))
            for each in items.all()]  # fmt: skip


def test_admin_int_002_add_smtp_integration(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    open_drawer(visitor)
    visitor.look()
    visitor.drawer.locator("[name=preset]").select_option("sendgrid")
    expect(visitor.drawer.get_by_label("SMTP host")).to_have_value("smtp.sendgrid.net")
    visitor.drawer.locator("[name=security][value=tls]").check()
    expect(visitor.drawer.get_by_label("SMTP port")).to_have_value("465")
    visitor.drawer.locator("[name=security][value=starttls]").check()
    expect(visitor.drawer.get_by_label("SMTP port")).to_have_value("587")
    fill_drawer(visitor)

    visitor.button("Test").click()
    expect(visitor.result).to_contain_text("Connection works")
    assert steps(visitor) == [(each, "Passed") for each in ("DNS", "TCP", "TLS", "Login", "Sender")]
    assert seeds.rows(place) == []
    visitor.look()

    visitor.button("Test & Save").click()
    visitor.page.wait_for_url(DETAIL)
    visitor.said("Integration saved.")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Email relay")
    expect(visitor.state).to_have_text("Active")
    (row,) = seeds.rows(place)
    assert (row.name, row.status, row.condition, row.sandbox) == ("Email relay", "active", None, True)
    assert row.config["host"] == "mail.northline.example"
    assert sorted(seeds.secrets(row.id)) == ["password"]
    commands = [str(each["commands"]) for each in mail.requests]
    assert any("AUTH" in each and "MAIL FROM:<noreply@northline.example>" in each for each in commands)
    assert mail.outbox == []
    wait_until(lambda: [(log.check_type, log.status) for log in seeds.logs(row.id)] == [("auto", "success")],
               "the check that follows a save")  # fmt: skip
    visitor.look()

    visitor.page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Integrations").click()
    expect(visitor.line("Email relay").locator(".status")).to_have_text("Active")
    visitor.page.get_by_role("link", name="Add integration").click()
    expect(visitor.page.get_by_role("link", name="SMTP")).to_contain_text("1 connected")
    visitor.look()


def test_a_mail_service_words_the_fields_and_takes_its_values_along(visitor: Visitor, place: Place) -> None:
    open_drawer(visitor)
    drawer = visitor.drawer
    confirm = drawer.get_by_text("Send user name and password without encryption")
    expect(confirm).to_be_hidden()
    drawer.locator("[name=preset]").select_option("sendgrid")
    expect(drawer.get_by_label("User name (API key)")).to_have_value("apikey")
    expect(drawer.get_by_text("Always the word apikey.")).to_be_visible()
    drawer.locator("[name=preset]").select_option("gmail")
    username = drawer.get_by_label("User name (full address)")
    expect(username).to_have_value("")
    expect(username).to_have_accessible_description("The whole Gmail or Workspace address.")
    expect(drawer.get_by_label("SMTP host")).to_have_value("smtp.gmail.com")
    username.fill("dana@northline.example")
    drawer.locator("[name=preset]").select_option("outlook")
    expect(drawer.get_by_label("User name (full address)")).to_have_value("dana@northline.example")
    drawer.locator("[name=preset]").select_option("custom")
    expect(drawer.get_by_label("User name (optional)")).to_have_value("dana@northline.example")
    expect(drawer.get_by_label("SMTP host")).to_have_value("smtp.office365.com")
    drawer.locator("[name=security][value=none]").check()
    expect(confirm).to_be_visible()
    visitor.look()


def test_admin_int_003_test_smtp_connection(visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox) -> None:
    open_drawer(visitor)
    # The way to a server of one's own: no sandbox in between, a private address that the operator allowed.
    visitor.drawer.locator("[name=security][value=none]").check()
    visitor.fill(name="Email relay", host="127.0.0.1", port=str(mail.smtp_port), username="portal", password=GOOD,
                 from_email="noreply@northline.example", from_name="Northline",
                 test_to="reader@northline.example")  # fmt: skip
    with visitor.expecting(422):
        visitor.button("Send test email").click()
        confirm = visitor.drawer.locator("[name=confirm_plaintext]")
        expect(confirm).to_have_attribute("aria-invalid", "true")
    assert mail.outbox == []
    visitor.look()

    confirm.check()
    visitor.button("Send test email").click()
    expect(visitor.result).to_contain_text("Test email accepted for reader@northline.example")
    expect(visitor.result).to_contain_text("queued as")
    (received,) = mail.outbox
    assert received["to"] == ["reader@northline.example"]
    assert received["from"] == "noreply@northline.example"
    assert received["from_header"] == "Northline <noreply@northline.example>"
    assert received["subject"] == "Test email from Integrations Portal"
    assert '"Email relay" works' in str(received["text"])
    visitor.look()

    visitor.button("Test & Save").click()
    visitor.page.wait_for_url(DETAIL)
    visitor.page.get_by_role("link", name="Configure").click()
    visitor.fill(test_to="second@northline.example")
    visitor.button("Send test email").click()
    expect(visitor.result).to_contain_text("Test email accepted for second@northline.example")
    assert [each["to"] for each in mail.outbox] == [["second@northline.example"], ["reader@northline.example"]]
    visitor.page.keyboard.press("Escape")
    visitor.button("Discard").click()
    visitor.page.reload()
    expect(visitor.page.locator("#usage")).to_contain_text(re.compile(r"Sent today\s*1"))


def test_a_refused_recipient_is_said_in_words(visitor: Visitor, mail: Sandbox) -> None:
    open_drawer(visitor)
    fill_drawer(visitor)
    visitor.fill(test_to="refused@northline.example")
    visitor.button("Send test email").click()
    expect(visitor.result).to_contain_text("Test email not sent: ")
    expect(visitor.result).to_contain_text("5.1.1 The recipient does not exist")
    expect(visitor.result).to_be_focused()
    assert mail.outbox == []
    visitor.look()


def test_a_certificate_that_nobody_vouches_for_is_said_in_words(visitor: Visitor, mail: Sandbox) -> None:
    open_drawer(visitor)
    visitor.fill(name="Email relay", host="127.0.0.1", port=str(mail.smtp_port), username="portal", password=GOOD,
                 from_email="noreply@northline.example")  # fmt: skip
    visitor.button("Test").click()
    expect(visitor.result).to_contain_text("Not working: certificate")
    assert steps(visitor) == [
        ("DNS", "Passed"), ("TCP", "Passed"), ("TLS", "Failed"), ("Login", "Not run"), ("Sender", "Not run"),
    ]  # fmt: skip
    assert all("AUTH" not in str(each["commands"]) for each in mail.requests)
    visitor.look()


def test_saved_as_unverified_it_becomes_active_by_itself(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    visitor.page.clock.install()
    mail.fault("smtp", mode="error_500")
    open_drawer(visitor)
    fill_drawer(visitor)
    visitor.button("Test & Save").click()
    expect(visitor.result).to_contain_text("Not saved: server has a temporary fault")
    assert steps(visitor)[3] == ("Login", "Failed")
    assert seeds.rows(place) == []
    visitor.look()

    visitor.button("Save as unverified").click()
    visitor.page.wait_for_url(DETAIL)
    visitor.said("not used for sending until a check passes")
    (row,) = seeds.rows(place)
    assert (row.status, row.condition) == ("inactive", "unverified")
    wait_until(lambda: len(seeds.logs(row.id)) == 1, "the check that follows a save")
    visitor.page.clock.fast_forward(16_000)
    expect(visitor.state).to_have_text("Unverified")
    visitor.look()

    mail.fault("smtp", mode="none")
    seeds.check_is_due(row.id)
    wait_until(lambda: seeds.row(row.id).status == "active", "the first success")
    visitor.page.clock.fast_forward(16_000)
    expect(visitor.state).to_have_text("Active")
    expect(visitor.page.get_by_role("table", name="Health logs")).to_contain_text("Recovered after 1 failure")


def test_the_focus_goes_to_a_secret_that_is_refused(visitor: Visitor, place: Place) -> None:
    visitor.go("/admin/integrations/new/slack")
    visitor.fill(webhook_url="https://example.org/services/T0/B0/opens-nothing")
    with visitor.expecting(422):
        visitor.button("Save").click()
        expect(visitor.drawer.locator(".error")).to_contain_text("must lead to hooks.slack.com")
    expect(visitor.drawer.get_by_label("Webhook URL")).to_be_focused()


def test_what_a_form_cannot_take_is_named_and_nothing_is_lost(visitor: Visitor, seeds: Seeder, place: Place) -> None:
    open_drawer(visitor)
    visitor.fill(name="", password=WRONG, username="portal")
    visitor.button("Save").click()
    name = visitor.drawer.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(visitor.drawer.locator(".error").first).to_be_visible()
    visitor.look()

    # What only the server knows: hostile text is text, a private host is named, and the typed password stays.
    hostile = '"><img src=x onerror=alert(1)> Пошта'
    visitor.fill(name=hostile, host="10.1.2.3", from_email="noreply@northline.example", max_per_hour="-5")
    with visitor.expecting(422):
        visitor.button("Save").click()
        hourly = visitor.drawer.get_by_label("Max emails per hour")
        expect(hourly).to_have_attribute("aria-invalid", "true")
    expect(hourly).to_be_focused()
    expect(name).to_have_value(hostile)
    expect(visitor.drawer.locator("[name=password]")).to_have_value(WRONG)
    visitor.fill(max_per_hour="100")
    visitor.button("Test").click()
    expect(visitor.result).to_contain_text("PORTAL_ALLOWED_NETWORKS")
    visitor.look()
    assert seeds.rows(place) == []

    visitor.button("Save as unverified").click()
    visitor.page.wait_for_url(DETAIL)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(hostile)
    visitor.look()
    visitor.go("/admin/integrations")
    expect(visitor.line(hostile)).to_be_visible()
    visitor.look()
