"""The debugger's test: one event to one webhook, sent at once by whoever waits for it, and never tried again."""

import uuid
from typing import Any

from flask import current_app
from sqlalchemy import insert

from portal import clock
from portal.database import db, new_id, unit_of_work
from portal.security.addresses import AddressPolicy, NetworkError
from portal.settings import Settings
from portal.webhooks import event_types, events, queue, recording, sending, service
from portal.webhooks.errors import InvalidError
from portal.webhooks.events import NewEvent
from portal.webhooks.exchange import Outgoing, Reply
from portal.webhooks.models import Delivery, Event, Webhook
from portal.webhooks.queue import Claimed
from portal.webhooks.recording import Outcome
from portal.webhooks.sending import Endpoint
from portal.webhooks.verdict import INTERNAL
from portal.webhooks.wire import Wire


def send_test(*, organization_id: uuid.UUID, webhook_id: uuid.UUID, event_type: str, data: Any) -> uuid.UUID:
    """Send a test event to one webhook and return its delivery, attempt included.

    It goes the way of every delivery (address guard, signature, time-out), whether or not the webhook is on or wants
    the event. What comes back is recorded with the delivery and changes nothing about the webhook, an answer that
    would disable it included; the page says so. Owns its transactions; none is open while it sends.

    Raises:
        WebhooksError: a value is wrong.
        NotFoundError: there is no such webhook.
    """
    with unit_of_work():
        webhook = service.get(organization_id=organization_id, webhook_id=webhook_id)
        if event_type not in event_types.known(organization_id=organization_id, names={event_type}):
            raise InvalidError({"event": f"There is no event type {event_type[:100]}. Choose another one."})
        new = NewEvent(event_type=event_type, data=data, source="test")
        claimed = _store(webhook, events.row_of(organization_id, new, clock.now()))
        now = clock.now()
        endpoint = sending.endpoint_of(webhook, now=now, good_until=now)
    outcome = _attempt(endpoint, claimed)
    with unit_of_work():
        queue.record([outcome.done])
    return claimed.delivery_id


def _store(webhook: Webhook, event: dict[str, Any]) -> Claimed:
    """Store event and delivery, claimed from the start, so that no dispatcher takes it."""
    token, delivery_id, now = new_id(), new_id(), clock.now()
    db.session.execute(insert(Event), [event])
    delivery = events.delivery_of(event, webhook) | {
        "id": delivery_id,
        "attempt_number": 1,
        "lease_token": token,
        "due_at": now + queue.LEASE,
    }
    db.session.execute(insert(Delivery), [delivery])
    return Claimed(
        token, delivery_id, webhook.id, webhook.organization_id, event["event_type"], 1, 0, event["event_id"],
        event["body"],
    )  # fmt: skip


def _attempt(endpoint: Endpoint, claimed: Claimed) -> Outcome:
    request, reply = _exchange(endpoint, claimed)
    judged = recording.outcome_of(endpoint, claimed, reply, now=clock.now(), request=request)
    return recording.without_retry(judged)


def _exchange(endpoint: Endpoint, claimed: Claimed) -> tuple[Outgoing | None, Reply]:
    """Return what was sent, None where nothing could be, and what came of it."""
    if endpoint.fault:
        return None, Reply(error=INTERNAL, detail=endpoint.fault)
    settings: Settings = current_app.extensions["portal_settings"]
    try:
        address = sending.address_of(endpoint, AddressPolicy(allowed=settings.allowed_networks))
    except NetworkError as error:
        return None, Reply(error=sending.error_of(error), detail=str(error))
    request = sending.request_of(endpoint, claimed, address, now=clock.now())
    return request, _send(request)


def _send(request: Outgoing) -> Reply:
    wire: Wire[None] = Wire(most=1)
    try:
        wire.start(request, None)
        while True:
            for _, reply in wire.turn(1.0):
                return reply
    finally:
        wire.close()
