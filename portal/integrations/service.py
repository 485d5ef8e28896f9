"""Changing integrations: create, update, switch, interval, delete. The caller's unit of work commits."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import clock
from portal.audit import trail
from portal.database import db, new_id, wake_after_commit
from portal.integrations import credentials
from portal.integrations.announcing import announce
from portal.integrations.drafts import Draft, Invalid
from portal.integrations.models import NAME_INDEX, NAME_KEY_LENGTH, CheckKind, Condition, Integration, Status
from portal.webhooks import own_events

FAILURES_TO_ERROR = 2
"""So many failed checks in a row are an outage."""
WAKE = "health"
"""Topic that wakes the health checks."""


def create(*, organization_id: uuid.UUID, user_id: uuid.UUID | None, draft: Draft, verified: bool) -> Integration:
    """Store a new integration.

    Args:
        organization_id: whose it is.
        user_id: who made it.
        draft: the checked values.
        verified: whether these values passed a test; if not it is stored as Unverified, and checked at once.

    Raises:
        Invalid: another integration of the provider has the name.
    """
    now = clock.now()
    integration = Integration(
        id=new_id(),
        organization_id=organization_id,
        provider=draft.provider.slug,
        type=draft.provider.capabilities[0],
        capabilities=[str(each) for each in draft.provider.capabilities],
        health_check_interval_minutes=5,
        error_count=0,
        enabled=True,
        created_by=user_id,
        created_at=now,
    )
    _apply(integration, draft, now)
    _refuse_same_name(integration)
    db.session.add(integration)
    _flush(integration)
    credentials.store(integration, draft.secrets)
    _verdict(integration, verified=verified, now=now)
    _audit("integration.created", integration, after=_shown(integration))
    return integration


def update(*, integration: Integration, draft: Draft, verified: bool, failed: bool = False) -> Integration:
    """Store a draft over an integration; secrets it keeps stay as they are.

    Raises:
        Invalid: another integration of the provider has the name.
    """
    before, now = _shown(integration), clock.now()
    same_values = integration.config == draft.config and not draft.secrets and integration.sandbox == draft.sandbox
    _apply(integration, draft, now)
    _refuse_same_name(integration)
    _flush(integration)
    credentials.store(integration, draft.secrets)
    if verified or failed or not same_values:
        _verdict(integration, verified=verified, now=now)
    _changed(integration, before, draft)
    db.session.flush()
    return integration


def set_enabled(*, integration: Integration, enabled: bool) -> None:
    """Switch an integration on or off, effective at once. Off: no checks, never used for sending."""
    if integration.enabled == enabled:
        return
    now = clock.now()
    integration.enabled, integration.updated_at = enabled, now
    if enabled:
        _due_now(integration, now)
        integration.status = _status_before(integration)
        announce(integration)
    else:
        integration.status = Status.INACTIVE
        integration.next_check_at = integration.check_token = integration.next_check_run_id = None
        wake_after_commit(own_events.CHANGED)
    _audit("integration.enabled" if enabled else "integration.disabled", integration)
    db.session.flush()


def set_interval(*, integration: Integration, minutes: int) -> None:
    """Set how often the integration is checked, in minutes (1 to 60).

    Raises:
        Invalid: the number is out of range.
    """
    if not 1 <= minutes <= 60:
        raise Invalid({"interval": "Use a whole number of minutes from 1 to 60."})
    before = integration.health_check_interval_minutes
    if before == minutes:
        return
    integration.health_check_interval_minutes, integration.updated_at = minutes, clock.now()
    if integration.enabled and integration.check_token is None:
        _due_now(integration, clock.now())
    _audit("integration.interval_changed", integration, before={"minutes": before}, after={"minutes": minutes})
    db.session.flush()


def delete(*, integration: Integration) -> None:
    """Delete softly: gone from lists, secrets wiped, history kept."""
    credentials.wipe(integration)
    now = clock.now()
    integration.deleted_at = integration.updated_at = now
    integration.enabled, integration.status = False, Status.INACTIVE
    integration.next_check_at = integration.check_token = integration.next_check_run_id = None
    wake_after_commit(own_events.CHANGED)
    _audit("integration.deleted", integration, before=_shown(integration))
    db.session.flush()


def name_key(name: str) -> str:
    """Return a name as it is compared: in an organization no two integrations of a provider share it."""
    return name.casefold()[:NAME_KEY_LENGTH]


def _apply(integration: Integration, draft: Draft, now: datetime) -> None:
    integration.name, integration.name_key = draft.name, name_key(draft.name)
    integration.config, integration.sandbox = draft.config, draft.sandbox
    integration.check_group = draft.provider.check_group(draft.config) + (":sandbox" if draft.sandbox else "")
    integration.max_per_hour, integration.max_per_day = draft.max_per_hour, draft.max_per_day
    integration.updated_at = now


def _verdict(integration: Integration, *, verified: bool, now: datetime) -> None:
    """Set what follows from new values: active after a passed test, else Unverified until the first success."""
    integration.error_count, integration.failing_since = 0, None
    integration.error_class = integration.error_title = integration.error_code = None
    integration.error_message = integration.error_hint = None
    integration.condition = None if verified else Condition.UNVERIFIED
    usable = verified and integration.enabled
    integration.status = Status.ACTIVE if usable else Status.INACTIVE
    announce(integration)
    if integration.enabled:
        _due_now(integration, now)


def _status_before(integration: Integration) -> Status:
    """Return what an integration was when it was switched off: an outage does not end by that."""
    if integration.condition == Condition.UNVERIFIED:
        return Status.INACTIVE
    return Status.ERROR if integration.error_count >= FAILURES_TO_ERROR else Status.ACTIVE


def _due_now(integration: Integration, now: datetime) -> None:
    integration.next_check_at, integration.next_check_kind = now, CheckKind.AUTO
    integration.check_token = None
    wake_after_commit(WAKE)


def _refuse_same_name(integration: Integration) -> None:
    twin = select(Integration.id).where(
        Integration.organization_id == integration.organization_id,
        Integration.provider == integration.provider,
        Integration.name_key == integration.name_key,
        Integration.deleted_at.is_(None),
        Integration.id != integration.id,
    )
    with db.session.no_autoflush:
        if db.session.scalar(twin):
            raise _taken(integration)


def _flush(integration: Integration) -> None:
    """Write the row; where somebody else took the name since we looked, the unique index says so."""
    taken = _taken(integration)
    try:
        db.session.flush()
    except IntegrityError as error:
        if NAME_INDEX in str(error.orig) or Integration.name_key.key in str(error.orig):
            raise taken from None
        raise


def _taken(integration: Integration) -> Invalid:
    return Invalid({"name": f"There is already an integration named {integration.name}. Choose another name."})


def _shown(integration: Integration) -> dict[str, Any]:
    """Return what the audit trail keeps of an integration: never a secret."""
    return {
        "name": integration.name,
        **integration.config,
        "max_per_hour": integration.max_per_hour,
        "max_per_day": integration.max_per_day,
        "sandbox": integration.sandbox,
        "verified": integration.condition != Condition.UNVERIFIED,
    }


def _changed(integration: Integration, before: dict[str, Any], draft: Draft) -> None:
    """Record what an update changed; an update that changed nothing leaves no entry."""
    after = _shown(integration)
    names = [name for name in before | after if before.get(name) != after.get(name)]
    replaced = sorted(name for name, value in draft.secrets.items() if value is not None)
    facts = {"secrets_replaced": replaced, "secrets_removed": sorted(draft.removed)}
    changes = {name: after.get(name) for name in names} | {name: fields for name, fields in facts.items() if fields}
    if changes:
        _audit("integration.changed", integration, before={name: before.get(name) for name in names}, after=changes)


def _audit(
    action: str, integration: Integration, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> None:
    trail.record(
        action=action,
        organization_id=integration.organization_id,
        target_type="integration",
        target_id=integration.id,
        target_name=integration.name,
        before=before,
        after=after,
    )
