"""Webhooks, deliveries and event types as the API answers them; secrets masked."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, select

from portal import clock
from portal.api.presenting import Json
from portal.database import db
from portal.security.masking import BULLETS
from portal.webhooks import event_queries, failing, queries
from portal.webhooks.event_types import Listed
from portal.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    Event,
    ReplayRun,
    RunState,
    Webhook,
)

RUN: Final = ("webhook_id", "action", "state", "total", "done", "started_by", "started_at", "finished_at")
WEBHOOK: Final = (
    "id", "name", "url", "events", "status", "filters", "ordered", "rate_limit", "retry", "failing_since",
    "last_success_at", "created_by", "created_at", "updated_at",
)  # fmt: skip
DELIVERY: Final = (
    "id", "webhook_id", "event_type", "status", "attempt_number", "delivered_at", "response_status", "duration_ms",
    "error_class", "created_at",
)  # fmt: skip
EVENT: Final = ("event_type", "source", "occurred_at", "accepted_at")
ATTEMPT: Final = (
    "attempt_number", "request_headers", "response_status", "response_headers", "duration_ms", "error", "error_class",
    "timing", "at",
)  # fmt: skip


def webhook(row: Webhook, secret: str = "") -> Json:
    """Return a webhook; its secret in full only where it was just made."""
    overlaps = row.previous_sealed is not None and row.previous_until and row.previous_until > clock.now()
    return {
        **{name: getattr(row, name) for name in WEBHOOK},
        "disables_at": failing.disables_at(row),
        "disabled_reason": row.disabled_reason or None,
        "secret": secret or row.secret_masked,
        "previous_secret_until": row.previous_until if overlaps else None,
        "custom_headers": dict.fromkeys(row.header_names or (), BULLETS),
    }


def deliveries(rows: Sequence[Delivery]) -> list[Json]:
    """Return deliveries with what they carry."""
    wanted = {each.event_row_id for each in rows}
    query = select(Event.id, Event.event_id, Event.body).where(Event.id.in_(wanted))
    events = {row.id: row for row in db.session.execute(query)} if wanted else {}
    return [_delivery(each, events[each.event_row_id]) for each in rows]


def delivery(row: Delivery) -> Json:
    """Return one delivery with what it carries."""
    return deliveries([row])[0]


def with_attempts(row: Delivery) -> Json:
    """Return one delivery with its attempts, the newest first."""
    return {**delivery(row), "attempts": [_attempt(each) for each in queries.attempts(row)]}


def dead_letters(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Json]:
    """Return dead letters: the deliveries, with what went wrong at last, and when."""
    ids = [each.id for each in rows]
    found = db.session.scalars(select(Delivery).where(Delivery.id.in_(ids))).all() if ids else []
    by_id = {each["id"]: each for each in deliveries(found)}
    return [{**by_id[each.id], "error": each.error, "gave_up_at": each.gave_up_at} for each in rows if each.id in by_id]


def event(found: event_queries.Listed) -> Json:
    """Return an event as lists have it, with how many deliveries stand how."""
    return {
        "id": found.event_id,
        **{name: getattr(found, name) for name in EVENT},
        "deliveries": {str(each): found.deliveries.get(each, 0) for each in DeliveryStatus},
    }


def with_webhooks(row: Event) -> Json:
    """Return one event with what it carries, and what became of it at each webhook."""
    fates = [_fate(each) for each in event_queries.fates(row)]
    return {**event(event_queries.in_short(row)), "payload": _payload(row.body), "webhooks": fates}


def _fate(found: event_queries.Fate) -> Json:
    row = found.delivery
    return {
        "webhook_id": found.webhook_id,
        "name": found.name or None,
        "deleted": found.deleted,
        "delivery_id": row.id if row else None,
        "status": row.status if row else None,
        "response_status": row.response_status if row else None,
        "reason": found.why,
    }


def run(row: ReplayRun) -> Json:
    """Return how far a run is; one that had nothing to do was not kept, and has no id."""
    shown = {name: getattr(row, name) for name in RUN}
    if (run_id := id_of(row)) is None:
        shown |= {"state": RunState.FINISHED, "finished_at": row.started_at}
    return {"id": run_id, **shown, "stopped_because": row.stopped}


def id_of(row: ReplayRun) -> uuid.UUID | None:
    """Return the id of a run, None where it had nothing to do and was not kept."""
    return row.id if row.total or row.counted_to or row.finished_at else None


def event_type(found: Listed) -> Json:
    """Return an event type."""
    return asdict(found)


def _delivery(row: Delivery, event: Row[uuid.UUID, str, bytes]) -> Json:
    waits = row.status is DeliveryStatus.PENDING and row.lease_token is None
    return {
        **{name: getattr(row, name) for name in DELIVERY},
        "event_id": event.event_id,
        "payload": _payload(event.body),
        "next_retry_at": row.due_at if waits else None,
    }


def _payload(body: bytes) -> Mapping[str, Any] | None:
    return json.loads(body) if body else None


def _attempt(row: DeliveryAttempt) -> Json:
    return {
        **{name: getattr(row, name) for name in ATTEMPT},
        "response_body": row.response_body.decode(errors="replace"),
    }
