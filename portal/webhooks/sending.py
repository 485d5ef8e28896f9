"""From a webhook and an event to the request that goes out: address, signed headers, and what is kept of it."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from werkzeug.urls import iri_to_uri

from portal.security.addresses import AddressBlocked, AddressPolicy, NetworkError
from portal.security.errors import SecurityError
from portal.security.network import Address, resolve
from portal.security.webhook_signatures import body_hash, key_of, sign
from portal.webhooks import service
from portal.webhooks.exchange import Outgoing
from portal.webhooks.models import Webhook
from portal.webhooks.queue import Claimed
from portal.webhooks.retry import RetryPolicy

TIMEOUT: Final = 15.0
"""Seconds that one exchange may take in total, connecting included."""
DNS_SECONDS: Final = 5.0
USER_AGENT: Final = "Portal-Webhooks/1"
HIDDEN: Final = "••••"
SEALED: Final = "Its signing secret or its headers cannot be opened. Is the master key that sealed them missing?"
log = logging.getLogger("portal.webhooks")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """All that sending to a webhook needs, read once and used for many deliveries. Secrets stay out of its repr."""

    webhook_id: uuid.UUID
    organization_id: uuid.UUID
    url: str
    host: str
    port: int
    encrypted: bool
    secret: bytes = field(repr=False)
    """The current one, as it is shown."""
    keys: tuple[bytes, ...] = field(repr=False)
    """What is inside the secrets that sign, the current one's first."""
    headers: Mapping[str, str] = field(repr=False)
    policy: RetryPolicy
    rate_limit: int | None
    failing_since: datetime | None
    good_until: datetime
    """When it has to be read again."""
    fault: str = ""
    """Why the portal itself can send nothing to it right now; "" where it can."""


def endpoint_of(webhook: Webhook, *, now: datetime, good_until: datetime) -> Endpoint:
    """Return what sending to a webhook needs; `fault` says where the portal cannot. Runs inside a transaction."""
    try:
        secrets, headers, fault = service.signing_secrets(webhook, now), service.custom_headers(webhook), ""
    except SecurityError:
        log.exception("a secret of webhook %s cannot be opened", webhook.id)
        secrets, headers, fault = [""], {}, SEALED
    url = iri_to_uri(webhook.url)  # libcurl takes plain characters only, and people type addresses in any alphabet
    parts = urlsplit(url)
    encrypted = parts.scheme == "https"
    return Endpoint(
        webhook_id=webhook.id,
        organization_id=webhook.organization_id,
        url=url,
        host=parts.hostname or "",
        port=parts.port or (443 if encrypted else 80),
        encrypted=encrypted,
        secret=secrets[0].encode(),
        keys=() if fault else tuple(map(key_of, secrets)),
        headers=headers,
        policy=service.policy_of(webhook),
        rate_limit=webhook.rate_limit,
        failing_since=webhook.failing_since,
        good_until=good_until if webhook.previous_until is None else min(good_until, max(now, webhook.previous_until)),
        fault=fault,
    )


def address_of(endpoint: Endpoint, policy: AddressPolicy) -> Address:
    """Return the address to dial, vetted: without encryption only one of the operator's own networks.

    Raises:
        NetworkError: there is none, or the guard refuses it.
    """
    address = resolve(endpoint.host, endpoint.port, policy=policy, timeout=DNS_SECONDS)[0]
    if not endpoint.encrypted and not any(address.ip in network for network in policy.allowed):
        raise AddressBlocked(endpoint.host)
    return address


def error_of(error: NetworkError) -> str:
    """Return the error class of an address that could not be had."""
    return "blocked" if isinstance(error, AddressBlocked) else "dns"


def headers_of(endpoint: Endpoint, claimed: Claimed, *, timestamp: int) -> dict[str, str]:
    """Return the headers of one attempt, signed for this moment.

    The plain hash takes the secret as it is shown, as code hosts do; the signature takes the key inside it.
    """
    return {
        **endpoint.headers,
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": claimed.event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(endpoint.keys, message_id=claimed.event_id, timestamp=timestamp, body=claimed.body),
        "X-Portal-Event": claimed.event_type,
        "X-Portal-Signature": body_hash(endpoint.secret, claimed.body),
        "X-Portal-Attempt": str(claimed.attempt_number),
    }


def request_of(endpoint: Endpoint, claimed: Claimed, address: Address, *, now: datetime) -> Outgoing:
    """Return the request of one attempt."""
    headers = headers_of(endpoint, claimed, timestamp=int(now.timestamp()))
    return Outgoing(url=endpoint.url, address=address, headers=headers, body=claimed.body, timeout=TIMEOUT)


def kept_headers(endpoint: Endpoint, request: Outgoing) -> Mapping[str, str]:
    """Return the headers of a request as they are stored: the customer's own often hold a token, and are hidden."""
    if not endpoint.headers:
        return request.headers
    return {name: HIDDEN if name in endpoint.headers else value for name, value in request.headers.items()}
