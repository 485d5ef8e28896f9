"""Rows as the API answers them: plain values, secrets masked."""

from dataclasses import asdict
from typing import Any

from portal.audit.models import AuditEntry, CredentialAccess
from portal.health.listing import Log
from portal.health.metrics import Metrics
from portal.integrations import presenting
from portal.integrations.credentials import StoredSecret
from portal.integrations.models import Integration
from portal.integrations.queries import Stats
from portal.integrations.usage import Usage
from portal.providers import catalogue
from portal.providers.fields import FieldKind

Json = dict[str, Any]
SUMMARY = (
    "id", "provider", "type", "name", "enabled", "status", "last_health_check", "last_sync", "error_message",
)  # fmt: skip
DETAILS = (
    "capabilities", "sandbox", "error_count", "health_check_interval_minutes", "created_by", "created_at", "updated_at",
)  # fmt: skip
HEALTH_LOG = (
    "id", "check_type", "status", "response_time_ms", "error_class", "error_code", "error_message", "checked_at",
)  # fmt: skip
ACCESS = (
    "id", "integration_id", "integration_name", "purpose", "outcome", "ip", "count", "first_at", "last_at",
)  # fmt: skip


def summary(row: Integration) -> Json:
    """Return an integration as the list shows it."""
    return _picked(row, SUMMARY)


def integration(row: Integration, secrets: dict[str, StoredSecret], usage: Usage | None) -> Json:
    """Return an integration in full, its secrets masked."""
    checking = row.enabled and row.check_token is not None
    return {
        **_picked(row, SUMMARY),
        **_picked(row, DETAILS),
        "condition": "checking" if checking else row.condition,
        "credentials": credentials(row, secrets),
        "limits": {"max_per_hour": row.max_per_hour, "max_per_day": row.max_per_day},
        "maintenance": (
            {"starts_at": row.maintenance_from, "ends_at": row.maintenance_until} if row.maintenance_until else None
        ),
        "usage": {"this_hour": usage.hour, "today": usage.day} if usage else None,
    }


def credentials(row: Integration, secrets: dict[str, StoredSecret]) -> Json:
    """Return the value of each field that is not secret, and of each secret the mask; None is not set."""
    fields = [each for each in catalogue.get(row.provider).fields if each.kind is not FieldKind.CONFIRM]
    masks = {name: secret.mask for name, secret in secrets.items()}
    return {each.name: (masks if each.secret else row.config).get(each.name) for each in fields}


def stats(found: Stats) -> dict[str, int]:
    """Return how many integrations there are; those that wait for their first success are inactive too."""
    inactive = found.disabled + found.waiting
    return {"total": found.total, "active": found.active, "error": found.error, "inactive": inactive}


def critical_alert(row: Integration) -> Json:
    """Return an integration in error as an alert."""
    return {
        "integration_id": row.id,
        "name": row.name,
        "provider": row.provider,
        "type": row.type,
        "title": row.error_title or "check failed",
        "message": row.error_message,
        "hint": row.error_hint,
        "code": row.error_code,
        "impact": presenting.impact(row),
        "since": row.failing_since,
    }


def health_log(row: Log) -> Json:
    """Return one check."""
    return {**_picked(row, HEALTH_LOG), "metadata": row.detail}


def metrics(found: Metrics) -> Json:
    """Return the figures of a window."""
    return asdict(found)


def audit_entry(row: AuditEntry) -> Json:
    """Return one entry of the trail."""
    target = {"type": row.target_type, "id": row.target_id, "name": row.target_name}
    plain = _picked(row, ("id", "at", "action", "ip", "before", "after", "request_id"))
    return {**plain, "actor": _actor(row), "target": target}


def credential_access(row: CredentialAccess) -> Json:
    """Return one use of credentials, or those that a row sums up."""
    return {**_picked(row, ACCESS), "actor": _actor(row)}


def _actor(row: AuditEntry | CredentialAccess) -> Json:
    return {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name}


def _picked(row: object, names: tuple[str, ...]) -> Json:
    return {name: getattr(row, name) for name in names}
