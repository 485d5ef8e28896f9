"""One health check: claimed by a conditional update, run without a transaction, recorded under its token."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from portal import clock
from portal.database import db, unit_of_work
from portal.health import recording
from portal.health.claims import LEASE, LIVE, Claim, claim_due, claim_one
from portal.health.recording import Finding
from portal.integrations import calls, credentials
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.providers.base import Failure, Outcome, Report
from portal.security.errors import SecurityError

__all__ = ["LEASE", "UNREADABLE", "Claim", "Ready", "claim_due", "claim_one", "prepare", "probe", "run"]

UNREADABLE = Report(
    steps=(),
    outcome=Outcome.INVALID_REQUEST,
    error=Failure(
        outcome=Outcome.INVALID_REQUEST,
        reason="secret_unreadable",
        title="stored secret unreadable",
        message="The stored secret cannot be opened: its key is missing, or it was changed outside the portal.",
        hint="Enter it again under Configure, or tell your operator.",
        code="secret_unreadable",
    ),
    response_time_ms=0,
)
"""What a check finds that could not even begin; the fault is ours, and it is said so."""

log = logging.getLogger("portal.health")


@dataclass(frozen=True)
class Ready:
    """A claim with the call to make; None where a stored secret cannot be opened."""

    claim: Claim
    call: calls.Call | None


@dataclass(frozen=True)
class _Subject:
    """What a check needs of an integration. Secrets stay out of its repr."""

    id: uuid.UUID
    organization_id: uuid.UUID
    name: str
    provider: str
    sandbox: bool
    check_token: uuid.UUID
    config: Mapping[str, Any] = field(repr=False)


def run(claim: Claim) -> Report | None:
    """Check the integration and record what was found. Owns its transactions; none is open while it calls out.

    Returns:
        What the provider's probe found; None where the integration was deleted, disabled or claimed again meanwhile.
    """
    with unit_of_work():
        ready = prepare([claim])
    if not ready:
        return None
    report = probe(ready[0])
    with unit_of_work():
        recorded = recording.record([Finding(claim, report, clock.now())])
    return report if recorded else None


def prepare(claims: Sequence[Claim]) -> list[Ready]:
    """Open what is needed for the checks of claims. Runs inside a unit of work.

    Claims of integrations that were deleted, disabled or claimed again meanwhile are left out.
    """
    if not claims:
        return []
    row = Integration
    columns = (row.id, row.organization_id, row.name, row.provider, row.sandbox, row.check_token, row.config)
    found = db.session.execute(select(*columns).where(row.id.in_([each.integration_id for each in claims]), *LIVE))
    subjects = {each.id: _Subject(*each) for each in found}
    held = [each for each in claims if _is_held(each, subjects.get(each.integration_id))]
    opened = credentials.open_many([subjects[each.integration_id] for each in held], reason="Health check")
    return [
        Ready(each, _call(subject, opened[each.integration_id]))
        for each in held
        if _is_known(subject := subjects[each.integration_id])
    ]


def probe(ready: Ready) -> Report:
    """Ask the provider, outside of any transaction."""
    return ready.call.probe() if ready.call else UNREADABLE


def _is_held(claim: Claim, subject: _Subject | None) -> bool:
    return subject is not None and subject.check_token == claim.token


def _is_known(subject: _Subject) -> bool:
    """Return whether there is a driver; where another version of the portal had one, the lease brings the row back."""
    try:
        catalogue.get(subject.provider)
    except catalogue.UnknownProvider:
        log.error("integration %s is of a provider that this portal does not know", subject.id)  # noqa: TRY400
        return False
    return True


def _call(subject: _Subject, opened: dict[str, Any] | SecurityError) -> calls.Call | None:
    if isinstance(opened, SecurityError):
        log.error("a stored secret of integration %s cannot be opened", subject.id, exc_info=opened)
        return None
    return calls.Call(catalogue.get(subject.provider), opened, subject.sandbox)
