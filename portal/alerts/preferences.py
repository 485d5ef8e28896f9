"""How an organization wants to be told of alerts: read and changed; its first channel comes with it."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.alerts import plans, quiet
from portal.alerts.notification_errors import Invalid
from portal.alerts.notification_models import (
    GROUP_WAIT_SECONDS,
    REMINDER_MINUTES,
    AlertChannel,
    AlertSettings,
    Audience,
    ChannelKind,
    Minimum,
    Mode,
)
from portal.audit import trail
from portal.database import db, reading, unit_of_work, wake_after_commit

FIRST_CHANNEL: Final = "Owners and admins"
LEAST_MINUTES, MOST_MINUTES = 5, 7 * 24 * 60
MOST_SECONDS: Final = 600


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """How an organization wants to be told.

    Attributes:
        reminder_minutes: between two reminders of a channel; None without reminders.
        group_wait_seconds: for how long a channel waits for more alerts.
        quiet_from, quiet_to: times of the day; both empty without quiet hours.
        critical_passes: whether critical alerts are told in quiet hours too.
    """

    reminder_minutes: int | None = REMINDER_MINUTES
    group_wait_seconds: int = GROUP_WAIT_SECONDS
    quiet_from: str = ""
    quiet_to: str = ""
    critical_passes: bool = True


def ensure(organization_id: uuid.UUID) -> None:
    """Make settings and first channel of an organization that has none. Owns its transactions."""
    with reading() as session:
        if session.get(AlertSettings, organization_id) is not None:
            return
    with unit_of_work():
        locked(organization_id)


def locked(organization_id: uuid.UUID) -> AlertSettings:
    """Return the settings of an organization, which nobody else has until the transaction ends; made if need be."""
    _make(organization_id)
    query = select(AlertSettings).where(AlertSettings.organization_id == organization_id)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def of(organization_id: uuid.UUID) -> Preferences:
    """Return how an organization wants to be told."""
    row = db.session.get(AlertSettings, organization_id)
    return _read(row) if row else Preferences()


def change(*, organization_id: uuid.UUID, wanted: Preferences) -> Preferences:
    """Store how an organization wants to be told; what waits to be told follows at once.

    Raises:
        Invalid: a value will not do.
    """
    _check(wanted)
    row = locked(organization_id)
    before, after = asdict(_read(row)), asdict(wanted)
    changed = [name for name in after if before[name] != after[name]]
    for name in changed:
        setattr(row, name, after[name])
    db.session.flush()
    if changed:
        trail.record(
            action="alert.notification_settings_changed", organization_id=organization_id,
            target_type="alert_settings", target_id=organization_id, target_name="Notification settings",
            before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
        )  # fmt: skip
        plans.plan_unresolved(row)
        wake_after_commit(plans.WAKE)
    return wanted


def _read(row: AlertSettings) -> Preferences:
    return Preferences(**{name: getattr(row, name) for name in asdict(Preferences())})


def _check(wanted: Preferences) -> None:
    errors: dict[str, str] = {}
    if wanted.reminder_minutes is not None and not LEAST_MINUTES <= wanted.reminder_minutes <= MOST_MINUTES:
        errors["reminder_minutes"] = "Use 5 minutes to 7 days, or no reminders."
    if not 0 <= wanted.group_wait_seconds <= MOST_SECONDS:
        errors["group_wait_seconds"] = f"Use 0 to {MOST_SECONDS} seconds."
    if bool(wanted.quiet_from) != bool(wanted.quiet_to):
        errors["quiet_to" if wanted.quiet_from else "quiet_from"] = "Enter both times, or none for no quiet hours."
    for name in ("quiet_from", "quiet_to"):
        if getattr(wanted, name) and not quiet.is_time(getattr(wanted, name)):
            errors[name] = "Enter a time such as 22:00."
    if wanted.quiet_from and wanted.quiet_from == wanted.quiet_to:
        errors["quiet_to"] = "Use another time than the start."
    if errors:
        raise Invalid(errors)


def _make(organization_id: uuid.UUID) -> None:
    """Store settings as everybody begins with, and the first channel: also when two do so at the same moment."""
    dialect = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    row = dialect.insert(AlertSettings).values(organization_id=organization_id, **asdict(Preferences()))
    row = row.on_conflict_do_nothing(index_elements=[AlertSettings.organization_id])
    if db.session.execute(row.returning(AlertSettings.organization_id)).first() is None:
        return
    db.session.add(AlertChannel(organization_id=organization_id, **_first()))
    db.session.flush()


def _first() -> Mapping[str, Any]:
    now = clock.now()
    return {
        "kind": ChannelKind.EMAIL, "name": FIRST_CHANNEL, "audience": Audience.ADMINS, "member_ids": [],
        "addresses": [], "minimum": Minimum.ALL, "mode": Mode.AT_ONCE, "digest_at": "08:00", "enabled": True,
        "created_at": now, "updated_at": now,
    }  # fmt: skip
