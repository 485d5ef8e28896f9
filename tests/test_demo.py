"""The demo organization: its integrations and webhooks do against the sandbox what their made-up past shows."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from standardwebhooks.webhooks import Webhook as Verifier

from portal import clock, demo
from portal.alerts.models import Alert
from portal.alerts.notification_models import AlertChannel, Notification, NotificationAlert
from portal.audit.models import AuditEntry
from portal.database import db
from portal.health.models import HealthLog, HealthRollup
from portal.integrations.models import Integration
from portal.messaging.models import Message, MessageStatus
from portal.providers import catalogue
from portal.providers.sandboxed import sandbox_context
from portal.providers.validation import validate
from portal.sandbox import Sandbox
from portal.settings import Settings
from portal.webhooks import service
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook, WebhookStatus
from portal.webhooks.retry import JITTER
from portal.webhooks.testing import send_test

on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
REFUSED = {"Old office server", "Careers mailbox"}


@pytest.fixture
def portal(settings: Settings, start_app: Callable[[Settings], Flask]) -> Flask:
    """A portal that knows of a sandbox, which need not run while the organization is filled."""
    return start_app(replace(settings, sandbox_url="http://127.0.0.1:8025"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on free ports."""
    with Sandbox().start(port=0, smtp_port=0) as running:
        yield running


@pytest.fixture(autouse=True)
def few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the past of the integrations a short one: there are three months of it."""
    monkeypatch.setattr(demo.checked, "EVERY", timedelta(hours=6))
    monkeypatch.setattr(demo.checked, "SELDOM", timedelta(hours=24))


@on_sqlite
def test_organization_is_filled_once_and_replaced_on_demand(portal: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DAYS", 0)
    with portal.app_context():
        assert [login.person for login in demo.fill(reset=False)] == list(demo.PEOPLE)
        assert demo.fill(reset=False) == []
        assert len(demo.fill(reset=True)) == len(demo.PEOPLE)
        stored = db.session.scalars(select(Integration).order_by(Integration.created_at)).all()
        assert [(each.name, each.provider, each.enabled) for each in stored] == [
            (each.name, each.provider, each.enabled) for each in demo.EXAMPLES
        ]
        assert all(each.sandbox for each in stored)


@on_sqlite
def test_history_is_there_for_what_was_verified(portal: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.history, "make_webhooks", lambda **_: None)
    with portal.app_context():
        demo.fill(reset=False)
        logs = select(Integration.name, func.count(), func.min(HealthLog.checked_at)).join(HealthLog)
        counted = {name: (count, first) for name, count, first in db.session.execute(logs.group_by(Integration.name))}
        assert set(counted) == {each.name for each in demo.EXAMPLES if each.verified}
        for count, first in counted.values():
            assert 35 <= count <= 43
            assert clock.now() - first <= timedelta(days=30, minutes=1), "older logs are rolled up and gone"
        oldest = db.session.scalar(select(func.min(HealthRollup.start)))
        assert oldest is not None
        assert oldest < clock.now() - timedelta(days=80)
        _is_told_of_what_happened()


def _is_told_of_what_happened() -> None:
    """Look at the alerts, who was told of them, and through whom: never through what they are about."""
    alerts = db.session.scalars(select(Alert)).all()
    assert sorted(each.state for each in alerts) == ["open"] + ["resolved"] * sum(e.verified for e in demo.EXAMPLES)
    (now_open,) = [each for each in alerts if each.resolved_at is None]
    assert now_open.title == "Old office server (SMTP): re-authenticate, login failed"
    told = select(Notification, Alert).join(NotificationAlert, NotificationAlert.notification_id == Notification.id)
    about = {str(row.id): alert for row, alert in db.session.execute(told.join(Alert))}
    assert {each.kind for each in db.session.scalars(select(AlertChannel))} == {"email", "sms", "chat"}
    messages = db.session.scalars(select(Message)).all()
    assert {each.entity_id for each in messages} <= about.keys()
    assert {each.channel for each in messages if about[each.entity_id] is now_open} == {"email", "sms", "chat"}
    # Nobody but Twilio sends texts: those about its own outage were taken back when somebody knew of it.
    assert {each.status for each in messages} == {MessageStatus.SENT, MessageStatus.CANCELED}
    for each in messages:
        assert each.created_at < clock.now()
        assert (each.status is MessageStatus.SENT) is (each.integration_id is not None)
        alert = about[each.entity_id]
        if alert.resolved_at is None or each.created_at < alert.resolved_at:
            assert each.integration_id != alert.integration_id


@pytest.mark.parametrize("example", demo.EXAMPLES, ids=lambda example: example.name)
def test_integration_does_in_the_sandbox_what_it_shows(example: demo.Example, sandbox: Sandbox) -> None:
    provider = catalogue.get(example.provider)
    checked = validate(provider, example.values)
    assert checked.ok, checked.errors
    report = provider.test(checked.values, sandbox_context(sandbox.url))
    assert report.ok is (example.name not in REFUSED), report.error


@on_sqlite
def test_past_of_the_webhooks_is_one_that_the_portal_could_have_written(
    portal: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "EXAMPLES", ())
    with portal.app_context():
        demo.fill(reset=False)
        hooks = {each.name: each for each in db.session.scalars(select(Webhook))}
        found = db.session.scalars(select(Delivery).order_by(Delivery.id)).all()
        tries: dict[uuid.UUID, list[DeliveryAttempt]] = {each.id: [] for each in found}
        for attempt in db.session.scalars(select(DeliveryAttempt).order_by(DeliveryAttempt.attempt_number)):
            tries[attempt.delivery_id].append(attempt)
        by_id = {each.id: each for each in hooks.values()}
        for delivery in found:
            _is_sound(delivery, tries[delivery.id], by_id[delivery.webhook_id])
        assert [each.created_at for each in found] == sorted(each.created_at for each in found)
        _are_of_each_kind(hooks, found)
        _was_disabled(hooks["Job board"])


def _is_sound(delivery: Delivery, made: Sequence[DeliveryAttempt], hook: Webhook) -> None:
    """Hold a delivery against its attempts, their times, and their signatures."""
    policy, last = service.policy_of(hook), made[-1]
    assert hook.created_at < delivery.created_at < clock.now()
    assert [each.attempt_number for each in made] == list(range(1, delivery.attempt_number + 1))
    assert (delivery.response_status, delivery.error_class) == (last.response_status, last.error_class)
    assert delivery.delivered_at == (last.at if delivery.status is DeliveryStatus.SUCCESS else None)
    assert (delivery.status is DeliveryStatus.SUCCESS) is (last.error_class is None)
    assert (delivery.due_at is not None) is (delivery.status is DeliveryStatus.PENDING)
    assert delivery.lease_token is None
    begun = [each.at - timedelta(milliseconds=each.duration_ms) for each in made]
    for number, (earlier, later) in enumerate(zip(made, begun[1:], strict=False), 1):
        waited, least = later - earlier.at, timedelta(seconds=policy.wait(number))
        assert least <= waited < least * (1 + JITTER) + timedelta(seconds=1)
    if delivery.status is DeliveryStatus.DEAD:
        assert len(made) == policy.max_retries + 1
    verifier = Verifier(service.signing_secrets(hook, clock.now())[0])
    body = db.session.get_one(Event, delivery.event_row_id).body
    for attempt, moment in zip(made, begun, strict=True):
        assert int(attempt.request_headers["webhook-timestamp"]) == int(moment.timestamp())
        with time_machine.travel(moment, tick=False):
            verifier.verify(body, dict(attempt.request_headers))


def _are_of_each_kind(hooks: dict[str, Webhook], found: Sequence[Delivery]) -> None:
    went = {name: {each.status for each in found if each.webhook_id == hook.id} for name, hook in hooks.items()}
    assert went.pop("Payroll") - {DeliveryStatus.PENDING} == {DeliveryStatus.SUCCESS}
    assert went == {
        "Data warehouse": {DeliveryStatus.SUCCESS},
        "Interview calendar": {DeliveryStatus.SUCCESS, DeliveryStatus.DEAD},
        "Job board": {DeliveryStatus.SUCCESS, DeliveryStatus.FAILED},
    }
    assert [each for each in found if each.webhook_id == hooks["Payroll"].id and each.attempt_number > 1]
    calendar = hooks["Interview calendar"]
    assert calendar.last_success_at is not None
    assert calendar.failing_since is not None
    assert calendar.last_success_at < calendar.failing_since


def _was_disabled(board: Webhook) -> None:
    """Look at what follows from a 410: no more deliveries, the others told, the audit trail in its order."""
    assert (board.status, board.disabled_reason) == (WebhookStatus.DISABLED, "The receiver asked for no more (410).")
    later = db.session.scalars(select(Event).where(Event.accepted_at >= board.updated_at)).all()
    assert {each.decisions[str(board.id)] for each in later} == {"disabled"}
    (told,) = [each for each in later if each.event_type == "webhook.disabled"]
    assert json.loads(told.body)["data"]["webhook"]["name"] == "Job board"
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).all()
    assert [each.at for each in entries] == sorted(each.at for each in entries)
    assert ("webhook.disabled", board.updated_at, "Portal") in [(e.action, e.at, e.actor_name) for e in entries]


@on_sqlite
def test_tests_arrive_at_the_receiver_and_do_there_what_the_past_shows(
    settings: Settings, start_app: Callable[[Settings], Flask], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "EXAMPLES", ())
    monkeypatch.setattr(demo, "DAYS", 0)
    app = start_app(replace(settings, sandbox_url="http://127.0.0.1:1"))
    with app.app_context():
        demo.fill(reset=False)
        assert demo.connect_receiver() is False
    app.extensions["portal_settings"] = replace(settings, sandbox_url=sandbox.url)
    with app.app_context():
        assert demo.connect_receiver() is True
        for webhook in db.session.scalars(select(Webhook)).all():
            db.session.remove()
            send_test(
                organization_id=webhook.organization_id, webhook_id=webhook.id, event_type="job.closed", data={"id": 1}
            )
    shown = {each["endpoint"]: (each["status"], each["good"]) for each in sandbox.receiver.inbox.requests()}
    assert shown == {"data": (200, True), "payroll": (200, True), "calendar": (500, True), "jobs": (410, True)}
