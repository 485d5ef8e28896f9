"""How far jobs came that work through a table by its ids, so that each run goes on where the last one stopped."""

import uuid
from collections.abc import Callable, Iterable

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, db

START = uuid.UUID(int=0)


class Progress(Base):
    """The last id that a job has dealt with, for one organization."""

    __tablename__ = "job_progress"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    up_to: Mapped[uuid.UUID]


def reached(organization_id: uuid.UUID, job: str) -> uuid.UUID:
    """Return the last id that a job has dealt with."""
    found = db.session.get(Progress, (organization_id, job))
    return found.up_to if found else START


def note(organization_id: uuid.UUID, job: str, up_to: uuid.UUID) -> None:
    """Keep how far a job came. Runs inside the unit of work that did it."""
    db.session.merge(Progress(organization_id=organization_id, job=job, up_to=up_to))
    db.session.flush()


def in_batches(steps: Iterable[Callable[[], int]], *, size: int, most: int) -> int:
    """Run steps batch by batch, and each of them once at least: what piled up in one organization holds up no other.

    Args:
        steps: each deals with one batch in a transaction of its own, and returns how many rows that were.
        size: rows of a whole batch; a step that found fewer is done.
        most: whole batches of all steps together; the next run goes on.

    Returns:
        How many rows there were.
    """
    total = 0
    for step in steps:
        while (found := step()) == size and most > 0:
            total, most = total + found, most - 1
        total += found
    return total
