"""/api/admin: accepted events, and what became of each at every webhook."""

from collections.abc import Mapping
from typing import Any, Final

from portal.api import lists, webhook_presenting
from portal.api import schema as s
from portal.api.declaring import Answer, admin
from portal.api.presenting import Json
from portal.audit.plain import clean
from portal.web.access import identity
from portal.webhooks import event_queries
from portal.webhooks.event_queries import EventFilters

TAG: Final = "Accepted events"
LONGEST: Final = 100
"""Characters that a text filter takes."""


@admin.endpoint(
    "GET",
    "/events",
    tag=TAG,
    query={
        "event_type": s.text("Of this event type.", maxLength=LONGEST),
        "event_id": s.text("Of this id.", maxLength=64),
        "since": s.moment("Accepted from this time on."),
        "until": s.moment("Accepted before this time."),
        **s.paging(),
    },
    answers={200: Answer(about="The newest first.", schema=s.page_of(s.ref("Event")))},
)
def list_events(*, query: Mapping[str, Any]) -> Json:
    """List the accepted events, with how many deliveries of each stand how."""
    given = lists.without_place(query)
    texts: dict[str, Any] = {name: clean(each, LONGEST) for name, each in given.items() if isinstance(each, str)}
    filters = EventFilters(**(given | texts))
    with lists.good_cursor():
        found = event_queries.listed(organization_id=identity().organization_id, filters=filters, **lists.place(query))
    return lists.page(found, webhook_presenting.event)


@admin.endpoint(
    "GET",
    "/events/<event_id>",
    tag=TAG,
    answers={200: Answer(about="The event.", schema=s.ref("EventWithWebhooks"))},
)
def get_event(event_id: str) -> Json:
    """Show an event, and for each webhook its delivery or why there is none."""
    row = event_queries.get(organization_id=identity().organization_id, event_id=event_id)
    return webhook_presenting.with_webhooks(row)
