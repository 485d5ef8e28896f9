"""Records what attempts came to, and what follows for their webhooks. Runs inside the dispatcher's unit of work."""

import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, literal, null, or_, update
from sqlalchemy.exc import IntegrityError

from portal.database import db, unit_of_work
from portal.prepared import Prepared
from portal.webhooks import dead_letter_counts, failing, queue
from portal.webhooks.exchange import Outgoing, Reply
from portal.webhooks.models import DeliveryStatus, Webhook
from portal.webhooks.queue import Claimed, Done
from portal.webhooks.sending import Endpoint, kept_headers
from portal.webhooks.verdict import GIVES_UP_AFTER, INTERNAL, Verdict, judge

log = logging.getLogger("portal.webhooks")
NOTED_EVERY = timedelta(minutes=1)
"""How exactly the time of a webhook's last success is kept."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """An attempt with everything that is known about it."""

    endpoint: Endpoint
    done: Done
    verdict: Verdict


def outcome_of(
    endpoint: Endpoint, claimed: Claimed, reply: Reply, *, now: datetime, request: Outgoing | None = None
) -> Outcome:
    """Judge a reply and put together what is recorded of it."""
    verdict = judge(reply, attempts=claimed.attempt_number - claimed.attempts_before, policy=endpoint.policy, now=now)
    done = Done(
        claimed=claimed,
        at=now,
        status=verdict.status,
        due_at=verdict.due_at,
        duration_ms=reply.duration_ms,
        response_status=reply.status,
        error_class=verdict.error_class,
        error=reply.detail[:500] or None,
        request_headers=kept_headers(endpoint, request) if request else {},
        response_headers=reply.headers,
        response_body=reply.body,
        timing={**reply.timing, "truncated": True} if reply.truncated else reply.timing,
    )
    return Outcome(endpoint=endpoint, done=done, verdict=verdict)


def without_retry(outcome: Outcome) -> Outcome:
    """Return the outcome of an attempt that is over whatever it came to, as a test's is."""
    success = outcome.done.status is DeliveryStatus.SUCCESS
    status = DeliveryStatus.SUCCESS if success else DeliveryStatus.FAILED
    return replace(outcome, done=replace(outcome.done, status=status, due_at=None))


def record(outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write attempts, deliveries and what follows for the webhooks."""
    queue.record([each.done for each in outcomes])
    dead = Counter(each.done.claimed.organization_id for each in outcomes if each.done.status is DeliveryStatus.DEAD)
    if dead:
        dead_letter_counts.add(dead, now)
    by_webhook: dict[uuid.UUID, list[Outcome]] = {}
    for each in outcomes:
        if each.done.error_class == INTERNAL:
            continue  # says nothing about the receiver
        by_webhook.setdefault(each.endpoint.webhook_id, []).append(each)
    for webhook_id in sorted(by_webhook):  # always in the same order, so that two processes cannot wait for each other
        _note(webhook_id, by_webhook[webhook_id], now)


def record_singly(outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write each outcome by itself, so that one that does not fit holds back no other. Owns its transactions.

    Such is one that was written before by a commit whose answer got lost, or whose delivery is not there any more.
    """
    for each in outcomes:
        try:
            with unit_of_work():
                record([each], now)
        except IntegrityError:
            log.warning("an attempt of delivery %s does not fit what is stored", each.done.claimed.delivery_id)


def _note(webhook_id: uuid.UUID, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Keep on the webhook how it does; the last attempt of the batch decides."""
    last = outcomes[-1]
    pauses = [each.verdict.pause_until for each in outcomes if each.verdict.pause_until]
    if pauses:
        _set(webhook_id, paused_until=max(pauses))
    if any(each.verdict.status is DeliveryStatus.SUCCESS for each in outcomes):
        _succeeded(webhook_id, now)
    if last.verdict.status is not DeliveryStatus.SUCCESS:
        _failed(webhook_id, now)
    reason = next((each.verdict.disables for each in outcomes if each.verdict.disables), "")
    if reason:
        failing.disable(webhook_id, reason)
    elif last.endpoint.failing_since and now - last.endpoint.failing_since >= GIVES_UP_AFTER:
        failing.disable_where_due(webhook_id, now)


def _set(webhook_id: uuid.UUID, **values: object) -> None:
    db.session.execute(
        update(Webhook).where(Webhook.id == webhook_id).values(**values),
        execution_options={"synchronize_session": False},
    )


_SUCCEEDED: Final = Prepared(
    update(Webhook)
    .where(
        Webhook.id == bindparam("of"),
        or_(
            Webhook.failing_since.is_not(None),
            Webhook.last_success_at.is_(None),
            Webhook.last_success_at < bindparam("noted", type_=Webhook.last_success_at.type),
        ),
    )
    .values(last_success_at=bindparam("at"), failing_since=null(), warned_percent=null())
)


def _succeeded(webhook_id: uuid.UUID, now: datetime) -> None:
    _SUCCEEDED.many([{"of": webhook_id, "noted": now - NOTED_EVERY, "at": now}])


def _failed(webhook_id: uuid.UUID, now: datetime) -> None:
    stale = or_(
        Webhook.failing_since.is_(None),
        Webhook.last_failure_at.is_(None),
        Webhook.last_failure_at < now - NOTED_EVERY,
    )
    since = func.coalesce(Webhook.failing_since, literal(now, Webhook.failing_since.type))
    db.session.execute(
        update(Webhook).where(Webhook.id == webhook_id, stale).values(failing_since=since, last_failure_at=now),
        execution_options={"synchronize_session": False},
    )
