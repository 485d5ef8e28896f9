"""How much an integration has sent, against its limits, and how its last message fared."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.database import db
from portal.integrations.models import Integration, IntegrationUsage


@dataclass(frozen=True)
class Usage:
    """Messages sent in the hour and in the day that are running."""

    hour: int
    day: int


def add(integration_id: uuid.UUID, count: int = 1, *, at: datetime | None = None) -> None:
    """Count messages that were sent just now, or at that time; a negative count takes back what was not sent."""
    dialect = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    hour = _hour(at or clock.now())
    row = dialect.insert(IntegrationUsage).values(integration_id=integration_id, hour=hour, sent=count)
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=[IntegrationUsage.integration_id, IntegrationUsage.hour],
            set_={"sent": IntegrationUsage.sent + row.excluded.sent},
        )
    )


def note_send(integration_id: uuid.UUID, *, ok: bool) -> None:
    """Keep when an integration last sent something, and whether that went well."""
    db.session.execute(
        update(Integration).where(Integration.id == integration_id).values(last_sync=clock.now(), last_sync_ok=ok),
        execution_options={"synchronize_session": False},
    )


def day_of(zone: str) -> tuple[datetime, datetime]:
    """Return when today starts and when it ends, in a time zone."""
    place = ZoneInfo(zone)
    today = clock.now().astimezone(place).date()
    return _midnight(today, place), _midnight(today + timedelta(days=1), place)


def _midnight(day: date, place: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), place).astimezone(UTC)


def of(integration_id: uuid.UUID, *, day_starts: datetime) -> Usage:
    """Return what was sent this hour and since the day started where the organization is."""
    hour = _hour(clock.now())
    sums = select(
        func.coalesce(func.sum(IntegrationUsage.sent).filter(IntegrationUsage.hour == hour), 0),
        func.coalesce(func.sum(IntegrationUsage.sent), 0),
    ).where(
        IntegrationUsage.integration_id == integration_id,
        IntegrationUsage.hour >= min(day_starts - timedelta(minutes=59), hour),
    )
    this_hour, today = db.session.execute(sums).one()
    return Usage(this_hour, today)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
