"""Webhooks in the browser, against a receiver on loopback: created, tested, retried, replayed, given up, cleared."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from e2e.support.portal import COMMAND, Portal
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from e2e.support.waiting import wait_until
from portal.accounts.models import Organization
from portal.database import reading, unit_of_work
from portal.webhooks import events
from portal.webhooks.events import NewEvent
from portal.webhooks.models import Delivery, DeliveryStatus
from tests.webhooks.kit import Receiver, make_webhook, reply

DETAIL = re.compile(r"/admin/webhooks/[0-9a-f-]{36}(\?.*)?$")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


def emit(seeds: Seeder, place: Place, event_type: str = "job.created") -> None:
    """Hand an event in, as an application does; the portal is another process and looks every second."""
    with seeds.app.app_context(), unit_of_work():
        new = [NewEvent(event_type=event_type, data={"id": "job_1"})]
        events.accept(organization_id=place.organization_id, events=new)


def create(visitor: Visitor, receiver: Receiver, name: str = "Payroll", *, more: dict[str, str] | None = None) -> None:
    """Create a webhook by hand."""
    visitor.go("/admin/webhooks/new")
    visitor.fill(name=name, url=f"{receiver.url}/hooks")
    visitor.drawer.get_by_role("checkbox", name="All events, also ones added later").check()
    if more:
        visitor.drawer.get_by_text("More options").click()
        visitor.drawer.get_by_text("Own policy", exact=True).click()
        visitor.fill(**more)
    visitor.button("Save").click()
    visitor.drawer.get_by_role("link", name="Open the debugger").click()
    visitor.page.wait_for_url(DETAIL)


def test_admin_int_005_create_webhook(visitor: Visitor, receiver: Receiver, place: Place) -> None:
    visitor.go("/admin/webhooks")
    visitor.look()
    visitor.page.get_by_role("link", name="New webhook").first.click()
    expect(visitor.drawer).to_be_visible()
    visitor.look()
    with visitor.expecting(422):
        visitor.fill(name="Payroll", url="https://user:password@example.org/")
        visitor.button("Save").click()
        expect(visitor.drawer).to_contain_text("Choose at least one event.")
        expect(visitor.drawer).to_contain_text("Leave user name and password out of the URL")
    visitor.look()
    visitor.fill(url=f"{receiver.url}/hooks")
    visitor.drawer.get_by_role("button", name=re.compile("Select all")).first.click()
    visitor.button("Save").click()
    expect(visitor.drawer.get_by_label("Secret of Payroll", exact=True)).to_have_value(
        re.compile("^whsec_[A-Za-z0-9+/=]{44}$")
    )
    visitor.look()
    visitor.drawer.get_by_role("link", name="Open the debugger").click()
    visitor.page.wait_for_url(DETAIL)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Payroll")
    visitor.look()
    visitor.go("/admin/webhooks")
    expect(visitor.page.get_by_role("link", name="Payroll", exact=True)).to_be_visible()
    visitor.look()


def test_admin_int_006_test_webhook(visitor: Visitor, receiver: Receiver, place: Place) -> None:
    create(visitor, receiver)
    visitor.page.get_by_label("Event", exact=True).select_option("candidate.created")
    expect(visitor.page.get_by_label("Sample data")).to_have_value(re.compile("Amara Nwosu"))
    visitor.page.get_by_label("Sample data").fill('{"id": "cand_1"}')
    visitor.button("Send test webhook").click()
    expect(visitor.page.locator("#result")).to_contain_text("200")
    (got,) = receiver.got
    assert json.loads(got.body)["data"] == {"id": "cand_1"}
    expect(visitor.page.locator("#result")).to_contain_text("webhook-signature")
    visitor.look()
    visitor.page.locator("#result").get_by_role("link", name="Response").click()
    expect(visitor.page.locator("#result")).to_contain_text("ok")
    expect(visitor.page.locator("#history")).to_contain_text("candidate.created")


def test_admin_int_007_and_008_history_and_replay(
    visitor: Visitor, seeds: Seeder, receiver: Receiver, place: Place
) -> None:
    receiver.answer = lambda handler: reply(handler, 500)
    create(visitor, receiver, more={"max_retries": "1", "first_delay": "1", "max_delay": "1"})
    emit(seeds, place)
    history = visitor.page.locator("#history")
    expect(history).to_contain_text("job.created", timeout=20_000)
    wait_until(lambda: len(receiver.got) == 2, "the retry")
    expect(history.get_by_text("500").first).to_be_visible(timeout=20_000)
    visitor.look()
    receiver.answer = lambda handler: reply(handler, 200)
    visitor.go("/admin/deliveries")
    visitor.look()
    visitor.page.get_by_role("link", name="job.created").first.click()
    expect(visitor.page).to_have_url(re.compile("/admin/deliveries/"))
    visitor.look()
    visitor.page.get_by_role("link", name=re.compile("^evt_")).click()
    expect(visitor.page.get_by_role("row").filter(has_text="Payroll")).to_contain_text("Dead letter after 2 attempts")
    visitor.look()
    visitor.page.get_by_role("link", name="Open delivery").click()
    visitor.page.get_by_role("button", name="Resend").first.click()
    wait_until(lambda: len(receiver.got) == 3, "the payload again")
    assert receiver.got[2].body == receiver.got[0].body
    assert receiver.got[2].headers["webhook-id"] == receiver.got[0].headers["webhook-id"]
    later, _ = make_webhook(seeds.app, place.organization_id, f"{receiver.url}/hooks", name="Added later")
    visitor.go(f"/admin/webhooks/{later}")
    visitor.page.get_by_text("Send earlier events", exact=True).click()
    visitor.button("Count").click()
    visitor.page.get_by_role("button", name="Send 1", exact=True).click()
    wait_until(lambda: len(receiver.got) == 4, "the earlier event")
    assert receiver.got[3].body == receiver.got[0].body
    expect(visitor.page.locator("#replays")).to_contain_text("Queued 1 of 1 earlier event")


def test_admin_int_009_configure_retry_policy(visitor: Visitor, place: Place) -> None:
    visitor.go("/admin/retry-policy")
    visitor.look()
    visitor.page.get_by_label("Max retries").fill("5")
    expect(visitor.page.locator("#schedule")).to_contain_text("Retry 5")
    visitor.button("Save policy").click()
    visitor.said(re.compile("saved"))
    visitor.go("/admin/retry-policy")
    expect(visitor.page.get_by_label("Max retries")).to_have_value("5")


def test_admin_int_010_handle_rate_limit(visitor: Visitor, seeds: Seeder, receiver: Receiver, place: Place) -> None:
    receiver.answer = lambda handler: (
        reply(handler, 429, Retry_After="2") if len(receiver.got) == 1 else reply(handler, 200)
    )
    create(visitor, receiver, more={"max_retries": "3", "first_delay": "1", "max_delay": "1"})
    emit(seeds, place)
    wait_until(lambda: len(receiver.got) == 2, "the second attempt after the pause", seconds=20)
    first, second = (int(each.headers["webhook-timestamp"]) for each in receiver.got)
    assert second - first >= 2


def dead(seeds: Seeder, place: Place) -> int:
    """Return how many dead letters there are: what was sent last is recorded a moment after it arrived."""
    letters = select(func.count()).where(
        Delivery.organization_id == place.organization_id, Delivery.status == DeliveryStatus.DEAD
    )
    with seeds.app.app_context(), reading() as session:
        return session.scalar(letters) or 0


def test_admin_int_011_process_dead_letter(visitor: Visitor, seeds: Seeder, receiver: Receiver, place: Place) -> None:
    receiver.answer = lambda handler: reply(handler, 500)
    create(visitor, receiver, more={"max_retries": "1", "first_delay": "1", "max_delay": "1"})
    emit(seeds, place)
    emit(seeds, place, "job.closed")
    wait_until(lambda: dead(seeds, place) == 2, "both to run out of retries", seconds=20)
    assert len(receiver.got) == 4
    visitor.go("/admin/dead-letters")
    expect(visitor.page.get_by_role("row").filter(has_text="job.closed").last).to_be_visible()
    visitor.look()
    receiver.answer = lambda handler: reply(handler, 200)
    row = visitor.page.get_by_role("row").filter(has_text="job.closed").last
    row.get_by_role("button", name="Retry").click()
    wait_until(lambda: len(receiver.got) == 5, "the retried one")
    visitor.go("/admin/event-types")
    visitor.look()


def test_an_event_from_the_shell_arrives(
    visitor: Visitor, seeds: Seeder, portal: Portal, receiver: Receiver, place: Place
) -> None:
    create(visitor, receiver)
    with seeds.app.app_context(), reading() as session:
        slug = session.get_one(Organization, place.organization_id).slug
    env = {"PORTAL_INSTANCE_DIR": str(portal.instance), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [*COMMAND, "emit", "job.created", "--data", '{"id": 7}', "--organization", slug],
        env=env, capture_output=True, text=True, check=False, cwd=portal.instance,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(receiver.got) == 1, "the event")
    assert receiver.got[0].headers["webhook-id"] == done.stdout.strip()
