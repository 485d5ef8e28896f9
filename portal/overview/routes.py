"""Pages that compose several rooms: dashboard, integration detail, checks from both."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.accounts import service as accounts
from portal.alerts import evaluating
from portal.alerts import presenting as alert_words
from portal.alerts import queries as alerts
from portal.alerts.models import Alert
from portal.audit import access as credential_access
from portal.database import reading, unit_of_work
from portal.health import charts, maintenance, metrics, pulse, strips
from portal.health import service as health
from portal.health.service import Disabled, LogFilters
from portal.integrations import credentials, listing, presenting, queries, sending
from portal.integrations.calls import TooBusy
from portal.integrations.listing import PAGE, SORTS, STATUS_FILTERS, Filters, Listed
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.providers.base import Report
from portal.security.redaction import strip_controls
from portal.web.access import Role, Who, allow, identity
from portal.web.filters import duration, plural
from portal.web.listing import MOST_SHOWN, counted, shown_rows
from portal.web.render import (
    add_toast,
    came_from,
    fragment,
    go_to,
    is_shown,
    nothing_new,
    page,
    trigger,
    version_of,
    wants_fragment,
)

blueprint = Blueprint("overview", __name__)
CALM, LIVELY = 5, 2
"""Seconds between two looks of an open page: while nothing happens, and while checks run."""
STATUS_CHOICES = [
    ("", "Any status"),
    ("active", "Active"),
    ("error", "Error"),
    ("reauth", "Re-authenticate"),
    ("unverified", "Unverified"),
    ("limited", "Limited"),
    ("maintenance", "Maintenance"),
    ("disabled", "Disabled"),
]
NOTHING_TO_CHECK = "Nothing to check: no integration is enabled."
COLUMNS = {"name": "Integration", "provider": "Provider", "status": "Status", "last_sync": "Last sync"}
LOGS_ON_DETAIL = 10
ALERTS_SHOWN = 5


@blueprint.get("/")
@allow(Who.MEMBER)
def home() -> Response:
    """Lead to the page that the role starts with."""
    return go_to(url_for("accounts.profile" if identity().role is Role.AGENT else "overview.dashboard"))


@blueprint.get("/admin/integrations")
@allow(Who.ADMIN)
def dashboard() -> Response:
    """Show figures, critical alerts and all integrations."""
    board = _board()
    # How late the checks are is told anew every moment; a page is told when they are not on time any more.
    version = version_of(board | {"pulse": board["pulse"].on_time, "show": None})
    if is_shown(version):
        return nothing_new()
    block = "update" if request.headers.get("HX-Target") == "board" else "main"
    more: dict[str, Any] = {"strips": strips.of(board["integrations"]), "abouts": _abouts(board["alerts"])}
    return page("overview/dashboard.html", block=block, **board, **more, version=version)


@blueprint.get("/admin/integrations/<uuid:integration_id>")
@allow(Who.ADMIN)
def detail(integration_id: uuid.UUID) -> Response:
    """Show one integration: how it is, how it is configured, what its checks found."""
    integration = _get(integration_id)
    alert = alerts.of_integration(organization_id=integration.organization_id, integration_id=integration.id)
    version = version_of(integration, alert, request.args.get("window"))
    if is_shown(version):
        return nothing_new()
    block = "update" if request.headers.get("HX-Target") == "detail" else "main"
    return page("overview/detail.html", block=block, **_detail(integration), alert_row=alert, version=version)


@blueprint.post("/admin/integrations/<uuid:integration_id>/check")
@allow(Who.ADMIN)
def check(integration_id: uuid.UUID) -> Response:
    """Check one integration now."""
    with reading():
        integration = _get(integration_id)
    try:
        report = health.check_now(integration=integration, asked_by=identity().name)
    except Disabled:
        return _checked(integration, None, f"{integration.name} is disabled, so it is not checked.", "off")
    except TooBusy:
        return _checked(integration, None, "Not checked: several tests are running. Try again in some seconds.", "warn")
    if report is None:
        return _checked(integration, None, f"{integration.name} was changed meanwhile. Check it again.", "warn")
    # The page that asked shows alerts beside the result, and would else be some milliseconds ahead of them.
    evaluating.evaluate(settled=False, organization_id=integration.organization_id)
    if report.ok:
        said = f"{integration.name}: check passed in {duration(report.response_time_ms)}."
        return _checked(integration, report, said, "ok")
    said = f"{integration.name}: {report.error.title if report.error else 'check failed'}."
    return _checked(integration, report, said, "err")


@blueprint.post("/admin/integrations/check-all")
@allow(Who.ADMIN)
def check_all() -> Response:
    """Ask for a check of every enabled integration; the dashboard shows how far it is."""
    with unit_of_work():
        run = health.check_all(organization_id=identity().organization_id, asked_by=identity().name)
    said, tone = (f"Checking {plural(run.total, 'integration')}.", "info") if run.total else (NOTHING_TO_CHECK, "off")
    if not wants_fragment():
        return go_to(url_for("overview.dashboard"), toast=said, tone=tone)
    return add_toast(trigger(Response(status=204), "integrations-changed"), said, tone=tone)


def _get(integration_id: uuid.UUID) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id)


def _checked(integration: Integration, report: Report | None, said: str, tone: str) -> Response:
    """Answer a check where it was asked for: in its row, on the detail page, or by a toast on the page before."""
    if request.headers.get("HX-Target", "").startswith("row-"):
        shown = _summary() | {"integrations": [_get(integration.id)], "quick": report, "oob": True}
        shown |= {"strips": strips.of([integration]), "abouts": _abouts(shown["alerts"])}
        response = fragment("overview/checked.html", "answer", **shown)
    elif wants_fragment():
        response = trigger(Response(status=204), "integrations-changed")
    else:
        back = came_from(url_for("overview.detail", integration_id=integration.id))
        return go_to(back, toast=said, tone=tone)
    return add_toast(response, said, tone=tone)


def _summary() -> dict[str, Any]:
    organization_id = identity().organization_id
    critical = alerts.critical(organization_id=organization_id, limit=ALERTS_SHOWN)
    return {
        "stats": queries.stats(organization_id=organization_id),
        "alerts": critical,
        "all_alerts": alerts.count_critical(organization_id=organization_id),
        "show": alert_words,
    }


def _abouts(critical: Sequence[Alert]) -> dict[uuid.UUID, alert_words.About]:
    """Return what alerts are about. A poll does not ask for it: what changes there is seen within the minute."""
    return alert_words.about(identity().organization_id, critical)


def _board() -> dict[str, Any]:
    """Return what the dashboard shows, but for the strips and abouts, which only change as the rest does."""
    organization_id, args = identity().organization_id, request.args
    filters = Filters(
        text=strip_controls(args.get("q", "")).strip()[:100],
        capability=args.get("capability", "") if _offered_capability(args.get("capability", "")) else "",
        status=args.get("status", "") if args.get("status") in STATUS_FILTERS else "",
    )
    sort = args.get("sort", "name") if args.get("sort", "name") in SORTS else "name"
    shown = shown_rows(args.get("shown", ""), PAGE)
    try:
        found = listing.search(
            organization_id=organization_id, filters=filters, sort=sort, cursor=args.get("cursor", ""), limit=shown
        )
    except ValueError:
        abort(404)
    progress = health.shown_progress(organization_id=organization_id)
    summary = _summary()
    total = listing.count(organization_id=organization_id, filters=filters) if filters else summary["stats"].total
    chosen = {"q": filters.text, "capability": filters.capability, "status": filters.status, "sort": sort}
    place = {"cursor": args.get("cursor", ""), "shown": shown if shown > PAGE else ""}
    return summary | {
        "integrations": found.items,
        "total": counted(total) if filters else f"{total:,}",
        "more": _more(chosen, place, shown, found.next_cursor),
        "filters_on": bool(filters),
        "chosen": chosen,
        "here": _address(chosen | place),
        "columns": [(name, label, _address(chosen | {"sort": name})) for name, label in COLUMNS.items()],
        "capabilities": presenting.capability_choices(),
        "statuses": STATUS_CHOICES,
        "run": progress,
        "pulse": pulse.read(),
        "quick": None,
        "every": LIVELY if is_busy(found.items, progress) else CALM,
    }


def _more(chosen: dict[str, Any], place: dict[str, Any], shown: int, cursor: str | None) -> dict[str, str] | None:
    """Return where there is more to see: in this list while it may grow, then on a page of its own."""
    if cursor is None:
        return None
    if shown < MOST_SHOWN:
        return {"label": "Load more", "url": _address(chosen | place | {"shown": shown + PAGE})}
    return {"label": "Next page", "url": _address(chosen | {"cursor": cursor})}


def _offered_capability(value: str) -> bool:
    return value in dict(presenting.capability_choices())


def is_busy(integrations: Sequence[Listed], progress: health.Progress | None = None) -> bool:
    """Return whether checks run that a page should show as they end."""
    checking = any(each.check_token or (each.last_health_check is None and each.enabled) for each in integrations)
    return checking or bool(progress and progress.remaining)


def _address(chosen: dict[str, Any]) -> str:
    given = {name: value for name, value in chosen.items() if value and (name, value) != ("sort", "name")}
    query = urlencode(given)
    return url_for("overview.dashboard") + (f"?{query}" if query else "")


def _detail(integration: Integration) -> dict[str, Any]:
    organization_id = identity().organization_id
    filters = LogFilters(integration_id=integration.id)
    provider = catalogue.get(integration.provider)
    logs = health.logs(organization_id=organization_id, filters=filters, limit=LOGS_ON_DETAIL)
    return _figures(integration) | {
        "integration": integration,
        "provider": provider,
        "channel": sending.channel_of(provider),
        "facts": presenting.facts(integration, credentials.stored(integration)),
        "last_use": credential_access.last_use(integration.id),
        "logs": logs.items,
        "more_logs": logs.next_cursor is not None,
        "failures": health.recent_failures(integration=integration),
        "usage": presenting.usage_of(integration, accounts.time_zone_of(organization_id)),
        "value": integration.health_check_interval_minutes,
        "error": None,
        "now_in": integration.in_maintenance(clock.now()),
        "windows": maintenance.upcoming(integration=integration) if integration.maintenance_until else (),
        "every": LIVELY if integration.check_token else CALM,
    }


def _figures(integration: Integration) -> dict[str, Any]:
    """Return uptime in all windows, the strip of days, and the response times of the chosen window."""
    window = request.args.get("window", "")
    window = window if window in metrics.WINDOWS else "24h"
    parts = metrics.parts_of_all(integration=integration)
    return {
        "window": window,
        "words": charts.WORDS,
        "uptime": {each: metrics.total(found) for each, found in parts.items()},
        "figures": metrics.total(parts[window]),
        "strip": charts.strip(metrics.days(parts["90d"])),
        "chart": charts.chart(parts[window], window=window, now=clock.now()),
    }
