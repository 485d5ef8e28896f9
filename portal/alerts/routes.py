"""Pages of the alerts: open, acknowledged and resolved ones, one with its history, and what people do with them."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.alerts import changes, notification_queries, notification_words, presenting, queries, service, tabs
from portal.alerts.models import Alert, AlertState
from portal.alerts.queries import AlertFilters
from portal.alerts.service import MUTES, Resolved
from portal.database import unit_of_work
from portal.health import service as health
from portal.web import errors
from portal.web.access import Who, allow, identity
from portal.web.filters import clock_time, plural
from portal.web.listing import chosen_filters, counted, moment, page_url, searched
from portal.web.render import add_toast, came_from, go_to, page, trigger, wants_fragment

blueprint = Blueprint("alerts", __name__, url_prefix="/admin/alerts")
CHANGED = "alerts-changed"
"""Event that makes lists and the alert's page fetch themselves anew."""
CALM = 15
"""Seconds between two looks of an open page."""
OVER = "Nothing changed: the alert is resolved already."


@blueprint.app_errorhandler(queries.NotFound)
def _not_found(_error: queries.NotFound) -> Response:
    return errors.answer(404)


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the alerts in one state."""
    organization_id, chosen = identity().organization_id, _chosen()
    filters, cursor = _filters(chosen), request.args.get("cursor", "")
    try:
        found = queries.listed(organization_id=organization_id, filters=filters, cursor=cursor)
    except ValueError:
        abort(404)
    here = url_for("alerts.index")
    return page(
        "alerts/index.html",
        block="update" if request.headers.get("HX-Target") == "alert-list" else "main",
        alerts=found.items,
        next_url=page_url(here, chosen, found.next_cursor) if found.next_cursor else None,
        first_url=page_url(here, chosen) if cursor else None,
        here=page_url(here, chosen, cursor),
        chosen=chosen,
        tabs_shown=tabs.shown(organization_id, filters.state, text=filters.text),
        total=counted(queries.count(organization_id=organization_id, filters=filters)),
        as_of=clock.now().isoformat(),
        late=presenting.late_now(organization_id) if filters.state is AlertState.OPEN else None,
        **_shown(found.items),
    )


@blueprint.get("/<uuid:alert_id>")
@allow(Who.ADMIN)
def detail(alert_id: uuid.UUID) -> Response:
    """Show one alert: what it hurts, what to press, what happened to it, and the checks around it."""
    alert = queries.get(organization_id=identity().organization_id, alert_id=alert_id)
    return page(
        "alerts/detail.html",
        block="update" if request.headers.get("HX-Target") == "alert" else "main",
        alert_row=alert,
        history=changes.last_of(alert),
        most_changes=changes.MOST,
        told=notification_queries.of_alert(alert),
        telling=notification_words,
        checks=health.around(
            organization_id=alert.organization_id, integration_id=alert.integration_id, since=alert.since,
            until=alert.resolved_at,
        ),
        **_shown([alert]),
    )  # fmt: skip


@blueprint.post("/<uuid:alert_id>/acknowledge")
@allow(Who.ADMIN)
def acknowledge(alert_id: uuid.UUID) -> Response:
    """Note that the viewer knows of an alert."""
    note = request.form.get("note", "")
    undo = {"url": url_for("alerts.withdraw", alert_id=alert_id)}
    return _do(lambda: service.acknowledge(**_which(alert_id), note=note), "Alert acknowledged.", undo=undo)


@blueprint.post("/<uuid:alert_id>/withdraw")
@allow(Who.ADMIN)
def withdraw(alert_id: uuid.UUID) -> Response:
    """Take an acknowledgement back."""
    return _do(lambda: service.withdraw(**_which(alert_id)), "The alert is open again.")


@blueprint.post("/<uuid:alert_id>/mute")
@allow(Who.ADMIN)
def mute(alert_id: uuid.UUID) -> Response:
    """Let nobody be told of an alert for a while."""
    how_long = request.form.get("for", "")
    if how_long not in MUTES:
        abort(422)
    undo = {"url": url_for("alerts.unmute", alert_id=alert_id)}
    words = MUTES[how_long][0]
    said = f"Muted {words}." if how_long == "recovered" else f"Muted for {words}."
    return _do(lambda: service.mute(**_which(alert_id), how_long=how_long), said, undo=undo)


@blueprint.post("/<uuid:alert_id>/unmute")
@allow(Who.ADMIN)
def unmute(alert_id: uuid.UUID) -> Response:
    """End a mute."""
    return _do(lambda: service.unmute(**_which(alert_id)), "Not muted any more.")


@blueprint.post("/acknowledge")
@allow(Who.ADMIN)
def acknowledge_all() -> Response:
    """Note that the viewer knows of all open alerts that the list showed."""
    who, chosen = identity(), _chosen(request.form.get("q", ""))
    until = moment(request.form.get("as_of", "")) or clock.now()
    with unit_of_work():
        found = service.acknowledge_all(
            organization_id=who.organization_id, text=chosen["q"], until=until, by=who.name,
            note=request.form.get("note", ""),
        )  # fmt: skip
        count = len(found)
    said = f"{plural(count, 'alert')} acknowledged." if count else "There was nothing left to acknowledge."
    return go_to(page_url(url_for("alerts.index"), chosen | {"state": ""}), toast=said, tone="ok" if count else "off")


def _do(act: Callable[[], Alert], said: str, *, undo: dict[str, Any] | None = None) -> Response:
    """Do something with one alert and say so where the viewer is."""
    tone = "ok"
    try:
        with unit_of_work():
            act()
    except Resolved:
        said, tone, undo = OVER, "off", None
    if not wants_fragment():
        return go_to(came_from(url_for("alerts.index")), toast=said, tone=tone)
    response = trigger(trigger(Response(status=204), CHANGED), "integrations-changed")
    return add_toast(response, said, tone=tone, undo=undo)


def _which(alert_id: uuid.UUID) -> dict[str, Any]:
    who = identity()
    return {"organization_id": who.organization_id, "alert_id": alert_id, "by": who.name}


def _chosen(text: str | None = None) -> dict[str, str]:
    states = {str(each): words for each, words in presenting.STATES.items() if each is not AlertState.OPEN}
    chosen = chosen_filters({"state": states})
    return {"state": chosen["state"], "q": chosen["q"] if text is None else searched(text)}


def _filters(chosen: dict[str, str]) -> AlertFilters:
    return AlertFilters(state=AlertState(chosen["state"] or AlertState.OPEN), text=chosen["q"])


def _shown(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return what every template of alerts needs."""
    return {
        "show": presenting,
        "abouts": presenting.about(identity().organization_id, alerts),
        "mutes": [(key, words) for key, (words, _) in MUTES.items()],
        "every": CALM,
    }


@blueprint.app_template_filter("alert_muted")
def _muted(alert: Alert) -> str:
    return presenting.muted_words(alert, clock_time(alert.muted_until) if alert.muted_until else "")
