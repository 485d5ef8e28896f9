"""The webhook form: what it shows, and how what was posted becomes a draft."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from portal.webhooks import service
from portal.webhooks.errors import InvalidError
from portal.webhooks.events import ALL
from portal.webhooks.models import Webhook, WebhookStatus
from portal.webhooks.retry import LONGEST_DELAY, LONGEST_FIRST_DELAY, MOST_RETRIES, RetryPolicy, Strategy
from portal.webhooks.service import Draft

STRATEGIES: Final = [(str(each), str(each).capitalize()) for each in Strategy]
CHANGED: Final = (
    "Somebody changed this webhook meanwhile, or the portal disabled it. What you typed is still here: save it again "
    "to replace what is stored now."
)
_TEXTS: Final = ("name", "url", "filters", "rate_limit", "retry", "strategy", "max_retries", "first_delay", "max_delay")
_TICKS: Final = ("active", "ordered", "jitter", "dead_letters", "all_events")


@dataclass(frozen=True, kw_only=True)
class WebhookForm:
    """What the drawer shows: values, chosen events, names of stored headers, errors."""

    values: Mapping[str, Any]
    events: Collection[str] = ()
    header_names: tuple[str, ...] = ()
    headers_verb: str = "keep"
    errors: Mapping[str, str] = field(default_factory=dict)
    webhook_id: str = ""
    webhook: Webhook | None = None
    """As it is stored."""
    version: str = ""
    """A mark of what is stored when the form is opened: another one once anybody changed it."""

    def value(self, name: str) -> Any:
        """Return what a field shows."""
        return self.values.get(name, "")

    def error(self, name: str) -> str | None:
        """Return the sentence that is wrong about a field."""
        return self.errors.get(name)


def empty(policy: RetryPolicy) -> WebhookForm:
    """Return the form of a new webhook; an own policy would start from the organization's."""
    return WebhookForm(values={"active": True, "retry": "organization", **_policy_values(policy)})


def stored(webhook: Webhook) -> WebhookForm:
    """Return the form of a stored webhook. Values of its headers stay where they are."""
    values = {
        "name": webhook.name,
        "url": webhook.url,
        "active": webhook.status is WebhookStatus.ACTIVE,
        "all_events": ALL in webhook.events,
        "ordered": webhook.ordered,
        "filters": json.dumps(webhook.filters, indent=2, ensure_ascii=False) if webhook.filters else "",
        "rate_limit": webhook.rate_limit or "",
        "retry": "own" if webhook.retry else "organization",
        **_policy_values(service.policy_of(webhook)),
    }
    names = tuple(webhook.header_names or ())
    facts: list[object] = [webhook.name, webhook.url, webhook.events, str(webhook.status), webhook.headers_sealed]
    facts += [webhook.filters, webhook.ordered, webhook.rate_limit, webhook.retry]
    return WebhookForm(
        values=values, events=webhook.events, header_names=names, webhook_id=str(webhook.id), webhook=webhook,
        version=hashlib.sha256(repr(facts).encode()).hexdigest()[:32],
    )  # fmt: skip


def require_unchanged(webhook: Webhook, posted: Mapping[str, str]) -> None:
    """Refuse to save over something else than the form was opened on.

    Raises:
        InvalidError: somebody changed the webhook meanwhile, or the portal disabled it.
    """
    version = posted.get("version", "")
    if version and version != stored(webhook).version:
        raise InvalidError({"form": CHANGED})


def sent(form: WebhookForm, posted: MultiDict[str, str], errors: Mapping[str, str]) -> WebhookForm:
    """Return the form as it was sent, with what is wrong; headers that were typed are not sent back."""
    values = {name: posted.get(name, "") for name in _TEXTS} | {name: name in posted for name in _TICKS}
    return WebhookForm(
        values=values,
        events=posted.getlist("events"),
        header_names=form.header_names,
        headers_verb=posted.get("custom_headers__action", "keep"),
        errors=errors,
        webhook_id=form.webhook_id,
        webhook=form.webhook,
        version=form.version if "form" in errors else posted.get("version", form.version),
    )


def read(posted: MultiDict[str, str]) -> Draft:
    """Turn what the form posted into a draft.

    Raises:
        InvalidError: a number or a header cannot be read.
    """
    errors: dict[str, str] = {}
    rate_limit = _number(posted, "rate_limit", 1, 1000, errors, optional=True)
    policy = _policy(posted, errors) if posted.get("retry") == "own" else None
    headers = _headers(posted, errors)
    filters = _filters(posted, errors)
    if errors:
        raise InvalidError(errors)
    return Draft(
        name=posted.get("name", ""),
        url=posted.get("url", ""),
        events=[ALL] if "all_events" in posted else posted.getlist("events"),
        active="active" in posted,
        custom_headers=headers,
        filters=filters,
        ordered="ordered" in posted,
        rate_limit=rate_limit,
        retry=policy,
    )


def read_policy(posted: Mapping[str, str]) -> RetryPolicy:
    """Turn the fields of a retry policy into one.

    Raises:
        InvalidError: a number is missing or out of range.
    """
    errors: dict[str, str] = {}
    policy = _policy(posted, errors)
    if errors or policy is None:
        raise InvalidError(errors)
    return policy


def _policy_values(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "strategy": str(policy.strategy),
        "max_retries": policy.max_retries,
        "first_delay": policy.first_delay,
        "max_delay": policy.max_delay,
        "jitter": policy.jitter,
        "dead_letters": policy.dead_letters,
    }


def _policy(posted: Mapping[str, str], errors: dict[str, str]) -> RetryPolicy | None:
    retries = _number(posted, "max_retries", 1, MOST_RETRIES, errors)
    first = _number(posted, "first_delay", 1, LONGEST_FIRST_DELAY, errors)
    most = _number(posted, "max_delay", 1, LONGEST_DELAY, errors)
    strategy = posted.get("strategy", "")
    if strategy not in dict(STRATEGIES):
        errors["strategy"] = "Choose exponential, linear or fixed."
    if first and most and most < first:
        errors["max_delay"] = "Use at least the first delay."
    if errors or not (retries and first and most):
        return None
    return RetryPolicy(
        max_retries=retries,
        strategy=Strategy(strategy),
        first_delay=first,
        max_delay=most,
        jitter="jitter" in posted,
        dead_letters="dead_letters" in posted,
    )


def _number(
    posted: Mapping[str, str], name: str, least: int, most: int, errors: dict[str, str], *, optional: bool = False
) -> int | None:
    text = posted.get(name, "").strip()
    if optional and not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 8 and least <= int(text) <= most:
        return int(text)
    errors[name] = f"Use a whole number from {least:,} to {most:,}{', or leave it empty' if optional else ''}."
    return None


def _filters(posted: Mapping[str, str], errors: dict[str, str]) -> dict[str, Any]:
    text = posted.get("filters", "").strip()
    try:
        found = json.loads(text or "{}")
        if isinstance(found, dict):
            return found
    except (ValueError, RecursionError):
        pass
    errors["filters"] = 'Write a JSON object, such as {"status": "open"}.'
    return {}


def _headers(posted: Mapping[str, str], errors: dict[str, str]) -> dict[str, str] | None:
    """Return the headers to store; None keeps those that are stored. An empty field never removes any."""
    verb, text = posted.get("custom_headers__action", ""), posted.get("custom_headers", "")
    if verb == "remove":
        return {}
    if verb == "keep" or not text.strip():
        return None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not name or not value:
            errors["custom_headers"] = f"Line {number} is no header. Write each like Authorization: Bearer abc."
        elif name.lower() in map(str.lower, found):
            errors["custom_headers"] = f"{name[:60]} stands there twice."
        found[name] = value
    return found
