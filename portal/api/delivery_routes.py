"""/api/admin: deliveries with their attempts, sending them again, dead letters."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.api import lists, webhook_presenting
from portal.api import reading as requests
from portal.api import schema as s
from portal.api import webhook_components as shapes
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.audit import trail
from portal.audit.plain import clean
from portal.database import unit_of_work
from portal.paging import Page
from portal.web.access import identity
from portal.webhooks import dead_letter_queries, dead_letters, queries, service
from portal.webhooks import deliveries as again
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.models import Delivery, DeliveryStatus, RunAction
from portal.webhooks.queries import DeliveryFilters

TAG: Final = "Deliveries"
DEAD: Final = "Dead letters"
LONGEST: Final = 200
"""Characters that a text filter takes."""
DELIVERY: Final = s.ref("Delivery")
NEWEST: Final = {200: Answer(about="The newest first.", schema=s.page_of(DELIVERY))}
DUE: Final = {202: Answer(about="It is due now.", schema=DELIVERY)}
STARTED: Final = s.ref("DeliveriesStarted")
OF_WEBHOOK: Final = {
    "event_type": s.text("Of this event type.", maxLength=100),
    "event_id": s.text("Of this event.", maxLength=64),
    "status": s.one_of(tuple(DeliveryStatus)),
    "since": s.moment("Of events accepted from this time on."),
    "until": s.moment("Of events accepted before this time."),
    **s.paging(),
}
SOME_DEAD: Final = s.changes(**shapes.DEAD_LETTERS)


@admin.endpoint(
    "GET",
    "/deliveries",
    tag=TAG,
    query={"webhook_id": s.identifier("Of this webhook."), **OF_WEBHOOK},
    answers=NEWEST,
)
def list_deliveries(*, query: Mapping[str, Any]) -> Json:
    """List the deliveries of all webhooks."""
    return _listed(query)


@admin.endpoint("GET", "/webhooks/<uuid:webhook_id>/deliveries", tag=TAG, query=OF_WEBHOOK, answers=NEWEST)
def list_webhook_deliveries(webhook_id: uuid.UUID, *, query: Mapping[str, Any]) -> Json:
    """List the deliveries of a webhook."""
    webhook = service.get(organization_id=identity().organization_id, webhook_id=webhook_id)
    return _listed({**query, "webhook_id": webhook.id})


@admin.endpoint(
    "GET",
    "/deliveries/<uuid:delivery_id>",
    tag=TAG,
    answers={200: Answer(about="The delivery.", schema=s.ref("DeliveryWithAttempts"))},
)
def get_delivery(delivery_id: uuid.UUID) -> Json:
    """Show a delivery with its attempts."""
    return webhook_presenting.with_attempts(_get(delivery_id))


@admin.endpoint("POST", "/deliveries/<uuid:delivery_id>/replay", tag=TAG, answers=DUE, problems=(409,))
def replay_delivery(delivery_id: uuid.UUID) -> tuple[Json, int]:
    """Send a delivery again: the same bytes under the same webhook-id.

    While an attempt is under way, or its webhook is disabled, it is refused.
    """
    with unit_of_work():
        row = _get(delivery_id, lock=True)
        again.replay(row)
        return webhook_presenting.delivery(row), 202


@admin.endpoint(
    "GET",
    "/dlq",
    tag=DEAD,
    query={
        **shapes.DEAD_LETTERS,
        "internal": {**s.one_of(("true", "false"), "The portal's own faults, in place of all others.")},
        **s.paging(),
    },
    answers={200: Answer(about="The newest first.", schema=s.page_of(s.ref("DeadLetter")))},
)
def list_dead_letters(*, query: Mapping[str, Any]) -> Json:
    """List the dead letters: deliveries that ran out of retries."""
    filters = DeadLetterFilters(**_dead(query) | {"internal": query.get("internal") == "true"})
    with lists.good_cursor():
        found = dead_letter_queries.listed(
            organization_id=identity().organization_id, filters=filters, **lists.place(query)
        )
    return {"items": webhook_presenting.dead_letters(found.items), "next_cursor": found.next_cursor}


@admin.endpoint("POST", "/dlq/<uuid:delivery_id>/retry", tag=DEAD, answers=DUE, problems=(409,))
def retry_dead_letter(delivery_id: uuid.UUID) -> tuple[Json, int]:
    """Send a dead letter again."""
    with unit_of_work():
        row = dead_letters.retry(organization_id=identity().organization_id, delivery_id=delivery_id)
        return webhook_presenting.delivery(row), 202


@admin.endpoint(
    "DELETE",
    "/dlq/<uuid:delivery_id>",
    tag=DEAD,
    answers={204: Answer(about="It is out of the queue; the delivery stays in the history as failed.")},
    problems=(409,),
)
def discard_dead_letter(delivery_id: uuid.UUID) -> tuple[None, int]:
    """Discard a dead letter."""
    with unit_of_work():
        dead_letters.discard(organization_id=identity().organization_id, delivery_id=delivery_id)
    return None, 204


@admin.endpoint(
    "POST",
    "/dlq/retry",
    tag=DEAD,
    body=Body(schema=lambda: SOME_DEAD, example={"cause": "timeout"}, needed=False),
    answers={202: Answer(about="They are sent again in batches.", schema=STARTED)},
)
def retry_dead_letters(*, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Send dead letters again: all, or those that the body describes.

    Those of disabled or deleted webhooks stay.
    """
    given = dict(body)
    if "since" in given:
        given["since"] = requests.moment(given["since"], "since")
    with unit_of_work():
        run = dead_letters.start(
            organization_id=identity().organization_id,
            action=RunAction.RETRY,
            filters=DeadLetterFilters(**_dead(given)),
            asked_by=trail.current_actor().name,
        )
        return {"deliveries": run.total, "run_id": webhook_presenting.id_of(run)}, 202


def _listed(query: Mapping[str, Any]) -> Json:
    filters = DeliveryFilters(**_typed(lists.without_place(query)))
    with lists.good_cursor():
        found = queries.deliveries(organization_id=identity().organization_id, filters=filters, **lists.place(query))
    return _page(found)


def _page(found: Page[Delivery]) -> Json:
    return {"items": webhook_presenting.deliveries(found.items), "next_cursor": found.next_cursor}


def _dead(given: Mapping[str, Any]) -> dict[str, Any]:
    return _typed({name: given[name] for name in shapes.DEAD_LETTERS if name in given})


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return filters as services take them: the webhook's id as such, and texts that any database can be asked about.

    Raises:
        Problem: the id is none.
    """
    found = {name: clean(each, LONGEST) if isinstance(each, str) else each for name, each in given.items()}
    if "webhook_id" in given:
        found["webhook_id"] = requests.identifier(str(given["webhook_id"]), "webhook_id")
    return found


def _get(delivery_id: uuid.UUID, *, lock: bool = False) -> Delivery:
    return queries.get_delivery(organization_id=identity().organization_id, delivery_id=delivery_id, lock=lock)
