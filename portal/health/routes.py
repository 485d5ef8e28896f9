"""Pages of the health room: the logs of one integration and of all."""

import uuid
from datetime import timedelta

from flask import Blueprint, abort, request, stream_with_context, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import reading
from portal.health import exporting, service
from portal.health.listing import Log
from portal.health.models import LogStatus
from portal.health.service import LogFilters
from portal.integrations import queries
from portal.integrations.models import CheckKind, Integration
from portal.paging import Page
from portal.providers.base import Outcome
from portal.web.access import Who, allow, identity
from portal.web.filters import upper_first
from portal.web.listing import chosen_filters, counted, midnight, page_url
from portal.web.render import page, wants_fragment

blueprint = Blueprint("health", __name__, url_prefix="/admin")
WINDOWS = {"24h": ("Last 24 hours", timedelta(hours=24)), "7d": ("Last 7 days", timedelta(days=7)),
           "30d": ("Last 30 days", timedelta(days=30))}  # fmt: skip
KINDS = [("", "Any kind"), *((each, each.capitalize()) for each in CheckKind)]
STATUSES = [("", "Any status"), *((each, each.capitalize()) for each in LogStatus)]
CAUSES = [("", "Any error"), *((each, upper_first(each.label)) for each in Outcome if each is not Outcome.OK)]
MORE = "rows"
"""The block that holds older checks alone."""
TIMES = [("", "Any time"), *((key, label) for key, (label, _) in WINDOWS.items())]


@blueprint.get("/health-logs")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the health logs of all integrations."""
    return _page(None)


@blueprint.get("/integrations/<uuid:integration_id>/logs")
@allow(Who.ADMIN)
def of_integration(integration_id: uuid.UUID) -> Response:
    """Show the health logs of one integration."""
    return _page(queries.get(organization_id=identity().organization_id, integration_id=integration_id))


@blueprint.get("/health-logs.csv")
@allow(Who.ADMIN)
def export() -> Response:
    """Send the health logs of all integrations as CSV."""
    return _csv(None, "health-logs.csv")


@blueprint.get("/integrations/<uuid:integration_id>/logs.csv")
@allow(Who.ADMIN)
def export_of_integration(integration_id: uuid.UUID) -> Response:
    """Send the health logs of one integration as CSV."""
    with reading():
        integration = queries.get(organization_id=identity().organization_id, integration_id=integration_id)
    return _csv(integration, f"health-logs-{integration_id}.csv")


def _csv(integration: Integration | None, name: str) -> Response:
    lines = exporting.as_csv(organization_id=identity().organization_id, filters=_filters(_chosen(), integration))
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"}
    return Response(stream_with_context(lines), mimetype="text/csv", headers=headers)


def _page(integration: Integration | None) -> Response:
    organization_id, chosen = identity().organization_id, _chosen()
    filters = _filters(chosen, integration)
    cursor = request.args.get("cursor", "")
    try:
        found = service.logs(organization_id=organization_id, filters=filters, cursor=cursor)
    except ValueError:
        abort(404)
    block = _block()
    here = url_for("health.of_integration", integration_id=integration.id) if integration else url_for("health.index")
    return page(
        "health/logs.html",
        block=block,
        integration=integration,
        logs=found.items,
        here=here,
        csv_url=page_url(_csv_url(integration), chosen),
        next_url=page_url(here, chosen, found.next_cursor) if found.next_cursor else None,
        total="" if wants_fragment() and block == MORE else _total(organization_id, filters, found),
        any_filter=any(chosen.values()),
        chosen=chosen,
        kinds=KINDS,
        statuses=STATUSES,
        causes=CAUSES,
        times=TIMES,
    )


def _csv_url(integration: Integration | None) -> str:
    if integration is None:
        return url_for("health.export")
    return url_for("health.export_of_integration", integration_id=integration.id)


def _total(organization_id: uuid.UUID, filters: LogFilters, found: Page[Log]) -> str:
    """Say how many logs there are; they are counted only where the page that is shown does not know."""
    if found.total is not None:
        return counted(found.total)
    return counted(service.count_logs(organization_id=organization_id, filters=filters))


def _block() -> str:
    return {"more-logs": MORE, "log-list": "list"}.get(request.headers.get("HX-Target", ""), "main")


def _chosen() -> dict[str, str]:
    return chosen_filters({"kind": dict(KINDS), "status": dict(STATUSES), "error": dict(CAUSES), "time": dict(TIMES)})


def _filters(chosen: dict[str, str], integration: Integration | None) -> LogFilters:
    since, until = midnight(chosen["since"]), midnight(chosen["until"], days=1)
    if chosen["time"]:
        start = clock.now() - WINDOWS[chosen["time"]][1]
        since = max(since, start) if since else start
    return LogFilters(
        integration_id=integration.id if integration else None,
        check_type=chosen["kind"],
        status=chosen["status"],
        error_class=chosen["error"],
        since=since,
        until=until,
        text=chosen["q"],
    )
