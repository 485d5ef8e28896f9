"""What a range of a webhook covers: deliveries that ended in a given way, or events that it did not get.

All is looked for by key, oldest first, and one look reads a bounded number of rows, however few of them fit.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from portal.database import db, first_id
from portal.webhooks import filters, narrowing
from portal.webhooks.events import ALL
from portal.webhooks.models import Delivery, DeliveryStatus, Event, ReplayRun, Webhook
from portal.webhooks.runs import Found

LOOK: Final = 10_000
"""Rows that one look reads."""
BODIES: Final = 1_000
"""Events whose data one look holds against a webhook's filters."""
_AT_ONCE: Final = 50
"""Bodies in memory at a time: each may have 256 KiB."""

Columns = ReadOnlyColumnCollection[str, Any]


class Wanted(StrEnum):
    """What of a range is sent."""

    FAILED = "failed"
    """What was given up, dead letters included."""
    DEAD = "dlq"
    SUCCESS = "success"
    MISSING = "missing"
    """Events without a delivery to the webhook."""


STATUSES: Final = {
    Wanted.FAILED: (DeliveryStatus.FAILED, DeliveryStatus.DEAD),
    Wanted.DEAD: (DeliveryStatus.DEAD,),
    Wanted.SUCCESS: (DeliveryStatus.SUCCESS,),
}


@dataclass(frozen=True, kw_only=True)
class Range:
    """Which deliveries or events of a webhook.

    Attributes:
        since: of events accepted from then on.
        until: and before then; None is the moment at which it is asked.
        wanted: what of them.
        types: of these event types; of any where none is named.
    """

    since: datetime
    until: datetime | None = None
    wanted: Wanted = Wanted.FAILED
    types: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the range as a run keeps it."""
        kept: dict[str, Any] = {"status": str(self.wanted), "since": self.since.isoformat()}
        if self.until:
            kept["until"] = self.until.isoformat()
        return kept | ({"events": list(self.types)} if self.types else {})

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        """Return the range that as_dict() wrote."""
        return cls(
            since=datetime.fromisoformat(kept["since"]),
            until=datetime.fromisoformat(kept["until"]) if "until" in kept else None,
            wanted=Wanted(kept["status"]),
            types=tuple(kept.get("events", ())),
        )


def over(run: ReplayRun, after: uuid.UUID | None, most: int) -> Found:
    """Return the next deliveries of a run that ended as it wants and whose body is kept, up to so many."""
    wanted = Range.from_dict(run.filters)
    end = _end(run, wanted)

    def fits(row: Columns) -> list[ColumnElement[bool]]:
        kept = select(Event.id).where(Event.id == row.event_row_id, func.length(Event.body) > 0)
        return [
            row.webhook_id == run.webhook_id, row.created_at >= wanted.since, row.created_at < end,
            *([row.event_type.in_(wanted.types)] if wanted.types else ()), kept.exists(),
        ]  # fmt: skip

    looks = [_look(_deliveries(run, wanted, status, after), fits, most) for status in STATUSES[wanted.wanted]]
    # What is further on in one status is not looked at before the others came as far.
    horizon = min((each for _, each in looks if each), default=None)
    fitting = sorted(each for ids, _ in looks for each in ids if horizon is None or each <= horizon)
    return Found.of(fitting, most, horizon)


def missing(run: ReplayRun, after: uuid.UUID | None, most: int) -> Found:
    """Return the next events of a run that its webhook wants and has no delivery of, up to so many."""
    wanted, webhook = Range.from_dict(run.filters), db.session.get_one(Webhook, run.webhook_id)
    end = _end(run, wanted)

    def fits(row: Columns) -> list[ColumnElement[bool]]:
        there = select(Delivery.id).where(Delivery.event_row_id == row.id, Delivery.webhook_id == webhook.id)
        # A test is about the webhook that it was made for. A body may be gone by age.
        return [
            ~there.exists(), row.source != "test", row.size > 0, row.accepted_at >= wanted.since, row.accepted_at < end,
            *([row.event_type.in_(wanted.types)] if wanted.types else ()),
            *([row.event_type.in_(webhook.events)] if ALL not in webhook.events else ()),
        ]  # fmt: skip

    fitting, horizon = _look(_events(run, wanted, after), fits, most)
    if webhook.filters:
        fitting, horizon = _let_through(webhook, fitting, horizon)
    return Found.of(fitting, most, horizon)


def _look(
    rows: Select[*tuple[Any, ...]], fits: Callable[[Columns], list[ColumnElement[bool]]], most: int
) -> tuple[list[uuid.UUID], uuid.UUID | None]:
    """Return those of the next rows that fit, in their order, and the last that was looked at, None where that is all.

    It looks at as many as are wanted, and at LOOK where hardly any of them fits.

    Args:
        rows: the rows by their ids. They are limited before they are held against anything, so that neither a range
            without a single one that fits takes long, nor a database prefers to read all deliveries of a webhook.
        fits: returns the conditions on columns of these rows.
        most: how many are wanted.
    """
    found: list[uuid.UUID] = []
    last: uuid.UUID | None = None
    for size in (min(most, LOOK), LOOK):
        last = db.session.scalar(rows.with_only_columns(rows.selected_columns.id).offset(size - 1).limit(1))
        few = rows.limit(size).subquery()
        query = select(few.c.id).where(*fits(few.c))
        found = sorted(db.session.scalars(query if last is None else query.where(few.c.id <= last)))
        if last is None or len(found) >= most / 2:
            break
    return found, last


def _deliveries(
    run: ReplayRun, wanted: Range, status: DeliveryStatus, after: uuid.UUID | None
) -> Select[uuid.UUID, uuid.UUID, uuid.UUID, str, datetime]:
    """Return the query of the next deliveries of a status; what failed is rare, so that is of all webhooks."""
    query = select(Delivery.id, Delivery.webhook_id, Delivery.event_row_id, Delivery.event_type, Delivery.created_at)
    query = query.where(Delivery.id > (after or _first(wanted)), Delivery.id < _last(run, wanted))
    query = query.where(Delivery.status == status)
    if status is DeliveryStatus.SUCCESS:
        query = query.where(Delivery.webhook_id == run.webhook_id)
    else:
        query = query.where(Delivery.organization_id == run.organization_id)
    return query.order_by(Delivery.id)


def _events(run: ReplayRun, wanted: Range, after: uuid.UUID | None) -> Select[uuid.UUID, str, str, datetime, int]:
    size = func.length(Event.body).label("size")
    query = select(Event.id, Event.event_type, Event.source, Event.accepted_at, size)
    query = query.where(Event.organization_id == run.organization_id)
    return query.where(Event.id > (after or _first(wanted)), Event.id < _last(run, wanted)).order_by(Event.id)


def _let_through(
    webhook: Webhook, ids: list[uuid.UUID], horizon: uuid.UUID | None
) -> tuple[list[uuid.UUID], uuid.UUID | None]:
    """Return the events whose data a webhook's filters let through, and up to which was looked."""
    looked = ids[:BODIES]
    if len(ids) > BODIES:
        horizon = looked[-1]
    return [each for each, data in _data(looked) if filters.let_through(webhook.filters, data)], horizon


def _data(ids: list[uuid.UUID]) -> Iterator[tuple[uuid.UUID, Any]]:
    query = select(Event.id, Event.body).where(Event.id.in_(ids)).order_by(Event.id)
    for row in db.session.execute(query, execution_options={"yield_per": _AT_ONCE}):
        yield row.id, json.loads(row.body)["data"]


def _end(run: ReplayRun, wanted: Range) -> datetime:
    return min(wanted.until or run.cutoff, run.cutoff)


def _first(wanted: Range) -> uuid.UUID:
    return first_id(wanted.since, -narrowing.SLACK)


def _last(run: ReplayRun, wanted: Range) -> uuid.UUID:
    return first_id(_end(run, wanted), narrowing.SLACK)
