"""What rules find, and what they get to look with."""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from portal.alerts.models import Severity

CONNECTION: Final = "connection"
"""Cause of the alert that stands for many integrations that cannot be reached at once."""
SCHEDULER: Final = "scheduler"
DEAD_LETTERS: Final = "dead_letters"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong right now.

    Attributes:
        cause: what it is about; the same thing always has the same, however it fails.
        detail: what the page shows besides, none of it changing from one look to the next while nothing happens.
        kind: how it fails; another one is a line in the alert's history.
        opens: whether it may open an alert. One that may not keeps an alert that is open, and no more.
    """

    organization_id: uuid.UUID
    rule: str
    cause: str
    severity: Severity
    title: str
    message: str
    impact: str
    since: datetime
    hint: str = ""
    code: str = ""
    kind: str = ""
    integration_id: uuid.UUID | None = None
    webhook_id: uuid.UUID | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    opens: bool = True


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at everything, or at some organizations.

    Attributes:
        now: the moment of the look.
        unresolved: organization and cause of the alerts that are not resolved.
        settled: whether this process has run long enough for work that waited for it to be done.
        organization_ids: whose rows to look at; None for all.
    """

    now: datetime
    unresolved: Collection[tuple[uuid.UUID, str]] = frozenset()
    settled: bool = True
    organization_ids: Collection[uuid.UUID] | None = None

    def of(self, column: InstrumentedAttribute[uuid.UUID]) -> list[ColumnElement[bool]]:
        """Return the conditions that narrow a query to the organizations."""
        return [] if self.organization_ids is None else [column.in_(self.organization_ids)]

    def is_open(self, organization_id: uuid.UUID, cause: str) -> bool:
        """Return whether there is an alert for a cause."""
        return (organization_id, cause) in self.unresolved


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of alert: how people call it, and how it is found. Runs inside a transaction and changes nothing."""

    name: str
    label: str
    find: Callable[[Look], Iterable[Finding]]
