"""Tells others, as events, when an integration stops working, needs new credentials, and works again."""

from typing import Any

from portal import clock
from portal.integrations.models import Condition, Integration, Status
from portal.webhooks import own_events


def announce(integration: Integration) -> None:
    """Publish what changed since others were last told. Runs inside the unit of work that changes the integration.

    What was told stands on the integration itself, so each outage is told once, and its end once, whichever way it
    ends: by a check, or by new values that passed a test. New credentials are asked for once in an outage, whatever
    else its checks find. An integration that never worked, Unverified, has no outage; one that was switched off or
    saved unverified in the middle of an outage has it until it works again.
    """
    if integration.status == Status.ERROR:
        if integration.outage_since is None:
            integration.outage_since = integration.failing_since or clock.now()
            _publish("integration.error", integration, _error(integration))
        if integration.condition == Condition.REAUTH and integration.reauth_told_at is None:
            integration.reauth_told_at = clock.now()
            _publish("integration.reauth_required", integration, _error(integration))
    elif integration.status == Status.ACTIVE and integration.outage_since is not None:
        down_for = max(0, round((clock.now() - integration.outage_since).total_seconds()))
        _publish("integration.recovered", integration, {"down_for_seconds": down_for})
        integration.outage_since = integration.reauth_told_at = None


def _error(integration: Integration) -> dict[str, Any]:
    words = {name: getattr(integration, f"error_{name}") for name in ("class", "title", "message", "hint", "code")}
    return {"error": words}


def _publish(event_type: str, integration: Integration, more: dict[str, Any]) -> None:
    about = {name: getattr(integration, name) for name in ("id", "name", "provider", "type")}
    data = {"integration": about, "sandbox": integration.sandbox, **more, "since": integration.outage_since}
    own_events.publish(organization_id=integration.organization_id, event_type=event_type, data=data)
