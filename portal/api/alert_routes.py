"""/api/admin: alerts, acknowledging and muting them."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.alerts import presenting as words
from portal.alerts import queries, service
from portal.alerts.models import UNTIL_IT_RECOVERS, Alert, AlertState
from portal.alerts.queries import AlertFilters
from portal.api import lists
from portal.api import schema as s
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.audit import trail
from portal.database import unit_of_work
from portal.security.redaction import strip_controls
from portal.web.access import identity

TAG: Final = "Alerts"
COLUMNS: Final = (
    "id", "rule", "severity", "state", "title", "message", "hint", "code", "integration_id", "webhook_id", "since",
    "opened_at", "acknowledged_at", "acknowledged_by", "acknowledge_note", "resolved_at", "resolution", "occurrences",
)  # fmt: skip
CHANGED: Final = {200: Answer(about="The alert.", schema=s.ref("Alert"))}
NOTE: Final = s.changes(note=s.text("What is being done about it.", maxLength=service.LONGEST_NOTE))
MUTE: Final = s.record(**{"for": s.one_of(tuple(service.MUTES), "How long; recovered is until it recovers.")})


@admin.endpoint(
    "GET",
    "/alerts",
    tag=TAG,
    query={
        "state": {**s.one_of(tuple(AlertState)), "default": str(AlertState.OPEN)},
        "text": s.text("Part of its title, error, impact or code.", maxLength=100),
        **s.paging(),
    },
    answers={200: Answer(about="What is urgent first; resolved ones newest first.", schema=s.page_of(s.ref("Alert")))},
)
def list_all_alerts(*, query: Mapping[str, Any]) -> Json:
    """List the alerts in one state."""
    filters = AlertFilters(state=AlertState(query["state"]), text=strip_controls(query.get("text", "")))
    with lists.good_cursor():
        found = queries.listed(organization_id=identity().organization_id, filters=filters, **lists.place(query))
    abouts = words.about(identity().organization_id, found.items)
    return lists.page(found, lambda row: _shown(row, abouts[row.id]))


@admin.endpoint(
    "POST",
    "/alerts/<uuid:alert_id>/acknowledge",
    tag=TAG,
    body=Body(schema=lambda: NOTE, example={"note": "Called support"}, needed=False),
    answers=CHANGED,
    problems=(409,),
)
def acknowledge_alert(alert_id: uuid.UUID, *, body: Mapping[str, Any]) -> Json:
    """Say that somebody knows of an alert. It resolves by itself."""
    with unit_of_work():
        return _answer(service.acknowledge(**_which(alert_id), note=strip_controls(body.get("note", ""))))


@admin.endpoint(
    "POST",
    "/alerts/<uuid:alert_id>/mute",
    tag=TAG,
    body=Body(schema=lambda: MUTE, example={"for": "8h"}),
    answers=CHANGED,
    problems=(409,),
)
def mute_alert(alert_id: uuid.UUID, *, body: Mapping[str, Any]) -> Json:
    """Let nobody be told of an alert for a while."""
    with unit_of_work():
        return _answer(service.mute(**_which(alert_id), how_long=body["for"]))


@admin.endpoint("POST", "/alerts/<uuid:alert_id>/unmute", tag=TAG, answers=CHANGED, problems=(409,))
def unmute_alert(alert_id: uuid.UUID) -> Json:
    """End the mute of an alert."""
    with unit_of_work():
        return _answer(service.unmute(**_which(alert_id)))


def _which(alert_id: uuid.UUID) -> dict[str, Any]:
    return {"organization_id": identity().organization_id, "alert_id": alert_id, "by": trail.current_actor().name}


def _answer(alert: Alert) -> Json:
    return _shown(alert, words.about(alert.organization_id, [alert])[alert.id])


def _shown(alert: Alert, about: words.About) -> Json:
    muted = service.is_muted(alert)
    ends = muted and alert.muted_until != UNTIL_IT_RECOVERS
    shown = {name: getattr(alert, name) for name in COLUMNS}
    return shown | {
        "impact": words.impact(alert, about),
        "resolution": alert.resolution or None,
        "muted": muted,
        "muted_until": alert.muted_until if ends else None,
    }
