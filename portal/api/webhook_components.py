"""The schemas of webhooks, deliveries, event types and events: what requests carry, and what is answered."""

from typing import Final

from portal.api import schema as s
from portal.api.schema import Schema
from portal.webhooks.event_queries import Why
from portal.webhooks.models import DeliveryStatus, RunAction, RunState, WebhookStatus
from portal.webhooks.replay_queries import Wanted
from portal.webhooks.retry import DEFAULT, LONGEST_DELAY, LONGEST_FIRST_DELAY, MOST_RETRIES, Strategy

_USUAL: Final = DEFAULT.as_dict()
POLICY: Final[dict[str, Schema]] = {
    "max_retries": s.whole("After the first attempt.", low=1, high=MOST_RETRIES, default=_USUAL["max_retries"]),
    "retry_strategy": s.one_of(tuple(Strategy), "How the waits grow.") | {"default": _USUAL["retry_strategy"]},
    "fixed_delay_seconds": s.whole(
        "Before the first retry; with fixed before each.",
        low=1, high=LONGEST_FIRST_DELAY, default=_USUAL["fixed_delay_seconds"],
    ),
    "max_delay_seconds": s.whole(
        "No wait is longer, jitter aside.", low=1, high=LONGEST_DELAY, default=_USUAL["max_delay_seconds"]
    ),
    "enable_jitter": s.yes_or_no("Adds up to a fifth to each wait.") | {"default": _USUAL["enable_jitter"]},
    "enable_dlq": s.yes_or_no("Keeps what ran out of retries as dead letters.") | {"default": _USUAL["enable_dlq"]},
}  # fmt: skip
RETRY: Final = s.changes(**POLICY)
"""A policy as it is written: what is left out has its default."""

NAME: Final = s.text("What people call it.", examples=["Payroll"])
URL: Final = s.text("Where events go: https.", examples=["https://payroll.example.org/hooks"])
EVENTS: Final = s.many(s.text(examples=["job.created"]), "Event types; * stands for all, also later ones.")
STATUS: Final = s.one_of(tuple(WebhookStatus), "disabled: gets nothing.")
ORDERED: Final = s.yes_or_no("Each delivery waits for the one before.")
RATE_LIMIT: Final = s.maybe(s.whole("Deliveries per second at most; null is no limit.", low=1, high=1000))
_VALUE: Final[Schema] = {"type": ["string", "null"]}
HEADERS: Final = s.maybe(s.anything("Your own headers by name; values are secrets.") | {"additionalProperties": _VALUE})
FILTERS: Final = s.maybe(
    s.anything("Only events whose data has these values: paths with dots, each with a value or a list of them.")
    | {"examples": [{"status": "open", "location.state": ["NSW", "VIC"]}]}
)
OWN_RETRY: Final = s.maybe(s.told(RETRY, "A retry policy of its own; null follows the organization's."))
OPTIONAL: Final[dict[str, Schema]] = {
    "status": STATUS,
    "custom_headers": HEADERS,
    "filters": FILTERS,
    "ordered": ORDERED,
    "rate_limit": RATE_LIMIT,
    "retry": OWN_RETRY,
}
NEW_WEBHOOK: Final = s.record(*OPTIONAL, name=NAME, url=URL, events=EVENTS, **OPTIONAL)
WEBHOOK_CHANGES: Final = s.changes(name=NAME, url=URL, events=EVENTS, **OPTIONAL)
TEST: Final = s.record(
    "data",
    event_type=s.text("One of the event types.", examples=["job.created"]),
    data={"description": "Any JSON; the event type's sample where it is left out.", "type": s.ANY_TYPE},
)
REPLAY: Final = s.record(
    "until",
    "status",
    "events",
    since=s.moment("Events accepted from this time on."),
    until=s.moment("And before this time; now where it is left out."),
    status=s.one_of(
        tuple(Wanted),
        "failed: given up, dead letters included. dlq: dead letters alone. success: delivered. missing: events that "
        "it wants now and has no delivery of, as it was added, switched on or changed later.",
    )
    | {"default": str(Wanted.FAILED)},
    events=s.many(s.text(maxLength=100), "Only of these event types.") | {"maxItems": 200},
)
SEND_EVENT: Final = s.record(webhook_id=s.identifier("To this webhook, whether or not it is subscribed."))
DEAD_LETTERS: Final[dict[str, Schema]] = {
    "webhook_id": s.identifier("Of this webhook."),
    "cause": s.text("An error_class, or one of 4xx, 5xx, timeout, tls, connection, other.", maxLength=30),
    "since": s.moment("Of events accepted from this time on."),
}
OWN_TYPE: Final[dict[str, Schema]] = {
    "group": s.text("Under which heading it is listed.", examples=["INVOICES"]),
    "description": s.text("What happened when such an event is sent."),
    "sample": {"description": "Data as an event carries it.", "type": s.ANY_TYPE, "examples": [{"id": "inv_7"}]},
    "schema": s.maybe(s.anything("A JSON Schema that the data must follow. It refers to nothing outside itself.")),
}
NEW_TYPE: Final = s.record(*OWN_TYPE, name=s.text("Words with dots between.", examples=["invoice.paid"]), **OWN_TYPE)
TYPE_CHANGES: Final = s.changes(**OWN_TYPE)

DELIVERY: Final[dict[str, Schema]] = {
    "id": s.identifier(),
    "webhook_id": s.identifier(),
    "event_id": s.text("The webhook-id, the same at every attempt."),
    "event_type": s.text(examples=["job.created"]),
    "payload": s.maybe(s.anything("The body that receivers get; null where it is not kept any more.")),
    "status": s.one_of(tuple(DeliveryStatus), "dlq: ran out of retries."),
    "attempt_number": s.whole("Attempts made so far."),
    "next_retry_at": s.maybe(s.moment("When the next attempt is due; null while one is under way or none follows.")),
    "delivered_at": s.maybe(s.moment()),
    "response_status": s.maybe(s.whole("HTTP status of the last attempt.")),
    "duration_ms": s.maybe(s.whole("Of the last attempt.")),
    "error_class": s.maybe(s.text("Why the last attempt failed: timeout, tls, dns, http_500 and the like.")),
    "created_at": s.moment(),
}
EVENT: Final[dict[str, Schema]] = {
    "id": s.text("Receivers get it as webhook-id.", examples=["evt_019ac3f26f1e7cc19d5a5b8f2f6f3a10"]),
    "event_type": s.text(examples=["job.created"]),
    "source": s.text("api, portal, test or command.", examples=["api"]),
    "deliveries": s.record(**{str(each): s.whole() for each in DeliveryStatus}),
    "occurred_at": s.moment(),
    "accepted_at": s.moment(),
}
FATE: Final = s.record(
    webhook_id=s.identifier(),
    name=s.maybe(s.text("Null where nothing is known of the webhook any more.")),
    deleted=s.yes_or_no("Whether the webhook is gone by now."),
    delivery_id=s.maybe(s.identifier("Null where it did not get the event.")),
    status=s.maybe(s.one_of(tuple(DeliveryStatus), "Of the delivery.")),
    response_status=s.maybe(s.whole("HTTP status of the delivery's last attempt.")),
    reason=s.maybe(s.one_of(tuple(Why), "Why there is no delivery.")),
)
ATTEMPT: Final = s.record(
    attempt_number=s.whole(low=1),
    request_headers=s.anything("As sent; your own headers' values are hidden."),
    response_status=s.maybe(s.whole()),
    response_headers=s.anything(),
    response_body=s.text("Up to 64 KiB."),
    duration_ms=s.whole(),
    error=s.maybe(s.text("What failed, in words.")),
    error_class=s.maybe(s.text()),
    timing=s.anything("Milliseconds until name, connection, encryption, first byte and end."),
    at=s.moment(),
)
SCHEMAS: Final[dict[str, Schema]] = {
    "Webhook": s.record(
        id=s.identifier(),
        name=NAME,
        url=URL,
        events=EVENTS,
        status=STATUS,
        disabled_reason=s.maybe(s.text("Why the portal disabled it.")),
        secret=s.text("Masked; in full in the answer that makes it, and by reveal."),
        previous_secret_until=s.maybe(s.moment("Until when the secret before signs too.")),
        custom_headers={**s.anything("Names with masked values."), "examples": [{"X-Api-Key": "••••"}]},
        filters=FILTERS,
        ordered=ORDERED,
        rate_limit=RATE_LIMIT,
        retry=s.maybe(s.ref("RetryPolicy")),
        failing_since=s.maybe(s.moment("Since when no delivery succeeded.")),
        disables_at=s.maybe(s.moment("When the portal disables it unless a delivery succeeds.")),
        last_success_at=s.maybe(s.moment()),
        created_by=s.maybe(s.identifier("The member who made it.")),
        created_at=s.moment(),
        updated_at=s.moment(),
    ),
    "WebhookSecret": s.record(secret=s.text("whsec_ and base64.", examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])),
    "Delivery": s.record(**DELIVERY),
    "DeliveryWithAttempts": s.record(**DELIVERY, attempts=s.many(ATTEMPT, "The newest first.")),
    "DeadLetter": s.record(
        **DELIVERY,
        error=s.maybe(s.text("What failed at the last attempt, in words.")),
        gave_up_at=s.maybe(s.moment("When the last attempt failed.")),
    ),
    "Event": s.record(**EVENT),
    "EventWithWebhooks": s.record(
        **EVENT,
        payload=s.maybe(s.anything("The body that receivers get; null where it is not kept any more.")),
        webhooks=s.many(FATE, "Those that got it first."),
    ),
    "DeliveriesStarted": s.record(
        deliveries=s.whole("Deliveries that are sent again."),
        run_id=s.maybe(s.identifier("The run that does it; null where there is nothing to do.")),
    ),
    "ReplayRun": s.record(
        id=s.maybe(s.identifier("null where there is nothing to do.")),
        webhook_id=s.maybe(s.identifier("null for dead letters.")),
        action=s.one_of(tuple(RunAction)),
        state=s.one_of(tuple(RunState), "counting: total is not all of it yet. stopped: see stopped_because."),
        total=s.whole("How many it is about."),
        done=s.whole("How many are on their way so far."),
        stopped_because=s.maybe(s.one_of(("disabled", "deleted"), "What became of the webhook.")),
        started_by=s.text(),
        started_at=s.moment(),
        finished_at=s.maybe(s.moment()),
    ),
    "RetryPolicy": s.record(**POLICY),
    "EventType": s.record(
        name=s.text(examples=["job.created"]),
        group=s.text(examples=["JOBS"]),
        description=s.text(),
        sample={"type": s.ANY_TYPE, "examples": [{"id": "job_2041"}]},
        schema=s.maybe(s.anything()),
        own=s.yes_or_no("Whether your organization added it; the others stay as they are."),
    ),
    "AcceptedEvent": s.record(
        id=s.text("Receivers get it as webhook-id.", examples=["evt_019ac3f26f1e7cc19d5a5b8f2f6f3a10"]),
        deliveries=s.whole("Webhooks that get it."),
    ),
    "AcceptedEvents": s.record(events=s.many(s.ref("AcceptedEvent"))),
}
