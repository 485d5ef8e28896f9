"""What requests about webhooks carry, as the drafts that services take."""

import uuid
from collections.abc import Mapping
from typing import Any

from portal.security.masking import looks_masked
from portal.security.redaction import strip_controls
from portal.webhooks import event_types, queries, service
from portal.webhooks.errors import InvalidError
from portal.webhooks.models import Webhook, WebhookStatus
from portal.webhooks.retry import DEFAULT, RetryPolicy, Strategy
from portal.webhooks.service import Draft


def new(body: Mapping[str, Any]) -> Draft:
    """Return the draft of a new webhook.

    Raises:
        InvalidError: a value will not do.
    """
    return Draft(
        name=strip_controls(body["name"]),
        url=body["url"],
        events=body["events"],
        active=body.get("status", WebhookStatus.ACTIVE) == WebhookStatus.ACTIVE,
        custom_headers=_headers({}, body["custom_headers"]) if "custom_headers" in body else None,
        filters=body.get("filters"),
        ordered=body.get("ordered", False),
        rate_limit=_whole(body.get("rate_limit")),
        retry=_own_policy(body.get("retry")),
    )


def changed(webhook: Webhook, body: Mapping[str, Any]) -> Draft:
    """Return the draft of a stored webhook with what a request changes.

    Raises:
        InvalidError: a value will not do.
    """
    return Draft(
        name=strip_controls(body.get("name", webhook.name)),
        url=body.get("url", webhook.url),
        events=body.get("events", webhook.events),
        active=body.get("status", webhook.status) == WebhookStatus.ACTIVE,
        custom_headers=_changed_headers(webhook, body),
        filters=(body["filters"] or {}) if "filters" in body else None,
        ordered=body.get("ordered", webhook.ordered),
        rate_limit=_whole(body.get("rate_limit", webhook.rate_limit)),
        retry=_own_policy(body.get("retry", webhook.retry)),
    )


def policy(body: Mapping[str, Any]) -> RetryPolicy:
    """Return the retry policy that a request holds; what is left out has its default.

    Raises:
        InvalidError: the longest wait is shorter than the first.
    """
    found = _policy(body)
    if found.strategy is not Strategy.FIXED and found.max_delay < found.first_delay:
        raise InvalidError({"max_delay_seconds": "Use at least fixed_delay_seconds."})
    return found


def test_data(organization_id: uuid.UUID, body: Mapping[str, Any]) -> Any:
    """Return the data of a test: what was sent, or the event type's sample.

    Raises:
        InvalidError: there is no such event type.
    """
    name = body["event_type"]
    if name not in event_types.known(organization_id=organization_id, names={name}):
        raise InvalidError({"event_type": f"There is no event type {name[:100]}. Add it under Event types."})
    return body["data"] if "data" in body else queries.sample(organization_id=organization_id, event_type=name)


def _own_policy(sent: Mapping[str, Any] | None) -> RetryPolicy | None:
    if sent is None:
        return None
    try:
        return policy(sent)
    except InvalidError as error:
        raise InvalidError({f"retry.{name}": text for name, text in error.errors.items()}) from None


def _policy(sent: Mapping[str, Any]) -> RetryPolicy:
    values = {**DEFAULT.as_dict(), **sent}
    numbers = {name: int(values[name]) for name in ("max_retries", "fixed_delay_seconds", "max_delay_seconds")}
    return RetryPolicy.from_dict(values | numbers)


def _whole(number: float | None) -> int | None:
    """Return a whole number as such: JSON Schema lets 5.0 through as one."""
    return None if number is None else int(number)


def _changed_headers(webhook: Webhook, body: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return all headers as they shall be; None where they stay."""
    sent = body.get("custom_headers", {})
    if sent is not None and not any(value != "" for value in sent.values()):
        return None
    return {} if sent is None else _headers(service.custom_headers(webhook), sent)


def _headers(stored: Mapping[str, str], sent: Mapping[str, str | None] | None) -> dict[str, str]:
    """Merge headers that were sent into those that are stored: empty keeps, null removes."""
    found, errors = dict(stored), {}
    for name, value in (sent or {}).items():
        if value is None:
            found.pop(name, None)
        elif looks_masked(value):
            errors[f"custom_headers.{name}"] = "This is a mask. Send the whole value, or nothing to keep it."
        elif value:
            found[name] = value
    if errors:
        raise InvalidError(errors)
    return found
