"""Rules about integrations: one is down, or so many that it must be the portal's own connection."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, select

from portal.alerts.findings import CONNECTION, Finding, Look, Rule
from portal.alerts.models import Alert, Severity
from portal.database import db
from portal.integrations.models import IN_ERROR, Condition, Integration
from portal.integrations.presenting import impact_of
from portal.providers import catalogue
from portal.providers.base import Outcome

NETWORK: Final = (Outcome.UNREACHABLE, Outcome.TIMEOUT)
LEAST: Final = 3
"""Fewer integrations say nothing about the portal's own connection."""
SHOWN: Final = 50
"""Integrations that such an alert names."""
AFTER_CONNECTION: Final = timedelta(hours=2)
"""For so long after the connection is back, an integration has to be checked again before it gets an alert; twice the
longest time between two checks."""

Broken = Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class _Outage:
    """Integrations of one organization that cannot be reached."""

    unreached: Sequence[Broken]
    enabled: int

    @property
    def is_common(self) -> bool:
        """Whether most of all enabled integrations are hit at once."""
        return len(self.unreached) >= LEAST and len(self.unreached) * 2 > self.enabled

    @property
    def lingers(self) -> bool:
        """Whether it is not yet over: integrations come back one by one, each by its own next check."""
        return len(self.unreached) >= LEAST and len(self.unreached) * 4 > self.enabled


def find(look: Look) -> Iterator[Finding]:
    """Find integrations in error. Where most cannot be reached at once, one finding stands for these."""
    broken: dict[uuid.UUID, list[Broken]] = defaultdict(list)
    for row in db.session.execute(_in_error(look)):
        broken[row.organization_id].append(row)
    common = {whose: each for whose, each in _outages(broken).items() if _holds(look, whose, each)}
    back = _back_since(look, broken)
    for whose, rows in broken.items():
        if whose in common:
            yield _connection(whose, common[whose])
        for row in rows:
            yield _down(row, opens=_opens(row, now=look.now, within=whose in common, back=back.get(whose)))


def _in_error(look: Look) -> Any:
    columns = (
        Integration.id, Integration.organization_id, Integration.name, Integration.provider, Integration.type,
        Integration.capabilities, Integration.condition, Integration.error_class, Integration.error_title,
        Integration.error_code, Integration.error_message, Integration.error_hint, Integration.failing_since,
        Integration.last_health_check, Integration.maintenance_from, Integration.maintenance_until,
    )  # fmt: skip
    live = (IN_ERROR, Integration.enabled, Integration.deleted_at.is_(None))
    return select(*columns).where(*live, *look.of(Integration.organization_id)).order_by(Integration.id)


def _outages(broken: Mapping[uuid.UUID, Sequence[Broken]]) -> dict[uuid.UUID, _Outage]:
    unreached = {whose: [row for row in rows if row.error_class in NETWORK] for whose, rows in broken.items()}
    many = {whose: rows for whose, rows in unreached.items() if len(rows) >= LEAST}
    if not many:
        return {}
    live = (Integration.enabled, Integration.deleted_at.is_(None), Integration.organization_id.in_(many))
    counted = select(Integration.organization_id, func.count()).where(*live).group_by(Integration.organization_id)
    return {whose: _Outage(many[whose], count) for whose, count in db.session.execute(counted)}


def _holds(look: Look, organization_id: uuid.UUID, outage: _Outage) -> bool:
    return outage.is_common or (look.is_open(organization_id, CONNECTION) and outage.lingers)


def _back_since(look: Look, broken: Mapping[uuid.UUID, Sequence[Broken]]) -> dict[uuid.UUID, datetime]:
    """Return since when the portal's own connection works again: found just now, or not long ago."""
    if not broken:
        return {}
    recent = (Alert.organization_id.in_(broken), Alert.resolved_at >= look.now - AFTER_CONNECTION)
    query = select(Alert.organization_id, func.max(Alert.resolved_at)).where(*recent, Alert.cause == CONNECTION)
    rows = db.session.execute(query.group_by(Alert.organization_id))
    found = {whose: at for whose, at in rows if at and at <= look.now}
    return found | {whose: look.now for whose in broken if look.is_open(whose, CONNECTION)}


def _opens(row: Broken, *, now: datetime, within: bool, back: datetime | None) -> bool:
    """Return whether an integration's failure is its own: not the connection's, nor left from when that was down."""
    if _in_maintenance(row, now):
        return False
    if row.error_class not in NETWORK:
        return True
    return not within and (back is None or row.last_health_check is None or row.last_health_check >= back)


def _in_maintenance(row: Broken, now: datetime) -> bool:
    """Return whether a failure is expected now; it opens no alert, and one that is open stays."""
    begin, end = row.maintenance_from, row.maintenance_until
    return begin is not None and end is not None and begin <= now < end


def _down(row: Broken, *, opens: bool) -> Finding:
    refused = row.condition == Condition.REAUTH
    name = f"{row.name} ({_provider(row.provider)})"
    failed = row.error_title or "check failed"
    return Finding(
        organization_id=row.organization_id,
        rule="integration_down",
        cause=f"integration:{row.id}",
        severity=Severity.CRITICAL,
        title=f"{name}: re-authenticate, {failed}" if refused else f"{name}: {failed}",
        message=row.error_message or "Its health check failed.",
        impact=impact_of(row.capabilities or [row.type]),
        hint=row.error_hint or "",
        code=row.error_code or "",
        kind=str(row.error_class or ""),
        integration_id=row.id,
        since=row.failing_since or row.last_health_check,
        detail={"error_class": row.error_class, "reauth": refused},
        opens=opens,
    )


def _provider(slug: str) -> str:
    """Return what a provider is called; where only another version of the portal has it, what it is stored as."""
    try:
        return catalogue.get(slug).name
    except catalogue.UnknownProvider:
        return slug


def _connection(organization_id: uuid.UUID, outage: _Outage) -> Finding:
    rows = outage.unreached
    names = sorted((row.name, str(row.id)) for row in rows)[:SHOWN]
    return Finding(
        organization_id=organization_id,
        rule="connection_down",
        cause=CONNECTION,
        severity=Severity.CRITICAL,
        title="The portal cannot reach most of its providers",
        message="More than half of the enabled integrations cannot be reached at once, so the fault is most likely"
        " this portal's own connection and not theirs.",
        impact=impact_of(each for row in rows for each in (row.capabilities or [row.type])),
        hint="Check the internet connection, the name servers and the firewall of the machine that runs the portal.",
        since=min(row.failing_since or row.last_health_check for row in rows),
        detail={"integrations": [{"id": each, "name": name} for name, each in names], "total": len(rows)},
    )


RULES: Final = (
    Rule(name="integration_down", label="Integration down", find=find),
    Rule(name="connection_down", label="The portal's own connection", find=lambda _look: ()),
)
"""The first finds for both."""
