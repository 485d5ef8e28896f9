"""How much an integration has sent, against its limits."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from portal import clock
from portal.database import db
from portal.integrations.models import IntegrationUsage


@dataclass(frozen=True)
class Usage:
    """Messages sent in the hour and in the day that are running."""

    hour: int
    day: int


def add(integration_id: uuid.UUID, count: int = 1) -> None:
    """Count messages that were sent just now."""
    dialect = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    row = dialect.insert(IntegrationUsage).values(integration_id=integration_id, hour=_hour(clock.now()), sent=count)
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=[IntegrationUsage.integration_id, IntegrationUsage.hour],
            set_={"sent": IntegrationUsage.sent + row.excluded.sent},
        )
    )


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
