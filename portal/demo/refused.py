"""The demo's integration that broke a short time ago: its login is refused, by the sandbox too."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from portal import clock
from portal.database import new_id, unit_of_work
from portal.health import recording
from portal.health.claims import Claim
from portal.health.recording import Finding
from portal.integrations.models import CheckKind, Integration
from portal.providers.base import Failure, Outcome, Report, Step, StepState

BEFORE: Final = timedelta(minutes=52)
"""So long ago its password expired."""
AFTER: Final = (timedelta(0), timedelta(seconds=30), timedelta(minutes=18), timedelta(minutes=39))
"""When it was checked since then; a refused login is checked more rarely."""
SAID: Final = "535 5.7.8 Authentication failed: the sandbox does not know this password"


def moments(until: datetime) -> Iterator[datetime]:
    """Return when it was checked since it broke."""
    return (until - BEFORE + each for each in AFTER)


def check(*, integration_id: uuid.UUID) -> None:
    """Record a check that was refused. Owns its transaction."""
    now = clock.now()
    with unit_of_work() as session:
        integration = session.get_one(Integration, integration_id)
        if integration.outage_since is None:
            # Webhooks are not told: they would be only now.
            integration.outage_since = integration.reauth_told_at = now
        kind = CheckKind.AUTO if integration.error_count == 1 else CheckKind.SCHEDULED
        integration.check_token = new_id()
        session.flush()
        claim = Claim(integration.id, integration.check_token, kind, None)
        recording.record([Finding(claim, _report("mail.northline.example"), now)])
        session.expire_all()  # it writes past the session


def _report(host: str) -> Report:
    hint = "Enter both again. Many services want an app password or an API key instead of the account's password."
    error = Failure(
        outcome=Outcome.AUTH_REJECTED, reason="login_rejected", title="login failed",
        message=f"{host} refused the user name or the password.", hint=hint, code="535 5.7.8", said=SAID,
        field="password",
    )  # fmt: skip
    steps = (
        Step(name="DNS", state=StepState.PASSED, detail=f"{host} is served by the sandbox", duration_ms=2),
        Step(name="TCP", state=StepState.PASSED, detail="connected", duration_ms=4),
        Step(name="TLS", state=StepState.PASSED, detail="TLS 1.3", duration_ms=11),
        Step(name="Login", state=StepState.FAILED, detail=SAID, verbatim=True, code="535", hint=hint, duration_ms=21),
        Step(name="Sender", state=StepState.NOT_RUN),
    )
    return Report(steps=steps, outcome=Outcome.AUTH_REJECTED, error=error, response_time_ms=38)
