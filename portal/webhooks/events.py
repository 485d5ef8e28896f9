"""Accepting events: event, decisions and deliveries in one transaction, before the application has its answer."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, insert, select

from portal import clock
from portal.database import db, new_id, wake_after_commit
from portal.prepared import Prepared
from portal.security.webhook_signatures import ID
from portal.webhooks import event_types, filters, schemas
from portal.webhooks.errors import DuplicateEventError, InvalidError, TooLargeError
from portal.webhooks.event_catalogue import BY_NAME
from portal.webhooks.models import Delivery, DeliveryStatus, Event, EventType, Webhook, WebhookStatus

LARGEST: Final = 256 * 1024
"""Bytes of an event's body."""
WAKE: Final = "deliveries"
"""Topic that wakes the dispatcher."""
ALL: Final = "*"
MOST_IDS: Final = 256
"""Ids that one statement looks for; a power of two, as are the sizes of the others, so that there are few."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_NONE: Final[dict[str, str]] = {}
"""Decisions of an event that every webhook gets: one for all, so that it is turned into JSON once for many."""


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event as it is handed in.

    Attributes:
        event_type: one of the organization's.
        data: a JSON object, or any other JSON value.
        event_id: the application's own id; a new one where it is empty.
        occurred_at: when it happened; now where it is not given.
        source: api, portal, test or command.
    """

    event_type: str
    data: Any
    event_id: str = ""
    occurred_at: datetime | None = None
    source: str = "api"


class Subscriber(NamedTuple):
    """What decides whether a webhook gets an event."""

    id: uuid.UUID
    status: WebhookStatus
    events: list[str]
    filters: filters.Filters | None


_SUBSCRIBERS: Final = Prepared(
    select(Webhook.id, Webhook.status, Webhook.events, Webhook.filters)
    .where(Webhook.organization_id == bindparam("of", type_=Webhook.organization_id.type), Webhook.deleted_at.is_(None))
    .order_by(Webhook.id)
)


@dataclass(frozen=True)
class Accepted:
    """What became of an event that was handed in."""

    event_id: str
    deliveries: int


def accept(*, organization_id: uuid.UUID, events: Sequence[NewEvent]) -> list[Accepted]:
    """Store events with a delivery to each webhook that wants them, all or none. Runs inside a unit of work.

    An event that was accepted before, with the same id and content, counts once and is answered as the first time.

    Raises:
        InvalidError: a type is unknown, or data or another value wrong; the fields carry the place in the batch.
        TooLargeError: a body is larger than LARGEST.
        DuplicateEventError: the id belongs to an event with other content.
    """
    now = clock.now()
    _require_known(organization_id, events)
    rows = [row_of(organization_id, each, now) for each in events]
    before = _known_already(organization_id, [row for row, event in zip(rows, events, strict=True) if event.event_id])
    subscribers = _SUBSCRIBERS.all(Subscriber, of=organization_id)
    answers, deliveries = [], []
    fresh: list[dict[str, Any]] = []
    for row, event in zip(rows, events, strict=True):
        if row["event_id"] in before:
            _require_same(row, fresh)
            answers.append(before[row["event_id"]])
            continue
        mine = _deliveries(row, event.data, subscribers)
        fresh.append(row)
        deliveries += mine
        answers.append(Accepted(row["event_id"], len(mine)))
        before[row["event_id"]] = answers[-1]
    _INSERT_EVENTS.many(fresh)
    _INSERT_DELIVERIES.many(deliveries)
    if deliveries:
        wake_after_commit(WAKE)
    return answers


@dataclass(frozen=True)
class Accepting:
    """Events to accept, as portal.together takes it: those that come at the same time are stored at once."""

    organization_id: uuid.UUID
    events: Sequence[NewEvent]

    def __call__(self) -> list[Accepted]:
        """Accept these alone; raises what accept() does."""
        return accept(organization_id=self.organization_id, events=self.events)

    @staticmethod
    def run_all(works: Sequence["Accepting"]) -> list[list[Accepted]]:
        """Accept several, all or none."""
        answers: dict[int, list[Accepted]] = {}
        for organization_id in {each.organization_id for each in works}:
            mine = [each for each in works if each.organization_id == organization_id]
            events = [event for each in mine for event in each.events]
            found = iter(accept(organization_id=organization_id, events=events))
            answers |= {id(each): list(islice(found, len(each.events))) for each in mine}
        return [answers[id(each)] for each in works]


def new_event_id() -> str:
    """Return the id of an event that brought none."""
    return f"evt_{new_id().hex}"


def known_types(organization_id: uuid.UUID) -> set[str]:
    """Return the names of all event types of an organization."""
    own = db.session.scalars(select(EventType.name).where(EventType.organization_id == organization_id))
    return {*BY_NAME, *own}


def _require_known(organization_id: uuid.UUID, events: Sequence[NewEvent]) -> None:
    errors = {}
    known = event_types.known(organization_id=organization_id, names={each.event_type for each in events})
    checkers = {name: schemas.Checker(schema) for name, schema in known.items() if schema is not None}
    begun = time.thread_time()
    for number, each in enumerate(events):
        place = f"events.{number}." if len(events) > 1 else ""
        if each.event_type not in known:
            errors[f"{place}event"] = f"There is no event type {each.event_type[:100]}. Add it under Event types."
        elif (checker := checkers.get(each.event_type)) is not None:
            if time.thread_time() - begun > schemas.SECONDS:
                raise InvalidError({**errors, f"{place}data": schemas.TOO_LONG})
            if found := checker.misfit(each.data):
                errors[place + found[0]] = found[1]
        if each.event_id and not ID.fullmatch(each.event_id):
            errors[f"{place}id"] = "Use 1 to 64 letters, digits, _ and -."
    if errors:
        raise InvalidError(errors)


def row_of(organization_id: uuid.UUID, event: NewEvent, now: datetime) -> dict[str, Any]:
    """Return the row of an event.

    Raises:
        TooLargeError: its body is larger than LARGEST.
    """
    event_id, occurred_at = event.event_id or new_event_id(), event.occurred_at or now
    body = body_of(event_id, event.event_type, occurred_at, event.data)
    if len(body) > LARGEST:
        raise TooLargeError(LARGEST)
    return {
        "id": new_id(),
        "organization_id": organization_id,
        "event_id": event_id,
        "event_type": event.event_type,
        "source": event.source,
        "body": body,
        "decisions": _NONE,
        "occurred_at": occurred_at,
        "accepted_at": now,
    }


def body_of(event_id: str, event_type: str, occurred_at: datetime, data: Any) -> bytes:
    """Return the bytes that receivers get, the same at every attempt."""
    at = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {"id": event_id, "event": event_type, "occurred_at": at, "data": data}
    return _ENCODER.encode(document).encode()


def _known_already(organization_id: uuid.UUID, rows: Sequence[Mapping[str, Any]]) -> dict[str, Accepted]:
    """Return the answers of events that were accepted before."""
    ids = [row["event_id"] for row in rows]
    found = []
    for part in (ids[at : at + MOST_IDS] for at in range(0, len(ids), MOST_IDS)):
        size = 1 << (len(part) - 1).bit_length()
        padded = enumerate(part + part[-1:] * (size - len(part)))
        found += _of_ids(size).all(_Known, of=organization_id, **{f"id{number}": each for number, each in padded})
    answers = {}
    for old in found:
        for row in rows:
            if row["event_id"] == old.event_id and _differs(row, old):
                raise DuplicateEventError(old.event_id)
        count = len(db.session.scalars(select(Delivery.id).where(Delivery.event_row_id == old.id)).all())
        answers[old.event_id] = Accepted(old.event_id, count)
    return answers


def _differs(row: Mapping[str, Any], old: "_Known") -> bool:
    """Return whether an event says something else than an earlier one; of an old one only its type may be known."""
    return _data(row["body"]) != _data(old.body) if old.body else bool(row["event_type"] != old.event_type)


class _Known(NamedTuple):
    """An event that was accepted before."""

    id: uuid.UUID
    event_id: str
    event_type: str
    body: bytes


@lru_cache(maxsize=16)
def _of_ids(count: int) -> Prepared:
    """Return the statement that reads the events with so many ids."""
    ids = [bindparam(f"id{number}", type_=Event.event_id.type) for number in range(count)]
    return Prepared(
        select(Event.id, Event.event_id, Event.event_type, Event.body).where(
            Event.organization_id == bindparam("of", type_=Event.organization_id.type), Event.event_id.in_(ids)
        )
    )


def _require_same(row: Mapping[str, Any], fresh: Sequence[Mapping[str, Any]]) -> None:
    """Refuse an event whose id another one of the same batch has, with other content."""
    for other in fresh:
        if other["event_id"] == row["event_id"] and _data(other["body"]) != _data(row["body"]):
            raise DuplicateEventError(row["event_id"])


def _data(body: bytes) -> tuple[object, object]:
    document = json.loads(body)
    return document["event"], document["data"]


def _deliveries(row: dict[str, Any], data: Any, webhooks: Sequence[Subscriber]) -> list[dict[str, Any]]:
    """Decide for each webhook, note why one gets nothing, and return the deliveries of the others."""
    reasons = {webhook.id: reason_against(webhook, row["event_type"], data) for webhook in webhooks}
    row["decisions"] = {str(each): reason for each, reason in reasons.items() if reason} or _NONE
    return [delivery_of(row, webhook) for webhook in webhooks if not reasons[webhook.id]]


def reason_against(webhook: Webhook | Subscriber, event_type: str, data: Any) -> str:
    """Return why a webhook does not get an event: disabled, not_subscribed or filtered; "" where it does."""
    if webhook.status is not WebhookStatus.ACTIVE:
        return "disabled"
    if ALL not in webhook.events and event_type not in webhook.events:
        return "not_subscribed"
    return "" if filters.let_through(webhook.filters, data) else "filtered"


def delivery_of(row: Mapping[str, Any], webhook: Webhook | Subscriber) -> dict[str, Any]:
    """Return the row of the delivery of an event to a webhook, due at once."""
    return {
        "id": new_id(),
        "organization_id": row["organization_id"],
        "webhook_id": webhook.id,
        "event_row_id": row["id"],
        "event_type": row["event_type"],
        "status": DeliveryStatus.PENDING,
        "attempt_number": 0,
        "attempts_before": 0,
        "due_at": row["accepted_at"],
        "lease_token": None,
        "created_at": row["accepted_at"],
    }


_INSERT_EVENTS: Final = Prepared(
    insert(Event),
    inserts=(
        "id", "organization_id", "event_id", "event_type", "source", "body", "decisions", "occurred_at", "accepted_at",
    ),
)  # fmt: skip
_INSERT_DELIVERIES: Final = Prepared(
    insert(Delivery),
    inserts=(
        "id", "organization_id", "webhook_id", "event_row_id", "event_type", "status", "attempt_number",
        "attempts_before", "due_at", "lease_token", "created_at",
    ),
)  # fmt: skip
