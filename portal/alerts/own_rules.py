"""Rules about the portal itself: its scheduler is late, its audit trail is broken."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, func, or_, select

from portal.accounts.models import Organization
from portal.alerts.findings import SCHEDULER, Finding, Look, Rule
from portal.alerts.models import Severity
from portal.audit import watch
from portal.audit.models import INSTALLATION
from portal.database import db
from portal.health import pulse
from portal.integrations.models import Integration
from portal.webhooks.models import Delivery, Webhook, WebhookStatus

LATE: Final = timedelta(minutes=2)
"""What is due for longer than this waits for the portal and nobody else."""
CHECKS, DELIVERIES = "Health checks", "Deliveries"
MOST: Final = 10_000
"""Overdue checks that one look reads, the oldest first."""


def late(look: Look) -> Iterator[Finding]:
    """Find organizations whose checks or deliveries are overdue. A process that just began gets time to catch up."""
    checks, deliveries = _late_checks(look), _late_deliveries(look)
    for whose in sorted({*checks, *deliveries}):
        what = [name for name, found in ((CHECKS, checks), (DELIVERIES, deliveries)) if whose in found]
        since = min(found[whose] for found in (checks, deliveries) if whose in found)
        yield Finding(
            organization_id=whose,
            rule="scheduler_late",
            cause=SCHEDULER,
            severity=Severity.CRITICAL,
            title=f"{' and '.join(what)} are late".capitalize(),
            message="Nobody saw to them for more than two minutes. This is a fault of the portal, not of a provider.",
            impact=_late_impact(what),
            hint="See that a process with the scheduler runs (portal serve or portal worker), that it is not"
            " overloaded, and what its log says. portal doctor looks at all of it.",
            since=since,
            detail={"late": what},
            opens=look.settled,
        )


def _late_impact(what: Iterable[str]) -> str:
    words = {CHECKS: "Outages are noticed late", DELIVERIES: "Webhooks get events late"}
    return ". ".join(words[each] for each in what)


def _late_checks(look: Look) -> dict[uuid.UUID, datetime]:
    """Return since when checks of each organization are late: the oldest overdue one, or when anybody last looked."""
    found = pulse.read()
    unattended = found.last_look is not None and look.now - found.last_look >= LATE
    overdue = _overdue(look) if found.late >= LATE else {}
    if not unattended or found.last_look is None:
        return overdue
    checked = (Integration.organization_id == Organization.id, Integration.enabled, Integration.deleted_at.is_(None))
    everybody = select(Organization.id).where(exists().where(*checked), *look.of(Organization.id))
    return dict.fromkeys(db.session.scalars(everybody), found.last_look) | overdue


def _overdue(look: Look) -> dict[uuid.UUID, datetime]:
    """Return since when checks of each organization are overdue.

    Where more are than one look reads, nobody can say that those of an organization with an alert are done: it stays.
    """
    due = (Integration.next_check_at <= look.now - LATE, Integration.enabled, Integration.deleted_at.is_(None))
    query = select(Integration.organization_id, Integration.next_check_at).where(*due)
    # In a query of its own, with its limit: asked to group at once, SQLite goes through all by organization.
    oldest = (
        query.where(*look.of(Integration.organization_id)).order_by(Integration.next_check_at).limit(MOST).subquery()
    )
    at = func.min(oldest.c.next_check_at, type_=Integration.next_check_at.type)
    grouped = select(oldest.c.organization_id, at, func.count()).group_by(oldest.c.organization_id)
    rows = db.session.execute(grouped).all()
    found = {whose: first for whose, first, _ in rows}
    if sum(count for *_, count in rows) < MOST:
        return found
    return {whose: look.now - LATE for whose, cause in look.unresolved if cause == SCHEDULER} | found


def _late_deliveries(look: Look) -> dict[uuid.UUID, datetime]:
    """Return the oldest overdue delivery of each organization, of webhooks at which nothing is being tried.

    Where something was tried lately the receiver is slow, limited or failing, and the backlog is not the portal's. In
    order, all others wait for one that waits for its next try or is under way.
    """
    before = look.now - LATE
    quiet = before - timedelta(minutes=1)  # the last attempt of a webhook is kept to the minute
    oldest = select(func.min(Delivery.due_at)).where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_not(None))
    ahead = exists().where(Delivery.webhook_id == Webhook.id, Delivery.due_at > look.now)
    rows = (
        select(Webhook.organization_id, oldest.scalar_subquery().label("oldest"))
        .where(
            Webhook.status == WebhookStatus.ACTIVE,
            Webhook.deleted_at.is_(None),
            Webhook.updated_at <= before,
            or_(Webhook.paused_until.is_(None), Webhook.paused_until <= before),
            or_(Webhook.last_success_at.is_(None), Webhook.last_success_at <= quiet),
            or_(Webhook.last_failure_at.is_(None), Webhook.last_failure_at <= quiet),
            or_(Webhook.ordered.is_(False), ~ahead),
            *look.of(Webhook.organization_id),
        )
        .subquery()
    )
    at = func.min(rows.c.oldest, type_=Delivery.due_at.type)
    query = select(rows.c.organization_id, at).where(rows.c.oldest <= before).group_by(rows.c.organization_id)
    return {whose: at for whose, at in db.session.execute(query) if at}


def audit_broken(look: Look) -> Iterator[Finding]:
    """Find audit trails that do not fit. That of the installation concerns every organization."""
    for check in watch.broken():
        for whose in _concerned(check.chain, look):
            yield Finding(
                organization_id=whose,
                rule="audit_broken",
                cause=f"audit:{check.chain}",
                severity=Severity.CRITICAL,
                title="The audit trail is broken" + (" (installation)" if check.chain == INSTALLATION else ""),
                message=check.reason,
                impact="The audit trail proves nothing from this entry on",
                hint="Find out who can write to the database. portal audit verify names the first entry that does not"
                " fit; restoring a backup brings back what was there.",
                since=check.whole_at or check.due_at,
                detail={"first_bad_seq": check.first_bad_seq},
            )


def _concerned(chain: uuid.UUID, look: Look) -> Iterable[uuid.UUID]:
    concerned = [] if chain == INSTALLATION else [Organization.id == chain]
    return db.session.scalars(select(Organization.id).where(*concerned, *look.of(Organization.id)))


RULES: Final = (
    Rule(name="scheduler_late", label="Scheduler late", find=late),
    Rule(name="audit_broken", label="Audit trail broken", find=audit_broken),
)
