"""Messages: sent by the portal's own worker, tried with the next carrier, and again when a person says so."""

import re

from playwright.sync_api import expect
from sqlalchemy import update

from e2e.support.canary import WRONG
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from portal.messaging import Channel, Message, MessageStatus, queue
from portal.sandbox import Sandbox


def sent(mail: Sandbox) -> int:
    """Return how often the message went out; the mailbox that failed may have raised an alert, which is sent too."""
    return sum(each["subject"] == "Payroll is down" for each in mail.outbox)


def test_a_message_goes_to_the_next_carrier_and_again_when_a_person_says_so(
    visitor: Visitor, seeds: Seeder, place: Place, mail: Sandbox
) -> None:
    visitor.go("/admin/messages")
    expect(visitor.page.get_by_role("heading", name="No messages yet")).to_be_visible()
    visitor.look()
    seeds.integration(place, "Careers mailbox", password=WRONG)
    seeds.integration(place, "Email relay")
    with seeds.writing():
        message = queue(
            organization_id=place.organization_id, channel=Channel.EMAIL, to="dana@northline.example",
            subject="Payroll is down", text="ADP does not answer since 09:10.", purpose="alert",
        )  # fmt: skip
    visitor.go(f"/admin/messages/{message.id}")
    expect(visitor.head.locator(".status")).to_have_text("Sent")
    rows = visitor.page.get_by_role("table", name="Tries").locator("tbody tr")
    expect(rows.nth(0)).to_contain_text(re.compile(r"Email relay.*Sent.*Taken over as", re.DOTALL))
    expect(rows.nth(1)).to_contain_text(re.compile(r"Careers mailbox.*Login refused.*refused the user name", re.DOTALL))
    assert sent(mail) == 1
    visitor.look()

    with seeds.writing() as session:
        session.execute(
            update(Message).where(Message.id == message.id)
            .values(status=MessageStatus.UNKNOWN, error_message="The connection broke after the message was sent.")
        )  # fmt: skip
    visitor.go("/admin/messages")
    visitor.page.get_by_role("link", name="Payroll is down").click()
    visitor.button("Retry").click()
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog).to_contain_text("it arrives twice")
    visitor.look()
    dialog.get_by_role("button", name="Send it again").click()
    visitor.said("The message is queued again.")
    expect(visitor.head.locator(".status")).to_have_text("Sent")
    expect(rows).to_have_count(4)
    assert sent(mail) == 2
