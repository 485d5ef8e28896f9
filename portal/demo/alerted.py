"""The demo's alerts: what the rules would have raised and resolved in the past, what one of them shows now."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import select

from portal import clock
from portal.alerts import changes, evaluating, webhook_rules
from portal.alerts.changes import Noted
from portal.alerts.endings import WORDS, Resolution
from portal.alerts.findings import Finding, Look
from portal.alerts.models import UNRESOLVED, Alert, AlertState, ChangeKind, Severity
from portal.database import db, new_id, reading, unit_of_work
from portal.demo import refused, told
from portal.integrations import presenting
from portal.integrations.models import Integration, Status
from portal.providers.base import Outcome

NOTICED: Final = timedelta(seconds=30)
"""After a first failure the second look, which opens the alert."""
FOUND: Final = timedelta(seconds=1)
"""So long after a webhook was disabled the rules know."""
READ: Final = timedelta(minutes=12)
"""So long after it opened somebody says to know of it."""
WHO, NOTE = "Marcus Oyelaran", "Their status page says that they are on it."
ASKED: Final = "The job board moves to a new address this week. I asked for it."
Step = tuple[datetime, Callable[[], None]]
"""Something that happens at a moment. Owns its transactions."""


@dataclass(frozen=True)
class Outage:
    """An outage that is over.

    Attributes:
        integration_id: which was down.
        began: its first failed check.
        lasted: until it worked again.
        host: the beginning of what failed checks said.
    """

    integration_id: uuid.UUID
    began: datetime
    lasted: timedelta
    host: str


def live_through(*, organization_id: uuid.UUID, outages: Sequence[Outage], refuses: uuid.UUID | None) -> None:
    """Let what people are alerted of happen, one after the other up to now, and tell of it. Owns its transactions.

    Args:
        organization_id: of the demo.
        outages: what is over.
        refuses: the integration whose login is refused since a short time.
    """
    until = clock.now()
    steps = [step for each in outages for step in _outage(organization_id, each)]
    steps += _disabled_webhooks(organization_id)
    if refuses:
        steps += [(moment, lambda: _refuse(organization_id, refuses)) for moment in refused.moments(until)]
    steps.sort(key=lambda step: step[0])
    ends = [*(moment for moment, _ in steps), until][1:]
    for (moment, happens), following in zip(steps, ends, strict=True):
        with clock.at(moment):
            happens()
        told.tell(organization_id=organization_id, since=moment, until=following)


def _outage(organization_id: uuid.UUID, outage: Outage) -> Iterator[Step]:
    opened = outage.began + NOTICED
    yield opened, lambda: _open(outage)
    yield opened + READ, lambda: _acknowledge(organization_id, outage.integration_id, note=NOTE)
    yield outage.began + outage.lasted, lambda: _resolve(organization_id, outage.integration_id)


def _disabled_webhooks(organization_id: uuid.UUID) -> list[Step]:
    """Return when webhooks were disabled, which the rule found at once, and when somebody knew of it."""
    with reading():
        found = list(webhook_rules.disabled(Look(now=clock.now(), organization_ids=[organization_id])))
    opened = [(each.since + FOUND, partial(_store, each)) for each in found]
    known = partial(_acknowledge, organization_id, note=ASKED)
    return [step for moment, opens in opened for step in ((moment, opens), (moment + READ, known))]


def _look(organization_id: uuid.UUID) -> None:
    evaluating.evaluate(settled=False, organization_id=organization_id)


def _refuse(organization_id: uuid.UUID, integration_id: uuid.UUID) -> None:
    refused.check(integration_id=integration_id)
    _look(organization_id)


def _open(outage: Outage) -> None:
    with unit_of_work() as session:
        integration = session.get_one(Integration, outage.integration_id)
        integration.status = Status.ERROR  # so that nobody is told through it
        found = Finding(
            organization_id=integration.organization_id, rule="integration_down",
            cause=f"integration:{integration.id}", severity=Severity.CRITICAL, integration_id=integration.id,
            title=f"{integration.name} ({presenting.provider_name(integration)}): timed out",
            message=f"{outage.host} within 10 s.", impact=presenting.impact(integration), since=outage.began,
            detail={"error_class": str(Outcome.TIMEOUT), "reauth": False}, kind=str(Outcome.TIMEOUT),
        )  # fmt: skip
    _store(found)


def _store(found: Finding) -> None:
    """Open the alert of what a rule found, or would have found. Owns its transaction."""
    now = clock.now()
    with unit_of_work() as session:
        alert = Alert(
            id=new_id(), organization_id=found.organization_id, rule=found.rule, cause=found.cause,
            severity=found.severity, integration_id=found.integration_id, webhook_id=found.webhook_id,
            title=found.title, message=found.message, impact=found.impact, hint=found.hint, code=found.code,
            detail={**found.detail, "kind": found.kind}, state=AlertState.OPEN, since=found.since, opened_at=now,
            changed_at=now, acknowledged_by="", acknowledge_note="", resolution="", occurrences=1,
        )  # fmt: skip
        session.add(alert)
        session.flush()
        changes.write([Noted(alert.organization_id, alert.id, ChangeKind.OPENED, now)])


def _unresolved(organization_id: uuid.UUID, integration_id: uuid.UUID | None) -> Sequence[Alert]:
    query = select(Alert).where(UNRESOLVED, Alert.organization_id == organization_id)
    return db.session.scalars(query.where(Alert.integration_id == integration_id)).all()


def _acknowledge(organization_id: uuid.UUID, integration_id: uuid.UUID | None = None, *, note: str) -> None:
    """Let somebody know of the alerts about an integration, or about none; the audit trail begins later than that."""
    now = clock.now()
    with unit_of_work():
        for each in _unresolved(organization_id, integration_id):
            each.state, each.acknowledged_at, each.changed_at = AlertState.ACKNOWLEDGED, now, now
            each.acknowledged_by, each.acknowledge_note = WHO, note
            changes.write([Noted(organization_id, each.id, ChangeKind.ACKNOWLEDGED, now, WHO, note)])


def _resolve(organization_id: uuid.UUID, integration_id: uuid.UUID) -> None:
    now = clock.now()
    with unit_of_work() as session:
        session.get_one(Integration, integration_id).status = Status.ACTIVE
        for each in _unresolved(organization_id, integration_id):
            each.state, each.resolved_at, each.changed_at = AlertState.RESOLVED, now, now
            each.resolution = Resolution.RECOVERED
            note = WORDS[Resolution.RECOVERED]
            changes.write([Noted(organization_id, each.id, ChangeKind.RESOLVED, now, note=note)])
