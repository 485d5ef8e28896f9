"""The demo's past alerts: one for each outage of its integrations, as the rules would have raised and resolved it."""

from datetime import datetime, timedelta
from typing import Final

from portal import clock
from portal.alerts import changes
from portal.alerts.changes import Noted
from portal.alerts.endings import WORDS, Resolution
from portal.alerts.models import Alert, AlertState, ChangeKind, Severity
from portal.database import db, new_id
from portal.integrations import presenting
from portal.integrations.models import Integration
from portal.providers.base import Outcome

NOTICED: Final = timedelta(seconds=30)
"""After a first failure the second look, which opens the alert."""
READ: Final = timedelta(minutes=12)
"""So long after it opened somebody says to know of it."""
WHO, NOTE = "Marcus Oyelaran", "Their status page says that they are on it."


def make_alert(integration: Integration, *, began: datetime, lasted: timedelta, host: str) -> None:
    """Store the alert of an outage that is over, of which nobody is told any more. Runs in a unit of work.

    Args:
        integration: which was down.
        began: its first failed check.
        lasted: until it worked again.
        host: the beginning of what failed checks said.
    """
    opened, resolved = began + NOTICED, began + lasted
    with clock.at(opened):
        alert = Alert(
            id=new_id(), organization_id=integration.organization_id, rule="integration_down",
            cause=f"integration:{integration.id}", severity=Severity.CRITICAL, integration_id=integration.id,
            title=f"{integration.name} ({presenting.provider_name(integration)}): timed out",
            message=f"{host} within 10 s.", impact=presenting.impact(integration), hint="", code="",
            detail={"error_class": str(Outcome.TIMEOUT), "reauth": False, "kind": str(Outcome.TIMEOUT)},
            state=AlertState.RESOLVED, since=began, opened_at=opened, changed_at=resolved,
            acknowledged_at=opened + READ, acknowledged_by=WHO, acknowledge_note=NOTE, resolved_at=resolved,
            resolution=Resolution.RECOVERED, occurrences=1,
        )  # fmt: skip
    db.session.add(alert)
    db.session.flush()
    recovered = WORDS[Resolution.RECOVERED]
    changes.write(
        [
            Noted(alert.organization_id, alert.id, ChangeKind.OPENED, opened),
            Noted(alert.organization_id, alert.id, ChangeKind.ACKNOWLEDGED, opened + READ, WHO, NOTE),
            Noted(alert.organization_id, alert.id, ChangeKind.RESOLVED, resolved, note=recovered),
        ],
        handled=True,
    )
