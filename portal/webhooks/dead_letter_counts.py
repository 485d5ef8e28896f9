"""How many deliveries became dead letters in each minute, so that nobody has to count them to see that they grow."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ForeignKey, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, UTCDateTime, db

KEPT: Final = timedelta(hours=24)


class DeadLetterCount(Base):
    """Dead letters that an organization got in one minute; those without any have no row."""

    __tablename__ = "dead_letter_counts"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    minute: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    count: Mapped[int]


def add(counts: Mapping[uuid.UUID, int], now: datetime) -> None:
    """Count dead letters that came just now, by organization. Runs inside the unit of work that records them."""
    dialect = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    minute = now.replace(second=0, microsecond=0)
    for organization_id, count in sorted(counts.items()):  # always in the same order, as all that locks rows
        row = dialect.insert(DeadLetterCount).values(organization_id=organization_id, minute=minute, count=count)
        key = [DeadLetterCount.organization_id, DeadLetterCount.minute]
        more = {"count": DeadLetterCount.count + row.excluded["count"]}
        db.session.execute(row.on_conflict_do_update(index_elements=key, set_=more))
        old = (DeadLetterCount.organization_id == organization_id, DeadLetterCount.minute < now - KEPT)
        db.session.execute(delete(DeadLetterCount).where(*old), execution_options={"synchronize_session": False})


def since(
    moment: datetime, organization_ids: Collection[uuid.UUID] | None = None
) -> dict[uuid.UUID, tuple[int, datetime]]:
    """Return, by organization, how many dead letters came from a moment on, and the minute of the first.

    Args:
        moment: from its minute on.
        organization_ids: of these alone; all of them by default.
    """
    query = select(DeadLetterCount.organization_id, func.sum(DeadLetterCount.count), func.min(DeadLetterCount.minute))
    query = query.where(DeadLetterCount.minute >= moment.replace(second=0, microsecond=0))
    if organization_ids is not None:
        query = query.where(DeadLetterCount.organization_id.in_(organization_ids))
    rows = db.session.execute(query.group_by(DeadLetterCount.organization_id))
    return {organization_id: (int(count), first) for organization_id, count, first in rows}
