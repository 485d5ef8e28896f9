"""/api/admin: event types, those that the portal brings and the organization's own."""

from collections.abc import Mapping
from typing import Any, Final

from portal.api import lists, webhook_presenting
from portal.api import schema as s
from portal.api import webhook_components as shapes
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.database import unit_of_work
from portal.web.access import identity
from portal.webhooks import event_types
from portal.webhooks.event_types import Draft

TAG: Final = "Event types"
EVENT_TYPE: Final = s.ref("EventType")
EXAMPLE: Final = {
    "name": "invoice.paid",
    "description": "An invoice was paid",
    "sample": {"id": "inv_7", "total": 180},
    "schema": {"type": "object", "required": ["id"]},
}


@admin.endpoint(
    "GET",
    "/event-types",
    tag=TAG,
    query=s.paging(),
    answers={200: Answer(about="Those that the portal brings, then your own.", schema=s.page_of(EVENT_TYPE))},
)
def list_event_types(*, query: Mapping[str, Any]) -> Json:
    """List the event types, with a sample of each."""
    rows = event_types.listed(organization_id=identity().organization_id)
    with lists.good_cursor():
        found = lists.cut(rows, query, key=lambda each: each.name)
    return lists.page(found, webhook_presenting.event_type)


@admin.endpoint(
    "POST",
    "/event-types",
    tag=TAG,
    body=Body(schema=lambda: shapes.NEW_TYPE, example=EXAMPLE),
    answers={201: Answer(about="It is there.", schema=EVENT_TYPE)},
    problems=(409,),
)
def create_event_type(*, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Add an event type.

    With a schema, events whose data does not follow it are refused; so is a sample.
    """
    with unit_of_work():
        row = event_types.create(organization_id=identity().organization_id, draft=Draft(**body))
        return webhook_presenting.event_type(event_types.shown(row)), 201


@admin.endpoint(
    "PATCH",
    "/event-types/<name>",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.TYPE_CHANGES,
        example={"description": "An invoice was paid in full"},
    ),
    answers={200: Answer(about="The event type as it is now.", schema=EVENT_TYPE)},
    problems=(409,),
)
def change_event_type(name: str, *, body: Mapping[str, Any]) -> Json:
    """Change an event type of your own; its name stays."""
    with unit_of_work():
        row = event_types.get(organization_id=identity().organization_id, name=name, lock=True)
        changed = event_types.change(row=row, draft=event_types.draft_of(row, **body))
        return webhook_presenting.event_type(event_types.shown(changed))


@admin.endpoint(
    "DELETE",
    "/event-types/<name>",
    tag=TAG,
    answers={204: Answer(about="It is gone; its events stay.")},
    problems=(409,),
)
def delete_event_type(name: str) -> tuple[None, int]:
    """Delete an event type of your own that no webhook names."""
    with unit_of_work():
        event_types.delete(row=event_types.get(organization_id=identity().organization_id, name=name, lock=True))
    return None, 204
