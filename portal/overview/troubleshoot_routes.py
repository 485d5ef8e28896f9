"""The Troubleshoot page: tests what is stored, names the cause and the mend, and says what it hurts since when."""

import uuid
from typing import Any

from flask.wrappers import Response

from portal.alerts import presenting as alert_words
from portal.alerts import queries as alerts
from portal.database import reading
from portal.health import service as health
from portal.integrations import drafts, presenting, queries, upsert
from portal.integrations.calls import TooBusy
from portal.integrations.drafts import Invalid
from portal.integrations.models import Integration
from portal.integrations.presenting import Shown
from portal.overview.routes import blueprint
from portal.web.access import Who, allow, identity
from portal.web.render import page


@blueprint.get("/admin/integrations/<uuid:integration_id>/troubleshoot")
@allow(Who.ADMIN)
def troubleshoot(integration_id: uuid.UUID) -> Response:
    """Show what is known of an integration's trouble; the test starts by itself once the page is there."""
    return page("overview/troubleshoot.html", shown=None, **_page(_get(integration_id)))


@blueprint.post("/admin/integrations/<uuid:integration_id>/troubleshoot")
@allow(Who.ADMIN)
def run_test(integration_id: uuid.UUID) -> Response:
    """Run the staged test on what is stored. It decides nothing: a health check does."""
    with reading():
        integration = _get(integration_id)
    shown = _tested(integration)
    with reading():
        return page("overview/troubleshoot.html", block="result", shown=shown, **_page(integration))


def _tested(integration: Integration) -> Shown:
    try:
        with reading():
            draft = upsert.stored_draft(integration=integration)
        report = drafts.test(draft, organization_id=integration.organization_id)
    except Invalid as error:
        return Shown(title="Not tested: what is stored is not complete", text=" ".join(error.errors.values()))
    except TooBusy:
        return Shown(title="Not tested: several tests are running", tone="warn", text="Try again in some seconds.")
    return presenting.of_stored_test(report)


def _get(integration_id: uuid.UUID) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id)


def _page(integration: Integration) -> dict[str, Any]:
    organization_id = integration.organization_id
    return {
        "integration": integration,
        "alert_row": alerts.of_integration(organization_id=organization_id, integration_id=integration.id),
        "failures": health.recent_failures(integration=integration),
        "show": alert_words,
    }
