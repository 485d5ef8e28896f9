"""Retention: old bodies are emptied, old deliveries deleted, what still waits is left alone; in batches, by id."""

import uuid
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from portal import clock
from portal.accounts import retention as kept_for
from portal.database import db, first_id, reading, unit_of_work
from portal.webhooks import deliveries, retention
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event
from tests.support.people import Browser, Team
from tests.webhooks.kit import make_webhook


def past(team: Team, webhook_id: uuid.UUID, days: float, status: DeliveryStatus = DeliveryStatus.SUCCESS) -> uuid.UUID:
    """Store an event of that age with a delivery and its attempt, under ids of that time; return the delivery's."""
    at = clock.now() - timedelta(days=days)
    event_id, delivery_id = _id(at), _id(at)
    owner = {"organization_id": team.organization_id}
    event = {"event_id": event_id.hex, "event_type": "job.created", "source": "api", "body": b"{}", "decisions": {}}
    db.session.execute(insert(Event), [{"id": event_id, **owner, **event, "occurred_at": at, "accepted_at": at}])
    delivery = {"webhook_id": webhook_id, "event_row_id": event_id, "event_type": "job.created", "status": status}
    due = at if status is DeliveryStatus.PENDING else None
    db.session.execute(insert(Delivery), [{"id": delivery_id, **owner, **delivery, "due_at": due, "created_at": at}])
    sent = {"request_headers": {"a": "b"}, "response_headers": {"c": "d"}, "response_body": b"ok", "timing": {}}
    attempt = {"delivery_id": delivery_id, "attempt_number": 1, "at": at, "duration_ms": 1, **sent}
    db.session.execute(insert(DeliveryAttempt), [attempt])
    return delivery_id


def _id(moment: datetime) -> uuid.UUID:
    return uuid.UUID(int=first_id(moment).int | (uuid.uuid4().int & ((1 << 80) - 1)))


def kept(app: Flask) -> dict[uuid.UUID, tuple[bytes, bytes, bool]]:
    """Return for each delivery the bodies of its event and of its answer, and whether there are headers."""
    query = select(Delivery.id, Event.body, DeliveryAttempt.response_body, DeliveryAttempt.request_headers)
    with app.app_context(), reading() as session:
        rows = session.execute(query.join_from(Delivery, Event).join(DeliveryAttempt)).all()
    return {row[0]: (row[1], row[2], bool(row[3])) for row in rows}


def test_what_is_old_goes_and_what_waits_stays(app: Flask, team: Team) -> None:
    webhook_id, _ = make_webhook(app, team.organization_id, "https://example.org/hook")
    with app.app_context(), unit_of_work():
        new, month = past(team, webhook_id, 29), past(team, webhook_id, 31)
        waits = past(team, webhook_id, 100, DeliveryStatus.PENDING)
        past(team, webhook_id, 91)
    with app.app_context():
        retention.tidy()
        assert retention.tidy() == 0, "the second run begins where the first one stopped"
    whole, emptied = (b"{}", b"ok", True), (b"", b"", False)
    assert kept(app) == {new: whole, month: emptied, waits: (b"{}", b"", False)}
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 3


def test_what_waited_when_its_turn_came_goes_once_it_is_over(app: Flask, team: Team) -> None:
    webhook_id, _ = make_webhook(app, team.organization_id, "https://example.org/hook")
    with app.app_context():
        with unit_of_work():
            waits, ends = (past(team, webhook_id, 100, DeliveryStatus.PENDING) for _ in range(2))
            past(team, webhook_id, 95)  # behind them, so that their turn is over
        retention.tidy()
        with unit_of_work() as session:
            session.get_one(Delivery, ends).status = DeliveryStatus.SUCCESS
        assert (retention.tidy(), retention.tidy()) == (1, 0)
    assert kept(app).keys() == {waits}
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1


def test_an_organization_keeps_them_as_long_as_it_says(app: Flask, team: Team) -> None:
    webhook_id, _ = make_webhook(app, team.organization_id, "https://example.org/hook")
    values = {"logs_days": 30, "rollups_months": 13, "deliveries_days": 50, "bodies_days": 10}
    with app.app_context(), unit_of_work():
        kept_for.change(organization_id=team.organization_id, values=values)
        new, emptied = past(team, webhook_id, 9), past(team, webhook_id, 49)
        past(team, webhook_id, 51)
    with app.app_context():
        retention.tidy()
    assert kept(app) == {new: (b"{}", b"ok", True), emptied: (b"", b"", False)}


def test_a_run_goes_on_in_short_transactions(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "MOST_BATCHES", 3)
    webhook_id, _ = make_webhook(app, team.organization_id, "https://example.org/hook")
    with app.app_context():
        with unit_of_work():
            for _ in range(9):
                past(team, webhook_id, 100)
        runs = 0
        while retention.tidy():
            runs += 1
    assert kept(app) == {}
    assert runs > 3


def test_a_delivery_without_its_body_says_so_and_is_not_sent_again(app: Flask, team: Team, admin: Browser) -> None:
    webhook_id, _ = make_webhook(app, team.organization_id, "https://example.org/hook")
    with app.app_context():
        with unit_of_work():
            old = past(team, webhook_id, 31, DeliveryStatus.DEAD)
        retention.tidy()
        with unit_of_work() as session, pytest.raises(NotNowError, match="deleted because it is old"):
            deliveries.replay(session.get_one(Delivery, old))
    assert "older than bodies are kept" in admin.get(f"/admin/deliveries/{old}").text
