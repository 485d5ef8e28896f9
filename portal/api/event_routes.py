"""/api/v1: events of applications, one at a time and in batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from portal.api import idempotency, presenting, reading
from portal.api import schema as s
from portal.api.declaring import Answer, Body
from portal.api.declaring import events as v1
from portal.api.idempotency import Answer as Answered
from portal.api.schema import Schema
from portal.web.access import identity
from portal.webhooks.errors import InvalidError
from portal.webhooks.events import Accepted, Accepting, NewEvent

TAG: Final = "Events"
MOST: Final = 500
"""Events of one batch."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of the body of a batch."""
ANY: Final[Schema] = {"type": s.ANY_TYPE}
EVENT: Final = s.record(
    "id",
    "occurred_at",
    event=s.text("One of the event types.", minLength=1, examples=["job.created"]),
    data=s.told(ANY, "What receivers get: any JSON, usually an object. With the rest at most 256 KiB."),
    id=s.text("Your own id, so that a repeat is harmless: letters, digits, _ and -.", minLength=1, maxLength=64),
    occurred_at=s.moment("When it happened; now where it is left out."),
)
EXAMPLE: Final = {"event": "job.created", "data": {"id": "job_2041", "title": "Support worker, weekends"}}
SHAPE: Final = s.record(events=s.many(EVENT) | {"minItems": 1, "maxItems": MOST})


@v1.endpoint(
    "POST",
    "/events",
    tag=TAG,
    body=Body(schema=lambda: EVENT, example=EXAMPLE),
    answers={202: Answer(about="It is stored with its deliveries, and will be sent.", schema=s.ref("AcceptedEvent"))},
    problems=(409, 503),
    idempotent=True,
)
def send_event(*, body: Mapping[str, Any]) -> Answered:
    """Send an event.

    Each webhook that wants it gets a delivery. The same id with the same data counts once; other data is refused.
    """
    work = Accepting(identity().organization_id, [_event(body)])
    return idempotency.once(body, work, lambda found: (_shown(found)[0], 202))


@v1.endpoint(
    "POST",
    "/events/batch",
    tag=TAG,
    body=Body(schema=lambda: SHAPE, example={"events": [EXAMPLE]}),
    answers={202: Answer(about="All are stored, in the order of the request.", schema=s.ref("AcceptedEvents"))},
    problems=(409, 503),
    idempotent=True,
    most_bytes=MOST_BYTES,
)
def send_events(*, body: Mapping[str, Any]) -> Answered:
    """Send up to 500 events, all or none.

    The body may have 8 MiB. Where one event is refused, none is stored; errors says which.
    """
    batch = [_event(each, f"events.{number}.") for number, each in enumerate(body["events"])]
    work = Accepting(identity().organization_id, batch)
    try:
        return idempotency.once(body, work, lambda found: ({"events": _shown(found)}, 202))
    except InvalidError as error:
        if len(batch) > 1:
            raise
        raise InvalidError({f"events.0.{name}": text for name, text in error.errors.items()}) from None


def _event(sent: Mapping[str, Any], place: str = "") -> NewEvent:
    moment = sent.get("occurred_at")
    return NewEvent(
        event_type=sent["event"],
        data=sent["data"],
        event_id=sent.get("id", ""),
        occurred_at=None if moment is None else reading.moment(moment, f"{place}occurred_at"),
    )


def _shown(found: Sequence[Accepted]) -> list[presenting.Json]:
    return [{"id": each.event_id, "deliveries": each.deliveries} for each in found]
