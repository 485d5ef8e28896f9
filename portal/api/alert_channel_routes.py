"""/api/admin: the channels through which people are told of alerts."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.alerts import channels, notification_queries, preferences
from portal.alerts.channels import Draft
from portal.alerts.notification_models import AlertChannel
from portal.alerts.notification_queries import Listed
from portal.api import alert_components as shapes
from portal.api import lists
from portal.api import schema as s
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.audit import trail
from portal.database import unit_of_work
from portal.web.access import identity

TAG: Final = "Alerts"
TESTED: Final = s.record(
    notification_id=s.identifier(),
    recipients=s.whole("Messages that were queued."),
    reason=s.maybe(s.text("Why there is nobody to send to.")),
)
EXAMPLE: Final = {"kind": "email", "name": "Night shift", "audience": "addresses", "addresses": ["night@example.org"]}


@admin.endpoint(
    "GET",
    "/alert-channels",
    tag=TAG,
    query=s.paging(),
    answers={200: Answer(about="In the order in which they were made.", schema=s.page_of(s.ref("AlertChannel")))},
)
def list_alert_channels(*, query: Mapping[str, Any]) -> Json:
    """List the channels through which people are told of alerts.

    Events are told to webhooks besides, always.
    """
    preferences.ensure(identity().organization_id)
    rows = channels.listed(organization_id=identity().organization_id)
    with lists.good_cursor():
        found = lists.cut(rows, query, key=lambda each: str(each.id))
    last = notification_queries.last_of(found.items)
    return lists.page(found, lambda row: _shown(row, last.get(row.id)))


@admin.endpoint(
    "POST",
    "/alert-channels",
    tag=TAG,
    body=Body(schema=lambda: shapes.NEW, example=EXAMPLE),
    answers={201: Answer(about="It is there.", schema=s.ref("AlertChannel"))},
)
def create_alert_channel(*, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Add a channel. It is told of what is open already, and of what happens from now on."""
    with unit_of_work():
        draft = Draft(**_plain(body))
        return _shown(channels.create(organization_id=identity().organization_id, draft=draft)), 201


@admin.endpoint(
    "PATCH",
    "/alert-channels/<uuid:channel_id>",
    tag=TAG,
    body=Body(schema=lambda: shapes.CHANGES, example={"mode": "digest"}),
    answers={200: Answer(about="The channel as it is now.", schema=s.ref("AlertChannel"))},
)
def change_alert_channel(channel_id: uuid.UUID, *, body: Mapping[str, Any]) -> Json:
    """Change a channel; its kind stays."""
    which = {"organization_id": identity().organization_id, "channel_id": channel_id}
    with unit_of_work():
        draft = channels.draft_of(channels.get(**which), **_plain(body))
        row = channels.change(**which, draft=draft)
        return _shown(row, notification_queries.last_of([row]).get(row.id))


@admin.endpoint(
    "DELETE",
    "/alert-channels/<uuid:channel_id>",
    tag=TAG,
    answers={204: Answer(about="It is gone; what it was told stays in the log.")},
)
def delete_alert_channel(channel_id: uuid.UUID) -> tuple[None, int]:
    """Delete a channel."""
    with unit_of_work():
        channels.delete(organization_id=identity().organization_id, channel_id=channel_id)
    return None, 204


@admin.endpoint(
    "POST",
    "/alert-channels/<uuid:channel_id>/test",
    tag=TAG,
    answers={202: Answer(about="A real message for each recipient is queued.", schema=TESTED)},
)
def test_alert_channel(channel_id: uuid.UUID) -> tuple[Json, int]:
    """Send a real message to everybody whom a channel reaches, switched on or not."""
    with unit_of_work():
        sent = channels.test(
            organization_id=identity().organization_id, channel_id=channel_id, asked_by=trail.current_actor().name
        )
        return {"notification_id": sent.id, "recipients": sent.recipients, "reason": sent.skipped or None}, 202


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as a draft takes it: no integration is an empty text."""
    return {name: value or "" if name == "integration_id" else value for name, value in body.items()}


def _shown(row: AlertChannel, last: Listed | None = None) -> Json:
    names = ("id", "kind", *shapes.FIELDS, "created_at", "updated_at")
    return {name: getattr(row, name) for name in names} | {
        "last_sent_at": last.row.created_at if last else None,
        "last_skipped": (last.row.skipped or None) if last else None,
        "last_messages": {str(status): count for status, count in last.statuses.items()} if last else {},
    }
