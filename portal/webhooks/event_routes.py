"""Pages of the accepted events: all of them, and one with what became of it at each webhook."""

from datetime import timedelta
from typing import Final

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.web.access import Who, allow, identity
from portal.web.listing import Growing, chosen_filters, counted, midnight
from portal.web.render import is_shown, nothing_new, page, version_of
from portal.webhooks import event_queries, presenting, queries
from portal.webhooks.event_queries import EventFilters, Fate
from portal.webhooks.routes import CALM, LIVELY

blueprint = Blueprint("events", __name__, url_prefix="/admin/events")
TIMES: Final = {"24h": ("Last 24 hours", timedelta(hours=24)), "7d": ("Last 7 days", timedelta(days=7)),
                "30d": ("Last 30 days", timedelta(days=30))}  # fmt: skip


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """List what was accepted, with how many deliveries of each event stand how."""
    organization_id = identity().organization_id
    types = [name for group in queries.event_groups(organization_id) for name in group.types]
    offered = {
        "type": {name: name for name in types},
        "time": {key: label for key, (label, _) in TIMES.items()},
    }
    chosen = chosen_filters(offered)
    filters, rows = _filters(chosen), Growing.asked_for(url_for("events.index"), chosen, page=queries.PAGE)
    try:
        found = event_queries.listed(
            organization_id=organization_id, filters=filters, cursor=rows.cursor, limit=rows.shown
        )
    except ValueError:
        abort(404)
    total = event_queries.count(organization_id=organization_id, filters=filters)
    version = version_of(rows, found, total)
    if is_shown(version):
        return nothing_new()
    return page(
        "webhooks/events.html",
        block="list" if request.headers.get("HX-Target") == "event-list" else "main",
        found=found.items,
        here=rows.here,
        this_url=rows.url,
        next_url=rows.older_url(found.next_cursor),
        every=CALM,
        version=version,
        total=counted(total),
        any_filter=any(chosen.values()),
        chosen=chosen,
        choices={name: [("", f"Any {name}"), *values.items()] for name, values in offered.items()},
        show=presenting,
    )


@blueprint.get("/<event_id>")
@allow(Who.ADMIN)
def detail(event_id: str) -> Response:
    """Show one event: its body, and for each webhook its delivery or why there is none."""
    event = event_queries.get(organization_id=identity().organization_id, event_id=event_id)
    fates = event_queries.fates(event)
    return page(
        "webhooks/event.html",
        block="update" if request.headers.get("HX-Target") == "event" else "main",
        event=event,
        fates=fates,
        sent=sum(each.delivery is not None for each in fates),
        show=presenting,
        every=LIVELY if any(_is_open(each) for each in fates) else None,
    )


def _is_open(fate: Fate) -> bool:
    return fate.delivery is not None and not presenting.is_over(fate.delivery)


def _filters(chosen: dict[str, str]) -> EventFilters:
    since, until = midnight(chosen["since"]), midnight(chosen["until"], days=1)
    if chosen["time"]:
        start = clock.now() - TIMES[chosen["time"]][1]
        since = max(since, start) if since else start
    return EventFilters(event_id=chosen["q"], event_type=chosen["type"], since=since, until=until)
