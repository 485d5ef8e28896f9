"""/api/admin: maintenance of integrations."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from portal import clock
from portal.accounts import service as accounts
from portal.api import lists, presenting, reading
from portal.api import schema as s
from portal.api.declaring import Answer, Body, admin
from portal.api.health_routes import TAG
from portal.audit import trail
from portal.database import unit_of_work
from portal.health import maintenance
from portal.health.maintenance import LONGEST_REASON, NotFound
from portal.health.models import MaintenanceWindow
from portal.health.windows import Plan, Repeats
from portal.integrations import queries
from portal.integrations.models import Integration
from portal.web.access import identity
from portal.web.problems import Problem

PATH: Final = "/integrations/<uuid:integration_id>/maintenance"
WINDOW: Final = s.ref("MaintenanceWindow")
PLAN: Final = s.record(
    "starts_at",
    "repeats",
    "reason",
    starts_at=s.moment("When it begins; now, where it is left out."),
    ends_at=s.moment("When it ends: 30 days later at most, 24 hours where it comes every week."),
    repeats={
        **s.one_of(tuple(Repeats), "weekly: at the same time of day in the organization's zone."),
        "default": str(Repeats.ONCE),
    },
    reason=s.text("Why, for those who wonder.", maxLength=LONGEST_REASON),
)
EXAMPLE: Final = {"ends_at": "2026-11-21T23:00:00Z", "reason": "Move of the mail server"}


@admin.endpoint(
    "GET", PATH, tag=TAG, query=s.paging(),
    answers={200: Answer(about="Those under way and to come.", schema=s.page_of(WINDOW))},
)  # fmt: skip
def list_maintenance(integration_id: uuid.UUID, *, query: Mapping[str, Any]) -> presenting.Json:
    """List the maintenance of an integration."""
    rows = maintenance.upcoming(integration=_get(integration_id))
    with lists.good_cursor():
        found = lists.cut(rows, query, key=lambda each: f"{each.starts_at.isoformat()} {each.id}")
    return lists.page(found, _shown)


@admin.endpoint(
    "POST",
    PATH,
    tag=TAG,
    body=Body(schema=lambda: PLAN, example=EXAMPLE),
    answers={201: Answer(about="It is planned, or under way.", schema=WINDOW)},
)
def plan_maintenance(integration_id: uuid.UUID, *, body: Mapping[str, Any]) -> tuple[presenting.Json, int]:
    """Plan maintenance of an integration.

    While it lasts checks go on, but what fails changes no status, alerts nobody and is left out of the figures.
    """
    start = reading.moment(body["starts_at"], "starts_at") if "starts_at" in body else clock.now()
    end, repeats = reading.moment(body["ends_at"], "ends_at"), Repeats(body.get("repeats", Repeats.ONCE))
    with unit_of_work():
        row = _get(integration_id, lock=True)
        zone, by = accounts.time_zone_of(row.organization_id), trail.current_actor().name
        times = Plan(start, end, repeats, zone)
        window = maintenance.plan(integration=row, times=times, reason=body.get("reason", ""), by=by)
        return _shown(window), 201


@admin.endpoint("POST", f"{PATH}/end", tag=TAG, answers={204: Answer(about="It is not in maintenance any more.")})
def end_maintenance(integration_id: uuid.UUID) -> tuple[None, int]:
    """End the maintenance that is under way.

    Of what comes every week only this time ends. The integration is checked at once; without maintenance nothing
    happens.
    """
    with unit_of_work(), suppress(NotFound):
        maintenance.end_now(integration=_get(integration_id, lock=True))
    return None, 204


@admin.endpoint("DELETE", f"{PATH}/<uuid:window_id>", tag=TAG, answers={204: Answer(about="It is over, or gone.")})
def remove_maintenance(integration_id: uuid.UUID, window_id: uuid.UUID) -> tuple[None, int]:
    """End maintenance, or take away what is planned.

    What comes every week does not come again; to end only this time, see “End the maintenance that is under way”.
    What it was until now stays maintenance.
    """
    try:
        with unit_of_work():
            maintenance.remove(integration=_get(integration_id, lock=True), window_id=window_id)
    except NotFound:
        raise Problem(404) from None
    return None, 204


def _get(integration_id: uuid.UUID, *, lock: bool = False) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id, lock=lock)


def _shown(row: MaintenanceWindow) -> presenting.Json:
    found = maintenance.next_time(row, clock.now())
    names = ("id", "starts_at", "ends_at", "repeats", "zone", "reason", "created_by", "created_at")
    values = {name: getattr(row, name) for name in names}
    return {**values, "next": {"starts_at": found[0], "ends_at": found[1]} if found else None}
