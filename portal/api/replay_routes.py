"""/api/admin: sending a range of time to a webhook again, how far that is, and one event to one webhook."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.api import reading as requests
from portal.api import schema as s
from portal.api import webhook_components as shapes
from portal.api import webhook_presenting
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.audit import trail
from portal.audit.plain import clean
from portal.database import unit_of_work
from portal.web.access import identity
from portal.webhooks import replays, runs
from portal.webhooks.replay_queries import Range, Wanted

TAG: Final = "Deliveries"
RUN: Final = s.ref("ReplayRun")


@admin.endpoint(
    "POST",
    "/webhooks/<uuid:webhook_id>/replay",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.REPLAY,
        example={"since": "2026-11-21T08:30:00Z"},
    ),
    answers={202: Answer(about="They are counted, and sent in batches.", schema=RUN)},
    problems=(409,),
)
def replay_webhook(webhook_id: uuid.UUID, *, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Send a range of time to a webhook again, the oldest first.

    What failed, unless status says otherwise; missing sends events that it did not get. What is under way is left
    alone. The same request while the run goes on answers that run.
    """
    until = body.get("until")
    run = replays.start(
        organization_id=identity().organization_id,
        webhook_id=webhook_id,
        wanted=Range(
            since=requests.moment(body["since"], "since"),
            until=None if until is None else requests.moment(until, "until"),
            wanted=Wanted(body.get("status", Wanted.FAILED)),
            types=tuple(sorted({clean(each, 100) for each in body.get("events", ())})),
        ),
        asked_by=trail.current_actor().name,
    )
    return webhook_presenting.run(run), 202


@admin.endpoint("GET", "/replay-runs/<uuid:run_id>", tag=TAG, answers={200: Answer(about="How far it is.", schema=RUN)})
def get_replay_run(run_id: uuid.UUID) -> Json:
    """Show how far a replay or a retry of many dead letters is."""
    return webhook_presenting.run(runs.get(organization_id=identity().organization_id, run_id=run_id))


@admin.endpoint(
    "POST",
    "/events/<string:event_id>/send",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.SEND_EVENT,
        example={"webhook_id": "019ac3f2-6f1e-7cc1-9d5a-5b8f2f6f3a10"},
    ),
    answers={202: Answer(about="Its delivery is due now.", schema=s.ref("Delivery"))},
    problems=(409,),
)
def send_event_to_webhook(event_id: str, *, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Send an accepted event to a webhook that did not get it.

    Where the webhook has a delivery of it, replay that one.
    """
    organization_id = identity().organization_id
    with unit_of_work():
        row = replays.send_event(
            organization_id=organization_id,
            event_row_id=replays.event_row(organization_id=organization_id, event_id=clean(event_id, 64)),
            webhook_id=requests.identifier(body["webhook_id"], "webhook_id"),
        )
        return webhook_presenting.delivery(row), 202
