"""Whether checks are on time, and whether anybody looks for due ones at all."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import Flask, current_app
from sqlalchemy import String, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.database import PROCESS, Base, UTCDateTime, db
from portal.health.claims import LIVE
from portal.integrations.models import Integration
from portal.prepared import Prepared

EVERY: Final = 5.0
"""Seconds between two notes that a process looks for due checks."""
STALE: Final = timedelta(seconds=60)
"""After so long without a note nobody looks any more."""
ON_TIME: Final = timedelta(seconds=10)
"""Checks that are late by less are on time."""
FORGOTTEN: Final = timedelta(hours=1)
"""When the note of a process that is gone goes too."""
EXTENSION: Final = "portal_scheduler"


class SchedulerTick(Base):
    """When a process last looked for due checks."""

    __tablename__ = "scheduler_ticks"

    process: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


@dataclass(frozen=True)
class Pulse:
    """How the checks do.

    Attributes:
        late: how long the oldest due check has been due.
        last_look: when a process last looked for due checks; None where none ever did, or all that did are long gone.
        stale: whether nobody looks any more.
    """

    late: timedelta
    last_look: datetime | None
    stale: bool

    @property
    def on_time(self) -> bool:
        """Whether checks run as they should."""
        return not self.stale and self.late < ON_TIME


def read() -> Pulse:
    """Return how the checks of all organizations do."""
    now = clock.now()
    [(due, last)] = _READ.all(lambda *row: row)
    # A clock that was set back leaves notes in the future: they say as much as those of this moment.
    last = min(last, now) if last else None
    late = max(now - due, timedelta(0)) if due else timedelta(0)
    return Pulse(late=late, last_look=last, stale=last is None or now - last > STALE)


_OLDEST: Final = (
    select(Integration.next_check_at)
    .where(Integration.next_check_at.is_not(None), *LIVE)
    .order_by(Integration.next_check_at)
    .limit(1)
)
_LAST_LOOK: Final = select(func.max(SchedulerTick.at, type_=SchedulerTick.at.type))
# Every open page asks for both again and again.
_READ: Final = Prepared(select(_OLDEST.scalar_subquery(), _LAST_LOOK.scalar_subquery()))


def note() -> None:
    """Keep that this process looked just now. Runs inside a unit of work."""
    now = clock.now()
    db.session.execute(delete(SchedulerTick).where(SchedulerTick.at < now - FORGOTTEN))
    # One that is from the future was written before the clock was set back, perhaps by a process that is gone.
    db.session.execute(delete(SchedulerTick).where(SchedulerTick.at > now + STALE))
    db.session.merge(SchedulerTick(process=PROCESS, at=now))
    db.session.flush()


class Beat:
    """When the scheduler of this process last looked, by the monotonic clock; the process says so while it runs one."""

    def __init__(self, app: Flask) -> None:
        """Begin: from now on the process should look."""
        self._app = app
        self.at = time.monotonic()
        app.extensions[EXTENSION] = self

    def beat(self) -> None:
        """Keep that it looks."""
        self.at = time.monotonic()

    def end(self) -> None:
        """It stops, as it should."""
        if self._app.extensions.get(EXTENSION) is self:
            del self._app.extensions[EXTENSION]


def is_alive() -> bool | None:
    """Return whether the scheduler of this process looks; None where it runs none."""
    beat: Beat | None = current_app.extensions.get(EXTENSION)
    return None if beat is None else time.monotonic() - beat.at < STALE.total_seconds()
