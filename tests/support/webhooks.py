"""Webhooks for tests: rows made by the service, events that were accepted, deliveries in any state."""

import uuid
from collections.abc import Sequence
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.database import reading, unit_of_work
from portal.webhooks import events, service
from portal.webhooks.events import NewEvent
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, Webhook
from portal.webhooks.service import Draft
from tests.support.people import Person

URL = "https://hooks.example.org/portal"


def make_webhook(app: Flask, owner: Person, name: str = "Payroll", **draft: Any) -> uuid.UUID:
    """Store an active webhook that gets every event; keywords change its draft."""
    values: dict[str, Any] = {"name": name, "url": URL, "events": ["*"], **draft}
    with app.app_context(), unit_of_work():
        made, _ = service.create(organization_id=owner.organization_id, user_id=owner.user_id, draft=Draft(**values))
        return made.id


def send(app: Flask, owner: Person, event_type: str = "job.created", data: Any = None, **event: Any) -> str:
    """Accept an event and return its id."""
    new = NewEvent(event_type=event_type, data={"id": "job_1"} if data is None else data, **event)
    with app.app_context(), unit_of_work():
        return events.accept(organization_id=owner.organization_id, events=[new])[0].event_id


def make_delivery(app: Flask, owner: Person, webhook_id: uuid.UUID, *, attempts: int = 0, **columns: Any) -> uuid.UUID:
    """Accept an event and return its delivery to a webhook, with these columns and failed attempts."""
    event_id = send(app, owner)
    with app.app_context(), unit_of_work() as session:
        query = select(Delivery).join(Event, Event.id == Delivery.event_row_id)
        row = session.scalars(query.where(Event.event_id == event_id, Delivery.webhook_id == webhook_id)).one()
        session.add_all(attempt(row.id, number) for number in range(1, attempts + 1))
        for name, value in {"attempt_number": attempts, **columns}.items():
            setattr(row, name, value)
        return row.id


def dead(error_class: str = "http_500") -> dict[str, Any]:
    """Return the columns of a dead letter."""
    return {"attempts": 1, "status": DeliveryStatus.DEAD, "due_at": None, "error_class": error_class}


def attempt(delivery_id: uuid.UUID, number: int) -> DeliveryAttempt:
    """Return an attempt that was answered with an error."""
    return DeliveryAttempt(
        delivery_id=delivery_id, attempt_number=number, at=clock.now(), duration_ms=12,
        response_status=500, error_class="http_500", error="The receiver answered 500.",
        request_headers={"webhook-id": "evt_1"}, response_headers={"content-type": "text/plain"},
        response_body=b"caf\xc3\xa9 \xff", timing={"connect": 1},
    )  # fmt: skip


def stored_deliveries(app: Flask) -> Sequence[Delivery]:
    """Return every delivery, the oldest first."""
    with app.app_context(), reading() as session:
        return session.scalars(select(Delivery).order_by(Delivery.id)).all()


def stored_events(app: Flask) -> Sequence[Event]:
    """Return every event, the oldest first."""
    with app.app_context(), reading() as session:
        return session.scalars(select(Event).order_by(Event.id)).all()


def stored_webhook(app: Flask, webhook_id: uuid.UUID) -> Webhook:
    """Return a webhook as it is stored now, deleted or not."""
    with app.app_context(), reading() as session:
        return session.get_one(Webhook, webhook_id)
