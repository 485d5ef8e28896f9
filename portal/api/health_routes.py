"""/api/admin: health checks, their logs and figures, critical alerts."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.api import faults, lists, presenting
from portal.api import schema as s
from portal.api.declaring import Answer, admin
from portal.api.routes import TESTED
from portal.audit import trail
from portal.database import reading, unit_of_work
from portal.health import metrics, service
from portal.health.models import LogStatus
from portal.health.service import LogFilters
from portal.integrations import queries
from portal.integrations.models import CheckKind, Integration
from portal.providers.base import Outcome
from portal.web.access import identity

TAG: Final = "Health"


@admin.endpoint(
    "GET",
    "/integrations/alerts",
    tag=TAG,
    query=s.paging(),
    answers={200: Answer(about="The longest failing first.", schema=s.page_of(s.ref("CriticalAlert")))},
)
def list_alerts(*, query: Mapping[str, Any]) -> presenting.Json:
    """List critical alerts: integrations in error, and what does not work meanwhile."""
    with lists.good_cursor():
        found = queries.failing_page(organization_id=identity().organization_id, **query)
    return lists.page(found, presenting.critical_alert)


@admin.endpoint(
    "POST", "/integrations/<uuid:integration_id>/health-check", tag=TAG, answers=TESTED, problems=(409, 429)
)
def check_integration(integration_id: uuid.UUID) -> presenting.Json:
    """Check an integration now, and log what was found."""
    with reading():
        row = _get(integration_id)
    report = service.check_now(integration=row, asked_by=trail.current_actor().name)
    if report is None:
        raise faults.changed()
    return report.as_dict()


@admin.endpoint(
    "POST",
    "/integrations/health-check-all",
    tag=TAG,
    answers={202: Answer(about="The checks are under way.", schema=s.ref("ChecksStarted"))},
)
def check_all_integrations() -> tuple[dict[str, int], int]:
    """Check every enabled integration.

    While such a run is under way, another one is not started.
    """
    with unit_of_work():
        run = service.check_all(organization_id=identity().organization_id, asked_by=trail.current_actor().name)
        return {"checks": run.total}, 202


@admin.endpoint(
    "GET",
    "/integrations/<uuid:integration_id>/health-logs",
    tag=TAG,
    query={
        "check_type": s.one_of(tuple(CheckKind)),
        "status": s.one_of(tuple(LogStatus)),
        "error_class": s.one_of(tuple(each for each in Outcome if each is not Outcome.OK)),
        "since": s.moment("From this time on."),
        "until": s.moment("Before this time."),
        **s.paging(),
    },
    answers={200: Answer(about="The newest first.", schema=s.page_of(s.ref("HealthLog")))},
)
def list_health_logs(integration_id: uuid.UUID, *, query: Mapping[str, Any]) -> presenting.Json:
    """List what the checks of an integration found."""
    row = _get(integration_id)
    filters = LogFilters(integration_id=row.id, **lists.without_place(query))
    with lists.good_cursor():
        found = service.logs(organization_id=row.organization_id, filters=filters, **lists.place(query))
    return lists.page(found, presenting.health_log)


@admin.endpoint(
    "GET",
    "/integrations/<uuid:integration_id>/metrics",
    tag=TAG,
    query={"window": {**s.one_of(tuple(metrics.WINDOWS), "How far back."), "default": "24h"}},
    answers={200: Answer(about="The figures.", schema=s.ref("Metrics"))},
)
def integration_metrics(integration_id: uuid.UUID, *, query: Mapping[str, Any]) -> presenting.Json:
    """Show uptime, failures and response times over a window."""
    return presenting.metrics(metrics.of(integration=_get(integration_id), window=query["window"]))


def _get(integration_id: uuid.UUID) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id)
