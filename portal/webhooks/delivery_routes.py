"""Pages of the deliveries: all of them, those of one webhook, one with its attempts; sending one again."""

import uuid
from datetime import timedelta

from flask import abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import unit_of_work
from portal.web.access import Who, allow, identity
from portal.web.listing import Growing, chosen_filters, counted, midnight
from portal.web.render import (
    add_toast,
    came_from,
    go_to,
    is_shown,
    nothing_new,
    page,
    trigger,
    version_of,
    wants_fragment,
)
from portal.webhooks import deliveries, presenting, queries, run_words
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.models import DeliveryStatus, Webhook
from portal.webhooks.queries import DeliveryFilters
from portal.webhooks.routes import CALM, DELIVERED, LIVELY, blueprint, get

TIMES = {"24h": ("Last 24 hours", timedelta(hours=24)), "7d": ("Last 7 days", timedelta(days=7)),
         "30d": ("Last 30 days", timedelta(days=30))}  # fmt: skip
STATUSES = [
    ("", "Any status"),
    (str(DeliveryStatus.PENDING), "Waiting"),
    (str(DeliveryStatus.SUCCESS), "Delivered"),
    (str(DeliveryStatus.FAILED), "Failed"),
    (str(DeliveryStatus.DEAD), "Dead letter"),
]


@blueprint.get("/deliveries")
@allow(Who.ADMIN)
def deliveries_index() -> Response:
    """Show the deliveries of all webhooks."""
    return _list(None)


@blueprint.get("/webhooks/<uuid:webhook_id>/deliveries")
@allow(Who.ADMIN)
def history(webhook_id: uuid.UUID) -> Response:
    """Show the deliveries of one webhook."""
    return _list(get(webhook_id))


@blueprint.get("/deliveries/<uuid:delivery_id>")
@allow(Who.ADMIN)
def delivery(delivery_id: uuid.UUID) -> Response:
    """Show one delivery with what each attempt sent and what came back."""
    organization_id = identity().organization_id
    found = queries.get_delivery(organization_id=organization_id, delivery_id=delivery_id)
    names = queries.webhook_names(organization_id=organization_id, ids={found.webhook_id})
    name, live = names[found.webhook_id]
    event = queries.event_of(found)
    return page(
        "webhooks/delivery.html",
        block="update" if request.headers.get("HX-Target") == "delivery" else "main",
        delivery=found,
        event=event,
        attempts=queries.attempts(found),
        webhook_name=name,
        webhook_is_there=live,
        show=presenting,
        every=None if presenting.is_over(found) else LIVELY,
    )


@blueprint.post("/deliveries/<uuid:delivery_id>/replay")
@allow(Who.ADMIN)
def replay(delivery_id: uuid.UUID) -> Response:
    """Send a delivery again: the same bytes under the same id, once more."""
    try:
        with unit_of_work():
            found = queries.get_delivery(organization_id=identity().organization_id, delivery_id=delivery_id, lock=True)
            deliveries.replay(found)
        said, tone = f"{found.event_type} is sent again.", "info"
    except NotNowError as error:
        said, tone = str(error), "warn"
    return answered(said, tone, url_for("webhooks.delivery", delivery_id=delivery_id))


def answered(said: str, tone: str, back: str) -> Response:
    """Say what came of it on the page where it was asked for."""
    if not wants_fragment():
        return go_to(came_from(back), toast=said, tone=tone)
    return add_toast(trigger(Response(status=204), DELIVERED), said, tone=tone)


def _list(webhook: Webhook | None) -> Response:
    organization_id = identity().organization_id
    webhooks = [(webhook.id, webhook.name)] if webhook else queries.webhook_choices(organization_id)
    types = [name for group in queries.event_groups(organization_id) for name in group.types]
    offered = {
        "status": dict(STATUSES),
        "type": {name: name for name in types},
        "webhook": {str(webhook_id): name for webhook_id, name in webhooks},
        "time": {key: label for key, (label, _) in TIMES.items()},
    }
    chosen = chosen_filters(offered)
    filters = _filters(chosen, webhook)
    here = url_for("webhooks.history", webhook_id=webhook.id) if webhook else url_for("webhooks.deliveries_index")
    rows = Growing.asked_for(here, chosen, page=queries.PAGE)
    try:
        found, total = queries.counted_deliveries(
            organization_id=organization_id, filters=filters, cursor=rows.cursor, limit=rows.shown
        )
    except ValueError:
        abort(404)
    names = queries.webhook_names(organization_id=organization_id, ids={each.webhook_id for each in found.items})
    version = version_of(rows, found, names, total)
    if is_shown(version):
        return nothing_new()
    return page(
        "webhooks/deliveries.html",
        block="list" if request.headers.get("HX-Target") == "delivery-list" else "main",
        webhook=webhook,
        deliveries=found.items,
        event_ids=queries.event_ids(found.items),
        attempts=queries.attempts_in_short(found.items) if webhook else {},
        webhook_names=names,
        version=version,
        every=LIVELY if any(map(presenting.is_going_on, found.items)) else CALM,
        here=here,
        this_url=rows.url,
        next_url=rows.older_url(found.next_cursor),
        total=counted(total),
        any_filter=any(chosen.values()),
        chosen=chosen,
        choices={name: [("", f"Any {name}"), *values.items()] for name, values in offered.items()}
        | {"status": STATUSES},
        show=presenting,
        **(run_words.of_webhook(webhook) if webhook else {}),
    )


def _filters(chosen: dict[str, str], webhook: Webhook | None) -> DeliveryFilters:
    since, until = midnight(chosen["since"]), midnight(chosen["until"], days=1)
    if chosen["time"]:
        start = clock.now() - TIMES[chosen["time"]][1]
        since = max(since, start) if since else start
    if webhook is not None:
        webhook_id: uuid.UUID | None = webhook.id
    else:
        webhook_id = uuid.UUID(chosen["webhook"]) if chosen["webhook"] else None
    return DeliveryFilters(
        webhook_id=webhook_id,
        event_id=chosen["q"],
        event_type=chosen["type"],
        status=chosen["status"],
        since=since,
        until=until,
    )
