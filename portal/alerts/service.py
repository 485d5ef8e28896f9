"""What people do with alerts: say that they know of one, be left alone by it for a while. Plain services, audited."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from portal import clock
from portal.alerts import changes, queries
from portal.alerts.models import UNTIL_IT_RECOVERS, Alert, AlertState, ChangeKind
from portal.alerts.queries import AlertFilters
from portal.audit import trail
from portal.database import db, wake_after_commit
from portal.security.redaction import strip_controls

CHANGED: Final = "alerts"
"""Topic of a commit that changed alerts, for those who tell people."""
MUTES: Final = {
    "1h": ("1 hour", timedelta(hours=1)),
    "8h": ("8 hours", timedelta(hours=8)),
    "24h": ("24 hours", timedelta(hours=24)),
    "recovered": ("until it recovers", None),
}
"""How long an alert can be muted: key → words and time."""
LONGEST_NOTE: Final = 500
MOST: Final = 500
"""Alerts that are acknowledged at once."""


class Resolved(Exception):
    """The alert is resolved, so there is nothing to acknowledge or mute."""


def acknowledge(*, organization_id: uuid.UUID, alert_id: uuid.UUID, by: str, note: str = "") -> Alert:
    """Note that somebody knows of an alert. Who does so again replaces name and note.

    Raises:
        NotFound: the organization has no such alert.
        Resolved: it is over.
    """
    alert = _unresolved(organization_id, alert_id)
    _acknowledge([alert], by=by, note=note)
    return alert


def acknowledge_all(
    *, organization_id: uuid.UUID, text: str, until: datetime, by: str, note: str = ""
) -> Sequence[Alert]:
    """Note that somebody knows of all open alerts that a list showed, MOST of them at a time.

    Args:
        organization_id: whose.
        text: what the list was narrowed to.
        until: the moment at which the list was made; what opened since was not seen by anybody.
        by: name of who knows.
        note: what there is to say.
    """
    query = queries.narrowed(organization_id, AlertFilters(text=text)).where(Alert.changed_at <= until)
    found = db.session.scalars(query.order_by(Alert.id).limit(MOST).with_for_update(key_share=True)).all()
    _acknowledge(found, by=by, note=note)
    return found


def withdraw(*, organization_id: uuid.UUID, alert_id: uuid.UUID, by: str) -> Alert:
    """Take an acknowledgement back, so that the alert is open again; one that is open stays so.

    Raises:
        NotFound: the organization has no such alert.
        Resolved: it is over.
    """
    alert = _unresolved(organization_id, alert_id)
    if alert.state == AlertState.ACKNOWLEDGED:
        alert.state, alert.acknowledged_at = AlertState.OPEN, None
        alert.acknowledged_by = alert.acknowledge_note = ""
        _keep([alert], ChangeKind.WITHDRAWN, "alert.acknowledgement_withdrawn", by=by)
    return alert


def mute(*, organization_id: uuid.UUID, alert_id: uuid.UUID, how_long: str, by: str) -> Alert:
    """Let nobody be told of an alert for a while, of its end neither. It stays in the lists.

    Args:
        organization_id: whose.
        alert_id: which.
        how_long: a key of MUTES.
        by: name of who wants quiet.

    Raises:
        NotFound: the organization has no such alert.
        Resolved: it is over.
        KeyError: there is no such time.
    """
    words, length = MUTES[how_long]
    alert = _unresolved(organization_id, alert_id)
    alert.muted_until = clock.now() + length if length else UNTIL_IT_RECOVERS
    said = words if length is None else f"for {words}"
    _keep([alert], ChangeKind.MUTED, "alert.muted", by=by, note=said.capitalize() + ".", after={"muted": said})
    return alert


def unmute(*, organization_id: uuid.UUID, alert_id: uuid.UUID, by: str) -> Alert:
    """End a mute; without one nothing happens.

    Raises:
        NotFound: the organization has no such alert.
        Resolved: it is over.
    """
    alert = _unresolved(organization_id, alert_id)
    if is_muted(alert):
        alert.muted_until = None
        _keep([alert], ChangeKind.UNMUTED, "alert.unmuted", by=by)
    return alert


def is_muted(alert: Alert) -> bool:
    """Return whether nobody is to be told of an alert now."""
    return alert.resolved_at is None and alert.muted_until is not None and alert.muted_until > clock.now()


def _unresolved(organization_id: uuid.UUID, alert_id: uuid.UUID) -> Alert:
    alert = queries.get(organization_id=organization_id, alert_id=alert_id, lock=True)
    if alert.resolved_at is not None:
        raise Resolved
    return alert


def _acknowledge(alerts: Sequence[Alert], *, by: str, note: str) -> None:
    note = strip_controls(note).strip()[:LONGEST_NOTE]
    for alert in alerts:
        alert.state, alert.acknowledged_at = AlertState.ACKNOWLEDGED, clock.now()
        alert.acknowledged_by, alert.acknowledge_note = by[:200], note
    after = {"note": note} if note else None
    _keep(alerts, ChangeKind.ACKNOWLEDGED, "alert.acknowledged", by=by, note=note, after=after)


def _keep(
    alerts: Sequence[Alert], kind: ChangeKind, action: str, *, by: str, note: str = "", after: Any = None
) -> None:
    """Write what a person did into the alerts' histories and the audit trail."""
    noted = [changes.after(each, kind, by_name=by, note=note) for each in alerts]
    for alert, change in zip(alerts, noted, strict=True):
        alert.changed_at = change.at
        trail.record(
            action=action, organization_id=alert.organization_id, target_type="alert", target_id=alert.id,
            target_name=alert.title, after=after,
        )  # fmt: skip
    db.session.flush()
    changes.write(noted)
    if noted:
        wake_after_commit(CHANGED)
