"""What pages and the API say of alerts: words for states, rules and what happened, and what waits right now."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import func, select

from portal import clock
from portal.alerts import own_rules
from portal.alerts.endings import WORDS as ENDINGS
from portal.alerts.findings import SCHEDULER, Finding, Look
from portal.alerts.models import UNRESOLVED, UNTIL_IT_RECOVERS, Alert, AlertState, ChangeKind, Severity
from portal.alerts.rules import LABELS
from portal.alerts.service import is_muted
from portal.database import db
from portal.integrations import queries as integrations
from portal.paging import COUNT_LIMIT
from portal.web.filters import lower_first
from portal.webhooks.models import Delivery

STATES: Final = {AlertState.OPEN: "Open", AlertState.ACKNOWLEDGED: "Acknowledged", AlertState.RESOLVED: "Resolved"}
HAPPENED: Final = {
    ChangeKind.OPENED: ("Opened", "err", "error"),
    ChangeKind.REOPENED: ("Opened again", "err", "error"),
    ChangeKind.ACKNOWLEDGED: ("Acknowledged", "info", "check"),
    ChangeKind.WITHDRAWN: ("Acknowledgement taken back", "warn", "replay"),
    ChangeKind.MUTED: ("Muted", "off", "off"),
    ChangeKind.UNMUTED: ("Not muted any more", "info", "bell"),
    ChangeKind.CHANGED: ("Fails in another way", "warn", "warn"),
    ChangeKind.RESOLVED: ("Resolved", "ok", "ok"),
}
"""Kind of change → words, tone and icon."""


class Named(NamedTuple):
    """An integration, as far as pages say which one it is."""

    id: uuid.UUID
    name: str


@dataclass(frozen=True)
class About:
    """What an alert is about, as it is now."""

    integration: Named | None = None
    waiting: int = 0
    """Deliveries that wait for a webhook."""


def rule_label(alert: Alert) -> str:
    """Return what kind of alert it is, in words."""
    return LABELS.get(alert.rule, alert.rule)


def tone(alert: Alert) -> str:
    """Return the tone of an alert."""
    if alert.resolved_at is not None:
        return "ok"
    return "err" if alert.severity == Severity.CRITICAL else "warn"


def impact(alert: Alert, about: About) -> str:
    """Return what does not work, and of a webhook how many deliveries wait."""
    if not about.waiting or alert.resolved_at is not None:
        return alert.impact
    number = f"more than {COUNT_LIMIT:,}" if about.waiting > COUNT_LIMIT else f"{about.waiting:,}"
    return f"{alert.impact}; {number} {'waits' if about.waiting == 1 else 'wait'}"


def hurts(alert: Alert, about: About) -> str:
    """Return the impact as it stands after a colon; a webhook's name, with which it begins, stays as it is written."""
    words = impact(alert, about)
    return words if alert.webhook_id else lower_first(words)


def muted_words(alert: Alert, until: str) -> str:
    """Return until when an alert is muted; empty where it is not. `until` is the moment as the reader writes it."""
    if not is_muted(alert):
        return ""
    return "Muted until it recovers" if alert.muted_until == UNTIL_IT_RECOVERS else f"Muted until {until}"


def ending(alert: Alert) -> str:
    """Return why a resolved alert is over, as a sentence."""
    words: Mapping[str, str] = {str(each): said for each, said in ENDINGS.items()}
    return words.get(alert.resolution, "")


def about(organization_id: uuid.UUID, alerts: Collection[Alert]) -> dict[uuid.UUID, About]:
    """Return what the alerts are about, by their ids; what was deleted is not there."""
    wanted = {each.integration_id for each in alerts if each.integration_id}
    named = integrations.names(organization_id=organization_id, ids=wanted)
    live = {each: Named(each, name) for each, (name, exists) in named.items() if exists}
    hooks = {each.webhook_id for each in alerts if each.webhook_id and each.resolved_at is None}
    waiting = {each: _waiting(each) for each in hooks}
    return {
        each.id: About(
            integration=live.get(each.integration_id) if each.integration_id else None,
            waiting=waiting.get(each.webhook_id, 0) if each.webhook_id else 0,
        )
        for each in alerts
    }


def _waiting(webhook_id: uuid.UUID) -> int:
    waits = (Delivery.webhook_id == webhook_id, Delivery.due_at.is_not(None))
    some = select(Delivery.due_at).where(*waits).limit(COUNT_LIMIT + 1).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def late_now(organization_id: uuid.UUID) -> Finding | None:
    """Return what is late where nobody is there to raise an alert about it, because no scheduler runs at all."""
    stored = select(Alert.id).where(Alert.organization_id == organization_id, Alert.cause == SCHEDULER, UNRESOLVED)
    if db.session.scalar(stored.limit(1)) is not None:
        return None
    look = Look(now=clock.now(), organization_ids=[organization_id])
    return next(iter(own_rules.late(look)), None)
