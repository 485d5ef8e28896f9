"""Webhooks that keep failing: warned about at shares of the time, disabled at its end, forgiven by one success."""

import json
import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.audit.models import AuditEntry
from portal.database import reading, unit_of_work
from portal.jobs import Scheduler
from portal.webhooks import failing, queue, recording, sending, service
from portal.webhooks.event_catalogue import BY_NAME
from portal.webhooks.exchange import Reply
from portal.webhooks.models import Webhook, WebhookStatus
from portal.webhooks.sending import Endpoint
from tests.support.people import Team
from tests.support.webhooks import make_delivery, make_webhook, stored_events, stored_webhook
from tests.test_queries import plan, read

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
DAY = timedelta(days=1)
FAILED, DONE = Reply(status=500), Reply(status=200)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def endpoint_of(app: Flask, webhook_id: uuid.UUID) -> Endpoint:
    """Return what a dispatcher reads of a webhook, and then keeps for some seconds."""
    with app.app_context(), reading() as session:
        webhook = session.get_one(Webhook, webhook_id)
        return sending.endpoint_of(webhook, now=clock.now(), good_until=clock.now())


def attempt(app: Flask, team: Team, webhook_id: uuid.UUID, *replies: Reply, endpoint: Endpoint | None = None) -> None:
    """Record attempts that were answered so, as one batch."""
    for _ in replies:
        make_delivery(app, team.admin, webhook_id)
    endpoint = endpoint or endpoint_of(app, webhook_id)
    with app.app_context(), unit_of_work():
        claimed = queue.claim({webhook_id: len(replies)}, ordered=(), now=clock.now())
        now = clock.now()
        pairs = zip(claimed, replies, strict=True)
        recording.record([recording.outcome_of(endpoint, each, reply, now=now) for each, reply in pairs], now)


def look(app: Flask) -> int:
    with app.app_context():
        return failing.look()


def trail(app: Flask, action: str) -> list[dict[str, Any]]:
    with app.app_context(), reading() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.seq))
        return [dict(row.after or {}) for row in rows]


def test_warnings_come_once_each_and_then_the_end(
    app: Flask, team: Team, time: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    hook = make_webhook(app, team.admin, events=["job.created"])
    make_webhook(app, team.admin, "Watcher", events=["webhook.disabled"])
    attempt(app, team, hook, FAILED)
    caplog.set_level(logging.WARNING, logger="portal.webhooks")
    found = []
    for hours in (1, 59, 60, 61, 83, 84, 107, 108, 119):
        time.move_to(START + timedelta(hours=hours))
        if look(app):
            found.append((hours, stored_webhook(app, hook).warned_percent))
        if hours == 119:
            attempt(app, team, hook, FAILED)
    assert found == [(60, 50), (84, 70), (108, 90)]
    entries = trail(app, "webhook.warned")
    assert [each["percent"] for each in entries] == [50, 70, 90]
    assert {each["failing_since"] for each in entries} == {"2026-03-01T08:00:00+00:00"}
    assert {each["disables_at"] for each in entries} == {"2026-03-06T08:00:00+00:00"}
    assert [each.levelname for each in caplog.records] == ["WARNING"] * 3
    assert str(hook) in caplog.text
    time.move_to(START + 5 * DAY)
    assert (look(app), look(app)) == (1, 0), "nothing is due, and it ends all the same"
    over = stored_webhook(app, hook)
    assert (over.status, over.disabled_reason) == (WebhookStatus.DISABLED, "It failed for 5 days.")
    [told] = [each for each in stored_events(app) if each.event_type == "webhook.disabled"]
    about = {"id": str(hook), "name": "Payroll", "url": "https://hooks.example.org/portal"}
    data = json.loads(told.body)["data"]
    assert data == {"webhook": about, "reason": "It failed for 5 days.", "since": "2026-03-01T08:00:00.000Z"}
    sample = BY_NAME["webhook.disabled"].sample
    assert (data.keys(), data["webhook"].keys()) == (sample.keys(), sample["webhook"].keys())


@SQLITE
def test_one_success_sets_everything_back(app: Flask, team: Team, time: time_machine.Traveller) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(3 * DAY)
    assert look(app) == 1
    attempt(app, team, hook, DONE)
    row = stored_webhook(app, hook)
    assert (row.failing_since, row.warned_percent) == (None, None)
    attempt(app, team, hook, FAILED)
    time.shift(2 * DAY)
    assert look(app) == 0
    time.shift(DAY)
    assert look(app) == 1, "it is warned about anew"


@SQLITE
def test_after_a_pause_of_the_portal_the_last_warning_alone_is_given(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    attempt(app, team, make_webhook(app, team.admin), FAILED)
    time.shift(timedelta(days=4, hours=1))
    assert (look(app), look(app)) == (1, 0)
    assert [each["percent"] for each in trail(app, "webhook.warned")] == [70]


def test_what_nothing_is_sent_to_is_not_disabled_before_it_fails_again(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(20 * DAY)
    assert look(app) == 1
    assert look(app) == 0
    row = stored_webhook(app, hook)
    assert (row.status, row.warned_percent) == (WebhookStatus.ACTIVE, 90)
    attempt(app, team, hook, FAILED)
    assert stored_webhook(app, hook).status is WebhookStatus.DISABLED


def test_what_a_dispatcher_read_a_while_ago_does_not_decide(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(6 * DAY)
    old = endpoint_of(app, hook)
    attempt(app, team, hook, DONE)
    attempt(app, team, hook, FAILED, endpoint=old)
    row = stored_webhook(app, hook)
    assert (row.status, row.failing_since) == (WebhookStatus.ACTIVE, clock.now())
    time.shift(DAY)
    attempt(app, team, hook, DONE, FAILED, endpoint=old)
    row = stored_webhook(app, hook)
    assert (row.status, row.failing_since) == (WebhookStatus.ACTIVE, clock.now()), "a success of the same batch counts"


@SQLITE
def test_the_time_since_when_it_fails_stays_and_the_last_failure_moves(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(DAY)
    attempt(app, team, hook, FAILED, FAILED)
    row = stored_webhook(app, hook)
    assert (row.failing_since, row.last_failure_at) == (START, START + DAY)


@SQLITE
@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_who_gets_nothing_is_not_warned(app: Flask, team: Team, time: time_machine.Traveller, how: str) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(3 * DAY)
    with app.app_context(), unit_of_work():
        row = service.get(organization_id=team.organization_id, webhook_id=hook)
        service.delete(webhook=row) if how == "deleted" else service.set_active(webhook=row, active=False)
    assert look(app) == 0
    assert [each.event_type for each in stored_events(app)] == ["job.created"], "what a person does is told to nobody"


@SQLITE
def test_switching_it_on_again_starts_anew(app: Flask, team: Team, time: time_machine.Traveller) -> None:
    hook = make_webhook(app, team.admin)
    attempt(app, team, hook, FAILED)
    time.shift(5 * DAY - timedelta(hours=1))
    attempt(app, team, hook, FAILED)
    time.shift(timedelta(hours=1))
    assert look(app) == 1
    old = endpoint_of(app, hook)
    with app.app_context(), unit_of_work():
        row = service.get(organization_id=team.organization_id, webhook_id=hook)
        service.set_active(webhook=row, active=True)
    row = stored_webhook(app, hook)
    assert (row.failing_since, row.last_failure_at, row.warned_percent) == (None, None, None)
    attempt(app, team, hook, FAILED, endpoint=old)
    assert stored_webhook(app, hook).status is WebhookStatus.ACTIVE


@SQLITE
@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (Reply(status=410), "410"),
        (Reply(status=403, headers={"webhook-delivery": "disable"}), "webhook-delivery: disable"),
    ],
)
def test_a_receiver_that_wants_no_more_is_told_of_without_what_may_be_a_token(
    app: Flask, team: Team, answer: Reply, how: str
) -> None:
    hook = make_webhook(app, team.admin, url="https://hooks.example.org/in?token=s3cret")
    attempt(app, team, hook, answer)
    [told] = [each for each in stored_events(app) if each.event_type == "webhook.disabled"]
    data = json.loads(told.body)["data"]
    assert (data["webhook"]["url"], data["reason"]) == (
        "https://hooks.example.org/in", f"The receiver asked for no more ({how}).",
    )  # fmt: skip


@SQLITE
def test_the_look_is_a_job_and_uses_its_index(app: Flask, team: Team) -> None:
    assert failing.look in [each.run for each in Scheduler(app).jobs]
    found = plan(app, read(lambda: failing._noteworthy(clock.now())))
    assert "ix_webhooks_failing" in found
