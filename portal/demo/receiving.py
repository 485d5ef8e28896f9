"""Tells the sandbox's receiver about the demo's webhooks: their secrets, and how each shall behave."""

import json
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from portal import clock
from portal.database import unit_of_work
from portal.demo.hooks import HOOKS, Hook
from portal.webhooks import service
from portal.webhooks.models import Webhook, WebhookStatus
from portal.webhooks.retry import RetryPolicy
from portal.webhooks.service import Draft

PATH: Final = "/webhooks/"
_HERE: Final = ("127.0.0.1", "localhost")
_SECONDS: Final = 3.0
_ENDPOINTS: Final = {each.endpoint: each for each in HOOKS}


def connect(*, organization_ids: Sequence[uuid.UUID], sandbox_url: str) -> bool:
    """Lead the demo's webhooks to the sandbox that runs now, and tell it their secrets. Owns its transactions.

    Args:
        organization_ids: of the demo.
        sandbox_url: where the sandbox is; it may have been on another port before.

    Returns:
        Whether the sandbox knows them now; False where none runs.
    """
    with unit_of_work():
        webhooks = [each for place in organization_ids for each in service.listed(organization_id=place)]
        told = [(hook, _lead(webhook, hook, sandbox_url)) for webhook in webhooks if (hook := _hook_of(webhook))]
    took = [_tell(sandbox_url, hook, secret) for hook, secret in told]
    return all(took)


def _hook_of(webhook: Webhook) -> Hook | None:
    """Return which of the demo's webhooks this is; None for one that leads elsewhere, or that somebody added."""
    parts = urlsplit(webhook.url)
    if parts.hostname not in _HERE or not parts.path.startswith(PATH):
        return None
    return _ENDPOINTS.get(parts.path.removeprefix(PATH))


def _lead(webhook: Webhook, hook: Hook, sandbox_url: str) -> str:
    """Let a webhook lead to the sandbox, and return its secret."""
    url = f"{sandbox_url}{PATH}{hook.endpoint}"
    if webhook.url != url:
        draft = Draft(
            name=webhook.name,
            url=url,
            events=webhook.events,
            active=webhook.status is WebhookStatus.ACTIVE,
            ordered=webhook.ordered,
            rate_limit=webhook.rate_limit,
            retry=RetryPolicy.from_dict(webhook.retry) if webhook.retry else None,
        )
        service.update(webhook=webhook, draft=draft)
    return service.signing_secrets(webhook, clock.now())[0]


def _tell(sandbox_url: str, hook: Hook, secret: str) -> bool:
    parts = urlsplit(sandbox_url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    content = json.dumps({"secret": secret, "mode": hook.dial})
    try:
        connection.request("PUT", f"/_sandbox/webhooks/{hook.endpoint}", content, {"Content-Type": "application/json"})
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
