"""Runs: one thing done to many deliveries in batches. How far each is stands in its row, so that it outlives us."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from sqlalchemy import Select, select

from portal import clock
from portal.accounts.models import Organization
from portal.audit import trail
from portal.database import db, reading, unit_of_work, wake_after_commit
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import ReplayRun, RunAction, Webhook

WAKE: Final = "replay-runs"
"""Topic that wakes the job which works runs off."""
BATCH: Final = 500
"""Deliveries that one transaction of a run changes."""
AT_ONCE: Final = 10
"""Batches of one look of the job."""
COUNTED: Final = 10_000
"""Rows that are counted at a time."""
FIRST_LOOKS: Final = 2
"""Times that is counted before a run is asked for; what is more it counts itself, before it begins."""
SHOWN_AFTER: Final = timedelta(minutes=2)
"""How long after its end a run is still shown."""


@dataclass(frozen=True)
class Found:
    """The next rows of a run.

    Attributes:
        ids: those that it is about.
        last: up to which row was looked.
        ended: whether nothing follows.
    """

    ids: Sequence[uuid.UUID]
    last: uuid.UUID | None
    ended: bool

    @classmethod
    def of(cls, ids: Sequence[uuid.UUID], most: int, horizon: uuid.UUID | None) -> Self:
        """Return the first of these rows.

        Args:
            ids: in their order.
            most: so many.
            horizon: up to which row was looked; None where that were all.
        """
        if len(ids) > most:
            return cls(ids[:most], ids[most - 1], ended=False)
        return cls(ids, horizon, ended=horizon is None)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run does.

    Attributes:
        name: how entries of the audit trail begin.
        what: what it counts, as the entry of its start says it.
        did: what it did to them, as the entry of its end says it.
        find: returns the rows after one, so many at most.
        change: changes such rows, those that still are what they were; returns how many.
        hindrance: says why the run cannot go on, "" where it can.
    """

    name: str
    what: str
    did: str
    find: Callable[[ReplayRun, uuid.UUID | None, int], Found]
    change: Callable[[ReplayRun, Sequence[uuid.UUID]], int]
    hindrance: Callable[[ReplayRun], str] = lambda _run: ""


def count(run: ReplayRun, work: Work) -> None:
    """Count what a run covers, and note where that ended. It reads a bounded number of rows."""
    for _ in range(FIRST_LOOKS):
        _add(run, work.find(run, run.counted_to, COUNTED))
        if run.counted_to is None:
            return


def same_under_way(run: ReplayRun) -> ReplayRun | None:
    """Return the run that does the same already, so that asking twice starts one. Waits for others who ask."""
    lock = select(Organization.id).where(Organization.id == run.organization_id).with_for_update(key_share=True)
    db.session.execute(lock)
    mine = (run.webhook_id, run.action, run.filters)
    going = db.session.scalars(_of(run.organization_id).where(ReplayRun.finished_at.is_(None)).order_by(ReplayRun.id))
    return next((each for each in going if (each.webhook_id, each.action, each.filters) == mine), None)


def keep(run: ReplayRun, work: Work) -> None:
    """Store a run; the job works it off."""
    db.session.add(run)
    _audit(run, f"{work.name}_started", {work.what: run.total, **run.filters})
    db.session.flush()
    wake_after_commit(WAKE)


def get(*, organization_id: uuid.UUID, run_id: uuid.UUID) -> ReplayRun:
    """Return one run.

    Raises:
        NotFoundError: the organization has no such run.
    """
    found: ReplayRun | None = db.session.scalar(_of(organization_id).where(ReplayRun.id == run_id))
    if found is None:
        raise NotFoundError
    return found


def shown(*, organization_id: uuid.UUID, webhook_id: uuid.UUID | None = None) -> list[ReplayRun]:
    """Return the runs of a webhook, or of the dead letters, that are under way; else the newest for a short while."""
    about = ReplayRun.webhook_id.is_(None) if webhook_id is None else ReplayRun.webhook_id == webhook_id
    query = _of(organization_id).where(about)
    going = db.session.scalars(query.where(ReplayRun.finished_at.is_(None)).order_by(ReplayRun.id)).all()
    if going:
        return list(going)
    last: ReplayRun | None = db.session.scalar(query.order_by(ReplayRun.id.desc()).limit(1))
    fresh = last is not None and last.finished_at is not None and last.finished_at > clock.now() - SHOWN_AFTER
    return [last] if last is not None and fresh else []


def work_off(works: Mapping[RunAction, Work], batches: int = AT_ONCE) -> int:
    """Go on with the runs, a batch of each in turn, so that a long one holds back no other. Owns its transactions.

    Any number of processes may do so at a time.

    Args:
        works: what is done by each action.
        batches: so many at most.

    Returns:
        How many deliveries were changed or made.
    """
    changed = 0
    while batches > 0:
        steps = [_step(each, works) for each in _turn(batches)]
        batches -= len(steps)
        changed += sum(step or 0 for step in steps)
        if all(step is None for step in steps):
            break
    return changed


def _of(organization_id: uuid.UUID) -> Select[ReplayRun]:
    return select(ReplayRun).where(ReplayRun.organization_id == organization_id)


def _turn(most: int) -> Sequence[uuid.UUID]:
    with reading():
        query = select(ReplayRun.id).where(ReplayRun.finished_at.is_(None)).order_by(ReplayRun.id)
        return db.session.scalars(query.limit(most)).all()


def _step(run_id: uuid.UUID, works: Mapping[RunAction, Work]) -> int | None:
    """Do the next batch of a run: look for it while nobody has to wait, then change it.

    Returns:
        How many deliveries that changed; None where another process was faster.
    """
    with reading():
        run = db.session.get(ReplayRun, run_id)
        if run is None:
            return None
        seen, work = (run.counted_to, run.last_id), works[run.action]
        found = work.find(run, run.counted_to, COUNTED) if run.counted_to else work.find(run, run.last_id, BATCH)
    with unit_of_work():
        query = select(ReplayRun).where(ReplayRun.id == run_id, ReplayRun.finished_at.is_(None))
        run = db.session.scalar(query.with_for_update(skip_locked=True))
        if run is None or (run.counted_to, run.last_id) != seen:
            return None
        return _go_on(run, work, found)


def _go_on(run: ReplayRun, work: Work, found: Found) -> int:
    done = 0
    if why := work.hindrance(run):
        _finish(run, work, stopped=why)
    elif run.counted_to:
        _add(run, found)
    else:
        done = work.change(run, found.ids) if found.ids else 0
        run.done += done
        run.total = max(run.total, run.done)
        run.last_id = found.last or run.last_id
        if found.ended:
            _finish(run, work)
    if not done and run.finished_at is None:
        wake_after_commit(WAKE)  # where little fits, it goes on at once
    db.session.flush()
    return done


def _add(run: ReplayRun, found: Found) -> None:
    run.total += len(found.ids)
    run.counted_to = None if found.ended else found.last


def _finish(run: ReplayRun, work: Work, stopped: str = "") -> None:
    run.finished_at, run.stopped, run.counted_to = clock.now(), stopped or None, None
    why = {"stopped": f"The webhook was {stopped}."} if stopped else {}
    _audit(run, f"{work.name}_finished", {work.did: run.done, "of": run.total, **why})


def _audit(run: ReplayRun, action: str, after: dict[str, Any]) -> None:
    about = db.session.get(Webhook, run.webhook_id) if run.webhook_id else None
    of_webhook = {"webhook": about.name} if about else {}
    trail.record(
        action=action, organization_id=run.organization_id, target_type="replay_run", target_id=run.id,
        target_name=f"Asked for by {run.started_by}", after={**of_webhook, **after},
    )  # fmt: skip
