"""Rules about webhooks: one keeps failing or was disabled for it, and dead letters that grow."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, select

from portal.alerts.findings import DEAD_LETTERS, Finding, Look, Rule
from portal.alerts.models import Severity
from portal.database import db
from portal.webhooks import dead_letter_counts
from portal.webhooks.dead_letter_queries import DEAD
from portal.webhooks.failing import WARNED_AT
from portal.webhooks.models import Delivery, Webhook, WebhookStatus
from portal.webhooks.verdict import GIVES_UP_AFTER

NOW_CRITICAL: Final = 90
"""Percent of the time until a webhook is disabled, from which on it is urgent."""
MANY: Final = 10
"""More dead letters than this within PERIOD are worth an alert."""
PERIOD: Final = timedelta(hours=1)
NOT_EMPTY: Final = Webhook.disabled_reason != bindparam("nothing", "", literal_execute=True)
"""Written into the statement, for the index on it."""


def failing(look: Look) -> Iterator[Finding]:
    """Find webhooks that were warned about: they are disabled unless a delivery succeeds."""
    live = (Webhook.status == WebhookStatus.ACTIVE, Webhook.deleted_at.is_(None))
    long = Webhook.failing_since <= look.now - GIVES_UP_AFTER * WARNED_AT[0] / 100
    columns = (Webhook.id, Webhook.organization_id, Webhook.name, Webhook.failing_since, Webhook.warned_percent)
    query = select(*columns).where(long, Webhook.warned_percent.is_not(None), *live)
    for row in db.session.execute(query.where(*look.of(Webhook.organization_id))):
        yield _webhook(
            row,
            rule="webhook_failing",
            severity=Severity.CRITICAL if row.warned_percent >= NOW_CRITICAL else Severity.WARNING,
            title=f"{row.name}: no delivery succeeds",
            message=f"Its receiver fails for more than {row.warned_percent} % of the {GIVES_UP_AFTER.days} days after"
            " which the webhook is disabled.",
            hint="Look at what the receiver answers, mend it there, and send a test.",
            kind=f"failing {row.warned_percent}",
            since=row.failing_since,
            detail={"disables_at": (row.failing_since + GIVES_UP_AFTER).isoformat()},
        )


def disabled(look: Look) -> Iterator[Finding]:
    """Find webhooks that the portal disabled; what admins switch off themselves is no alert."""
    columns = (
        Webhook.id, Webhook.organization_id, Webhook.name, Webhook.failing_since, Webhook.updated_at,
        Webhook.disabled_reason,
    )  # fmt: skip
    off = (NOT_EMPTY, Webhook.status == WebhookStatus.DISABLED, Webhook.deleted_at.is_(None))
    for row in db.session.execute(select(*columns).where(*off, *look.of(Webhook.organization_id))):
        yield _webhook(
            row,
            rule="webhook_disabled",
            severity=Severity.CRITICAL,
            title=f"{row.name}: disabled by the portal",
            message=f"The portal disabled this webhook: {row.disabled_reason}",
            hint="Mend the receiver, then switch the webhook on again: what waits is sent then.",
            kind="disabled",
            since=row.failing_since or row.updated_at,
        )


def _webhook(row: Any, *, rule: str, severity: Severity, since: datetime, kind: str, **words: Any) -> Finding:
    return Finding(
        organization_id=row.organization_id,
        rule=rule,
        cause=f"webhook:{row.id}",
        severity=severity,
        impact=f"{row.name} does not get events",
        webhook_id=row.id,
        since=since,
        kind=kind,
        **words,
    )


def dead_letters(look: Look) -> Iterator[Finding]:
    """Find organizations whose dead letters grow: that begins with many in an hour, and ends when none came for one.

    An empty queue ends it too, whoever emptied it.
    """
    for whose, (count, first) in dead_letter_counts.since(look.now - PERIOD, look.organization_ids).items():
        if count <= MANY and not look.is_open(whose, DEAD_LETTERS):
            continue
        if _has_some(whose):
            yield _growing(whose, first, opens=count > MANY)


def _has_some(organization_id: uuid.UUID) -> bool:
    some = select(Delivery.id).where(Delivery.organization_id == organization_id, DEAD).limit(1)
    return db.session.scalar(some) is not None


def _growing(organization_id: uuid.UUID, first: datetime, *, opens: bool) -> Finding:
    return Finding(
        organization_id=organization_id,
        rule="dead_letters_growing",
        cause=DEAD_LETTERS,
        severity=Severity.WARNING,
        title="Dead letters are growing",
        message=f"More than {MANY} deliveries ran out of retries within an hour.",
        impact="Webhooks do not get all events",
        hint="See under Dead letters what the receivers answered, mend it there, then retry them.",
        since=first,
        opens=opens,
    )


RULES: Final = (
    Rule(name="webhook_failing", label="Webhook failing", find=failing),
    Rule(name="webhook_disabled", label="Webhook disabled", find=disabled),
    Rule(name="dead_letters_growing", label="Dead letters growing", find=dead_letters),
)
