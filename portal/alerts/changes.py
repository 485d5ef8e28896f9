"""The changes of alerts, written together with what they change: history for people, work for who tells them."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select

from portal import clock
from portal.alerts.models import TOLD, Alert, AlertChange, ChangeKind
from portal.database import db, new_id

MOST: Final = 200
"""Changes that the page of an alert shows."""


@dataclass(frozen=True)
class Noted:
    """One change of one alert."""

    organization_id: uuid.UUID
    alert_id: uuid.UUID
    kind: ChangeKind
    at: datetime
    by_name: str = ""
    note: str = ""


def moment_after(before: datetime) -> datetime:
    """Return now, or the moment of the change before where the clock was set back: a history never runs backwards."""
    return max(clock.now(), before)


def after(row: Any, kind: ChangeKind, *, by_name: str = "", note: str = "") -> Noted:
    """Return a change that comes after all others of an alert."""
    return Noted(row.organization_id, row.id, kind, moment_after(row.changed_at), by_name[:200], note[:500])


def write(noted: Iterable[Noted], *, handled: bool = False) -> None:
    """Write changes. Runs inside the unit of work that made them.

    Args:
        noted: what happened.
        handled: whether nobody is to be told of it, as of what is long over.
    """
    rows = [
        {"id": new_id(), "organization_id": each.organization_id, "alert_id": each.alert_id, "kind": each.kind,
         "at": each.at, "by_name": each.by_name, "note": each.note,
         "handled_at": None if each.kind in TOLD and not handled else each.at}
        for each in noted
    ]  # fmt: skip
    if rows:
        db.session.execute(insert(AlertChange), rows)


def last_of(alert: Alert) -> Sequence[AlertChange]:
    """Return what happened to an alert, in this order; of one that comes and goes often the last MOST."""
    query = select(AlertChange).where(AlertChange.alert_id == alert.id)
    last = db.session.scalars(query.order_by(AlertChange.at.desc(), AlertChange.id.desc()).limit(MOST)).all()
    return last[::-1]
