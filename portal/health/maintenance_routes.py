"""Pages of maintenance: what is planned for an integration, a form to plan more, start and end at once."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.accounts import service as accounts
from portal.database import unit_of_work
from portal.health import maintenance
from portal.health.maintenance import LONGEST_REASON, NotFound
from portal.health.routes import blueprint
from portal.health.windows import Plan, Repeats
from portal.integrations import queries
from portal.integrations.drafts import Invalid
from portal.integrations.models import Integration
from portal.web.access import Who, allow, identity
from portal.web.render import add_toast, came_from, go_to, page, trigger, wants_fragment

CHOICES: Final = [(Repeats.ONCE, "Once"), (Repeats.WEEKLY, "Every week")]
HOURS: Final = ("1", "4")
"""What the buttons offer."""
FORMAT: Final = "%Y-%m-%dT%H:%M"
"""As a browser writes date and time."""
Typed = Mapping[str, str]


@blueprint.get("/integrations/<uuid:integration_id>/maintenance")
@allow(Who.ADMIN)
def maintenance_of(integration_id: uuid.UUID) -> Response:
    """Show what is planned for an integration, and the form for more."""
    return _page(_get(integration_id), _first())


@blueprint.post("/integrations/<uuid:integration_id>/maintenance")
@allow(Who.ADMIN)
def plan_maintenance(integration_id: uuid.UUID) -> Response:
    """Plan maintenance as the form says."""
    try:
        with unit_of_work():
            integration = _get(integration_id, lock=True)
            times, reason = _times(), request.form.get("reason", "")
            maintenance.plan(integration=integration, times=times, reason=reason, by=identity().name)
    except Invalid as error:
        return _page(_get(integration_id), request.form, errors=error.errors, status=422)
    return go_to(url_for("health.maintenance_of", integration_id=integration_id), toast="Maintenance planned.")


@blueprint.post("/integrations/<uuid:integration_id>/maintenance/start")
@allow(Who.ADMIN)
def start_maintenance(integration_id: uuid.UUID) -> Response:
    """Start maintenance now, for as many hours as the button says."""
    hours = request.form.get("hours", "")
    with unit_of_work():
        integration = _get(integration_id, lock=True)
        if hours not in HOURS:
            abort(400)
        zone = accounts.time_zone_of(integration.organization_id)
        maintenance.start(integration=integration, hours=int(hours), reason="", zone=zone, by=identity().name)
    return _done(integration, f"{integration.name} is in maintenance for {hours} h.", tone="info")


@blueprint.post("/integrations/<uuid:integration_id>/maintenance/end")
@allow(Who.ADMIN)
def end_maintenance(integration_id: uuid.UUID) -> Response:
    """End the maintenance that is under way."""
    try:
        with unit_of_work():
            integration = _get(integration_id, lock=True)
            maintenance.end_now(integration=integration)
    except NotFound:
        return _done(_get(integration_id), "It is not in maintenance any more.", tone="off")
    said = f"Maintenance of {integration.name} has ended."
    return _done(integration, f"{said} It is being checked." if integration.enabled else said)


@blueprint.post("/integrations/<uuid:integration_id>/maintenance/<uuid:window_id>/remove")
@allow(Who.ADMIN)
def remove_maintenance(integration_id: uuid.UUID, window_id: uuid.UUID) -> Response:
    """Take a planned window away."""
    try:
        with unit_of_work():
            maintenance.remove(integration=_get(integration_id, lock=True), window_id=window_id)
    except NotFound:
        abort(404)
    return go_to(url_for("health.maintenance_of", integration_id=integration_id), toast="Maintenance removed.")


def _get(integration_id: uuid.UUID, *, lock: bool = False) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id, lock=lock)


def _zone() -> str:
    return accounts.time_zone_of(identity().organization_id)


def _first() -> Typed:
    """Return what an empty form begins with: the next whole hour, for an hour."""
    start = clock.now().astimezone(ZoneInfo(_zone())).replace(minute=0) + timedelta(hours=1)
    end = start + timedelta(hours=1)
    return {"starts_at": start.strftime(FORMAT), "ends_at": end.strftime(FORMAT), "repeats": Repeats.ONCE}


def _times() -> Plan:
    """Read the form.

    Raises:
        Invalid: a time is none.
    """
    zone, typed = _zone(), {name: request.form.get(name, "") for name in ("starts_at", "ends_at")}
    found = {name: _moment(text, zone) for name, text in typed.items()}
    errors = {name: "Enter a date and a time." for name, moment in found.items() if moment is None}
    start, end = found["starts_at"], found["ends_at"]
    if start is None or end is None:
        raise Invalid(errors)
    repeats = Repeats.WEEKLY if request.form.get("repeats") == Repeats.WEEKLY else Repeats.ONCE
    return Plan(start, end, repeats, zone)


def _moment(text: str, zone: str) -> datetime | None:
    try:
        return datetime.strptime(text[:16], FORMAT).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _page(
    integration: Integration, typed: Typed, *, errors: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    now = clock.now()
    windows = maintenance.upcoming(integration=integration)
    shown: dict[str, Any] = {
        "integration": integration,
        "windows": [(each, maintenance.next_time(each, now)) for each in windows],
        "now_in": integration.in_maintenance(now),
        "zone": _zone(),
        "typed": typed,
        "errors": errors or {},
        "choices": CHOICES,
        "longest_reason": LONGEST_REASON,
        "now": now,
    }
    return page("health/maintenance.html", status=status, **shown)


def _done(integration: Integration, said: str, *, tone: str = "ok") -> Response:
    if wants_fragment():
        return add_toast(trigger(Response(status=204), "integrations-changed"), said, tone=tone)
    return go_to(came_from(url_for("overview.detail", integration_id=integration.id)), toast=said, tone=tone)
