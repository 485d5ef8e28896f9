"""Webhooks of an organization: create, change, switch, secrets, delete. The caller's unit of work commits."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select

from portal import clock, keyring
from portal.accounts.models import Organization
from portal.audit import trail
from portal.database import db, new_id, wake_after_commit
from portal.security.encryption import Context
from portal.security.masking import mask
from portal.security.redaction import strip_controls
from portal.security.webhook_signatures import new_secret
from portal.webhooks import deliveries, filters
from portal.webhooks.checking import headers_problem, url_problem
from portal.webhooks.errors import InvalidError, NotFoundError
from portal.webhooks.events import ALL, known_types
from portal.webhooks.models import OrganizationRetryPolicy, Webhook, WebhookStatus
from portal.webhooks.retry import DEFAULT, RetryPolicy

PURPOSE: Final = "credentials"
OVERLAP: Final = timedelta(hours=24)
"""How long the secret before signs too, unless somebody chooses otherwise."""
MOST_WEBHOOKS: Final = 200
CHANGED: Final = "webhooks"
"""Topic that lets dispatchers read the settings of webhooks anew."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a webhook shall be. None for `custom_headers` or `filters` keeps those that are stored."""

    name: str
    url: str
    events: Sequence[str]
    active: bool = True
    custom_headers: Mapping[str, str] | None = field(default=None, repr=False)
    filters: Mapping[str, Any] | None = None
    ordered: bool = False
    rate_limit: int | None = None
    retry: RetryPolicy | None = None


def create(*, organization_id: uuid.UUID, user_id: uuid.UUID | None, draft: Draft) -> tuple[Webhook, str]:
    """Store a webhook; returns it with its signing secret in full.

    Raises:
        InvalidError: values are wrong.
    """
    _check(organization_id, draft)
    count = db.session.scalar(select(func.count()).select_from(_live(organization_id).subquery())) or 0
    if count >= MOST_WEBHOOKS:
        raise InvalidError({"name": f"There are {MOST_WEBHOOKS} webhooks, the most there can be. Delete one first."})
    now, secret = clock.now(), new_secret()
    webhook = Webhook(
        id=new_id(),
        organization_id=organization_id,
        status=WebhookStatus.ACTIVE,
        disabled_reason="",
        secret_masked=mask(secret),
        created_by=user_id,
        created_at=now,
    )
    webhook.secret_sealed = keyring.seal(secret, _context(webhook, "secret"))
    _apply(webhook, draft, now)
    db.session.add(webhook)
    db.session.flush()
    _changed("webhook.created", webhook, after=_shown(webhook))
    return webhook, secret


def update(*, webhook: Webhook, draft: Draft) -> Webhook:
    """Store a draft over a webhook; its secret stays.

    Raises:
        InvalidError: values are wrong.
    """
    _check(webhook.organization_id, draft)
    before = _shown(webhook)
    _apply(webhook, draft, clock.now())
    db.session.flush()
    now = _shown(webhook)
    after = {name: now[name] for name in now if before.get(name) != now[name]}
    if after:
        _changed("webhook.changed", webhook, before={name: before.get(name) for name in after}, after=after)
    return webhook


def set_active(*, webhook: Webhook, active: bool, reason: str = "") -> None:
    """Switch a webhook on or off, effective at once; what waits is sent when it is on again.

    Where an admin does it, nobody else is told: the event webhook.disabled is for what the portal does by itself, and
    the audit trail has both.
    """
    status = WebhookStatus.ACTIVE if active else WebhookStatus.DISABLED
    if webhook.status is status:
        return
    webhook.status, webhook.disabled_reason, webhook.updated_at = status, reason, clock.now()
    if active:
        _forgive(webhook)
    _changed("webhook.enabled" if active else "webhook.disabled", webhook, after={"reason": reason} if reason else None)
    db.session.flush()


def delete(*, webhook: Webhook) -> None:
    """Delete softly: gone from lists, secrets wiped, deliveries kept; what waits is sent no more."""
    now = clock.now()
    webhook.deleted_at = webhook.updated_at = now
    webhook.status = WebhookStatus.DISABLED
    webhook.secret_sealed, webhook.previous_sealed, webhook.headers_sealed = b"", None, None
    deliveries.end([webhook.id])
    _changed("webhook.deleted", webhook, before=_shown(webhook))
    db.session.flush()


def rotate(*, webhook: Webhook, overlap: timedelta = OVERLAP) -> str:
    """Give a webhook a new secret and return it; the one before signs too for a while."""
    secret, now = new_secret(), clock.now()
    webhook.previous_sealed = None
    if overlap > timedelta(0):
        current = keyring.open_sealed(webhook.secret_sealed, _context(webhook, "secret"))
        webhook.previous_sealed = keyring.seal(current, _context(webhook, "previous"))
    webhook.previous_until = now + overlap if webhook.previous_sealed else None
    webhook.secret_sealed, webhook.secret_masked = keyring.seal(secret, _context(webhook, "secret")), mask(secret)
    webhook.updated_at = now
    _changed("webhook.secret_rotated", webhook, after={"previous_until": str(webhook.previous_until or "")})
    db.session.flush()
    return secret


def reveal(*, webhook: Webhook) -> str:
    """Return a webhook's secret for a person; the audit trail says who saw it."""
    _audit("webhook.secret_revealed", webhook)
    return keyring.open_sealed(webhook.secret_sealed, _context(webhook, "secret"))


def signing_secrets(webhook: Webhook, now: datetime) -> list[str]:
    """Return the secrets that sign right now, the current one first."""
    found = [keyring.open_sealed(webhook.secret_sealed, _context(webhook, "secret"))]
    if webhook.previous_sealed and webhook.previous_until and webhook.previous_until > now:
        found.append(keyring.open_sealed(webhook.previous_sealed, _context(webhook, "previous")))
    return found


def custom_headers(webhook: Webhook) -> dict[str, str]:
    """Return the customer's own headers, opened."""
    if not webhook.headers_sealed:
        return {}
    return dict(json.loads(keyring.open_sealed(webhook.headers_sealed, _context(webhook, "headers"))))


def get(*, organization_id: uuid.UUID, webhook_id: uuid.UUID, lock: bool = False) -> Webhook:
    """Return one webhook; `lock` where it is about to be changed. Events for it are accepted all the same.

    Raises:
        NotFoundError: the organization has no such webhook.
    """
    query = _live(organization_id).where(Webhook.id == webhook_id)
    found: Webhook | None = db.session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFoundError
    return found


def listed(*, organization_id: uuid.UUID) -> Sequence[Webhook]:
    """Return the webhooks of an organization, newest first; there are never many."""
    return db.session.scalars(_live(organization_id).order_by(Webhook.id.desc())).all()


def retry_policy(organization_id: uuid.UUID) -> RetryPolicy:
    """Return the policy that holds for an organization's webhooks."""
    row = db.session.get(OrganizationRetryPolicy, organization_id)
    return RetryPolicy.from_dict(row.policy) if row else DEFAULT


def set_retry_policy(*, organization_id: uuid.UUID, policy: RetryPolicy) -> None:
    """Set the policy of an organization; webhooks with one of their own keep it."""
    # One after the other: two who save for the first time would both add the row.
    lock = select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    db.session.execute(lock)
    row = db.session.get(OrganizationRetryPolicy, organization_id, populate_existing=True)
    before = row.policy if row else DEFAULT.as_dict()
    if before == policy.as_dict():
        return
    if row is None:
        row = OrganizationRetryPolicy(organization_id=organization_id)
        db.session.add(row)
    row.policy, row.updated_at = policy.as_dict(), clock.now()
    wake_after_commit(CHANGED)
    trail.record(
        action="policy.changed", organization_id=organization_id, target_type="organization",
        target_id=organization_id, before=before, after=policy.as_dict(),
    )  # fmt: skip
    db.session.flush()


def policy_of(webhook: Webhook) -> RetryPolicy:
    """Return the policy that holds for a webhook: its own, or the organization's."""
    return RetryPolicy.from_dict(webhook.retry) if webhook.retry else retry_policy(webhook.organization_id)


def _live(organization_id: uuid.UUID) -> Select[Webhook]:
    return select(Webhook).where(Webhook.organization_id == organization_id, Webhook.deleted_at.is_(None))


def _context(webhook: Webhook, name: str) -> Context:
    return Context(PURPOSE, webhook.organization_id, Webhook.__tablename__, webhook.id, name)


def _apply(webhook: Webhook, draft: Draft, now: datetime) -> None:
    webhook.name, webhook.url = _plain(draft.name), draft.url.strip()
    webhook.events = [ALL] if ALL in draft.events else sorted(set(draft.events))
    webhook.ordered, webhook.rate_limit, webhook.updated_at = draft.ordered, draft.rate_limit, now
    webhook.retry = draft.retry.as_dict() if draft.retry else None
    if draft.filters is not None:
        webhook.filters = dict(draft.filters) or None
    wanted = WebhookStatus.ACTIVE if draft.active else WebhookStatus.DISABLED
    if webhook.status is not wanted:
        webhook.status, webhook.disabled_reason = wanted, ""
        _forgive(webhook)
    if draft.custom_headers is not None:
        text = json.dumps(dict(draft.custom_headers), ensure_ascii=False)
        sealed = keyring.seal(text, _context(webhook, "headers"))
        webhook.headers_sealed = sealed if draft.custom_headers else None
    webhook.header_names = webhook.header_names or [] if draft.custom_headers is None else sorted(draft.custom_headers)


def _plain(name: str) -> str:
    """Return a name without what nobody sees: it can neither be stored everywhere nor told apart."""
    return strip_controls(name, keep="").strip()


def _forgive(webhook: Webhook) -> None:
    """Start anew: what failed before counts no more."""
    webhook.failing_since = webhook.last_failure_at = webhook.warned_percent = webhook.paused_until = None


def _check(organization_id: uuid.UUID, draft: Draft) -> None:
    errors: dict[str, str] = {}
    name = _plain(draft.name)
    if not name:
        errors["name"] = "Give the webhook a name, such as Payroll."
    elif len(name) > 100:
        errors["name"] = "Shorten the name to 100 characters."
    if problem := url_problem(draft.url):
        errors["url"] = problem
    unknown = [each for each in draft.events if each != ALL and each not in known_types(organization_id)]
    if not draft.events:
        errors["events"] = "Choose at least one event."
    elif unknown:
        errors["events"] = f"There is no event type {unknown[0][:100]}."
    if draft.rate_limit is not None and not 1 <= draft.rate_limit <= 1000:
        errors["rate_limit"] = "Use a whole number from 1 to 1,000, or leave it empty."
    if problem := headers_problem(draft.custom_headers or {}):
        errors["custom_headers"] = problem
    if problem := filters.problem(draft.filters or {}):
        errors["filters"] = problem
    if errors:
        raise InvalidError(errors)


def _shown(webhook: Webhook) -> dict[str, Any]:
    """Return what the audit trail keeps of a webhook: never a secret."""
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "status": str(webhook.status),
        "header_names": list(webhook.header_names or []),
        "ordered": webhook.ordered,
        "rate_limit": webhook.rate_limit,
        "retry": webhook.retry,
        "filters": webhook.filters,
    }


def _changed(action: str, webhook: Webhook, **values: dict[str, Any] | None) -> None:
    """Keep what changed in the audit trail, and let dispatchers read the settings anew."""
    wake_after_commit(CHANGED)
    _audit(action, webhook, **values)


def _audit(
    action: str, webhook: Webhook, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> None:
    trail.record(
        action=action, organization_id=webhook.organization_id, target_type="webhook", target_id=webhook.id,
        target_name=webhook.name, before=before, after=after,
    )  # fmt: skip
