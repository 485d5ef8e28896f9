"""The demo's health checks of the last three months: made up here, rolled up and thinned out by the jobs themselves."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from portal import clock
from portal.database import db, new_id
from portal.health import retention, rollups
from portal.health.models import HealthLog, LogStatus
from portal.integrations.models import CheckKind, Integration
from portal.providers.base import Outcome

DAYS = 88
RECENT_DAYS = 3
EVERY, SELDOM = timedelta(minutes=5), timedelta(minutes=60)
"""Time between two checks in the last days, and before."""
OUTAGE_HOURS = 5


def make_logs(integration: Integration, *, seed: str, host: str, usual_ms: int, until: datetime) -> datetime:
    """Store made-up health logs, so that lists, filters and charts have something to show. Runs in a unit of work.

    Args:
        integration: whose.
        seed: the same figures come of it at each run.
        host: the beginning of what a failed check says, such as "smtp.example.org did not answer on port 587".
        usual_ms: median response time in milliseconds.
        until: when its checks begin to be told by somebody else.

    Returns:
        When its one outage of OUTAGE_HOURS began.
    """
    source = random.Random(seed)  # noqa: S311 - made-up figures, the same at each run
    outage = clock.now() - timedelta(days=source.uniform(RECENT_DAYS + 2, DAYS - 5))
    rows = []
    for moment in _moments(source, until):
        down = outage <= moment < outage + timedelta(hours=OUTAGE_HOURS)
        rows.append(_row(integration, moment, source, host=host, usual_ms=usual_ms, down=down))
    db.session.execute(insert(HealthLog), rows)
    last = rows[-1]
    integration.last_health_check = integration.last_sync = last["checked_at"]
    integration.last_health_check_status, integration.last_health_check_ms = last["status"], last["response_time_ms"]
    integration.last_sync_ok = last["status"] is LogStatus.SUCCESS
    return outage


def roll_up() -> None:
    """Roll the logs up, and delete those that are older than logs are kept. Owns its transactions."""
    rollups.fold_due(most=timedelta(days=DAYS + 1))
    retention.tidy()


def _moments(source: random.Random, until: datetime) -> Iterator[datetime]:
    now = clock.now()
    moment = now - timedelta(days=DAYS)
    while moment < until - EVERY:
        yield moment
        moment += (EVERY if moment > now - timedelta(days=RECENT_DAYS) else SELDOM) * source.uniform(0.95, 1.05)


def _row(
    integration: Integration, moment: datetime, source: random.Random, *, host: str, usual_ms: int, down: bool
) -> dict[str, Any]:
    failed = down or source.random() < 0.004
    return {
        "id": new_id(),
        "organization_id": integration.organization_id,
        "integration_id": integration.id,
        "check_type": CheckKind.SCHEDULED,
        "status": LogStatus.FAILURE if failed else LogStatus.SUCCESS,
        "response_time_ms": 10_000 if failed else max(5, round(source.lognormvariate(0, 0.35) * usual_ms)),
        "error_class": Outcome.TIMEOUT if failed else None,
        "error_message": f"{host} within 10 s." if failed else None,
        "detail": {"steps": [], "asked_by": ""},
        "checked_at": moment,
    }
