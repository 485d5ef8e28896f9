"""Why an alert is over: mended, or what it was about is not there or not in use any more."""

import uuid
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select

from portal.database import db
from portal.integrations.models import Condition, Integration
from portal.webhooks.models import Webhook, WebhookStatus


class Resolution(StrEnum):
    """Why an alert was resolved."""

    RECOVERED = "recovered"
    DISABLED = "disabled"
    REMOVED = "removed"
    CHANGED = "changed"
    """New values were saved, and nothing has proved them so far."""


WORDS: Final = {
    Resolution.RECOVERED: "It works again.",
    Resolution.DISABLED: "It was switched off.",
    Resolution.REMOVED: "It was deleted.",
    Resolution.CHANGED: "New values were saved, not yet proved by a check.",
}


def of(rows: Sequence[Any]) -> dict[uuid.UUID, Resolution]:
    """Return why each alert is over, by its id."""
    integrations = _integrations({row.integration_id for row in rows if row.integration_id})
    webhooks = _webhooks({row.webhook_id for row in rows if row.webhook_id})
    found = integrations | webhooks
    return {row.id: found.get(row.integration_id or row.webhook_id, Resolution.RECOVERED) for row in rows}


def _integrations(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Resolution]:
    columns = (Integration.id, Integration.deleted_at, Integration.enabled, Integration.condition)
    found = {}
    for row in db.session.execute(select(*columns).where(Integration.id.in_(ids))) if ids else ():
        if row.deleted_at:
            found[row.id] = Resolution.REMOVED
        elif not row.enabled:
            found[row.id] = Resolution.DISABLED
        elif row.condition == Condition.UNVERIFIED:
            found[row.id] = Resolution.CHANGED
    return found


def _webhooks(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Resolution]:
    columns = (Webhook.id, Webhook.deleted_at, Webhook.status)
    found = {}
    for row in db.session.execute(select(*columns).where(Webhook.id.in_(ids))) if ids else ():
        if row.deleted_at:
            found[row.id] = Resolution.REMOVED
        elif row.status is WebhookStatus.DISABLED:
            found[row.id] = Resolution.DISABLED
    return found
