"""Which integration carries a message next: the order of providers, who is left out, limits and pauses."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, case, func, select

from portal import clock
from portal.accounts.models import Organization
from portal.database import db
from portal.integrations import usage
from portal.integrations.models import Integration, Status
from portal.messaging.channels import WAYS
from portal.messaging.models import Channel, Message, MessageTry

MOST: Final = 50
"""Carriers that are looked at for one message."""
NOBODY: Final = "no_provider"
"""Code of a message that no integration can carry."""
LIMIT: Final = "limit_reached"
"""Code of a message that waits until a carrier may send again."""


@dataclass(frozen=True)
class Choice:
    """Who carries a message next, or why nobody does right now.

    Attributes:
        carrier: the integration, its row locked.
        free_at: without a carrier, when the first of those that must not send right now may.
        code, words: without a carrier, why.
        final: waiting changes nothing.
    """

    carrier: Integration | None = None
    free_at: datetime | None = None
    code: str = ""
    words: str = ""
    final: bool = False


def choose(message: Message, *, tried: Collection[uuid.UUID]) -> Choice:
    """Return who carries a message next. The transaction that asks must go on to send, or roll back.

    Failover's order and its tripped providers belong in here.

    Args:
        message: which.
        tried: who failed already in this round.
    """
    waits: list[tuple[datetime, str]] = []
    candidates, capability = _candidates(message, tried), WAYS[message.channel].capability
    for each in db.session.scalars(candidates).all():
        if capability not in each.capabilities:
            continue
        # Looked at before it is locked: who holds one that must not send, and waits for the next, may be waited for.
        held = _held_back(each)
        if held is None:
            locked = _locked(candidates, each.id)
            if locked is None:
                continue
            held = _held_back(locked)  # limits are counted by one at a time
            if held is None:
                return Choice(locked)
        waits.append(held)
    if waits:
        free_at, words = min(waits)
        return Choice(free_at=free_at, code=LIMIT, words=words)
    return _nobody(message)


def _candidates(message: Message, tried: Collection[uuid.UUID]) -> Select[Integration]:
    """Return the query of those who may carry it, best first."""
    way = WAYS[message.channel]
    slugs, left_out = way.slugs(), [*map(uuid.UUID, message.avoid), *tried]
    query = _able(message.organization_id, message.channel).where(Integration.enabled)
    if message.pinned_integration_id:
        query = query.where(Integration.id == message.pinned_integration_id)
    else:
        query = query.where(Integration.status == Status.ACTIVE)
    if left_out:
        query = query.where(Integration.id.not_in(left_out))
    places = {slug: place for place, slug in enumerate(slugs)}
    place = case(places, value=Integration.provider, else_=len(slugs)) if slugs else Integration.provider
    return query.order_by(place, Integration.name_key, Integration.id).limit(MOST)


def _locked(candidates: Select[Integration], integration_id: uuid.UUID) -> Integration | None:
    """Return a candidate, locked, if it still is one."""
    lock = candidates.where(Integration.id == integration_id).with_for_update(key_share=True)
    found: Integration | None = db.session.scalar(lock.execution_options(populate_existing=True))
    return found


def _able(organization_id: uuid.UUID, channel: Channel) -> Select[Integration]:
    return select(Integration).where(
        Integration.organization_id == organization_id,
        Integration.provider.in_(WAYS[channel].slugs()),
        Integration.deleted_at.is_(None),
    )


def _held_back(integration: Integration) -> tuple[datetime, str] | None:
    """Return until when an integration must not send, and why; None where it may."""
    now = clock.now()  # a pause that begins later is from before the clock was set back
    pauses = (MessageTry.integration_id == integration.id, MessageTry.retry_at > now, MessageTry.started_at <= now)
    paused = db.session.scalar(select(func.max(MessageTry.retry_at)).where(*pauses))
    if paused:
        return paused, f"{integration.name} was asked by its provider to slow down."
    return _over_limit(integration)


def _over_limit(integration: Integration) -> tuple[datetime, str] | None:
    if not integration.max_per_hour and not integration.max_per_day:
        return None
    today, tomorrow = _day(integration.organization_id)
    used = usage.of(integration.id, day_starts=today)
    if integration.max_per_day and used.day >= integration.max_per_day:
        return tomorrow, f"{integration.name} has sent all that it may send today ({integration.max_per_day:,})."
    if integration.max_per_hour and used.hour >= integration.max_per_hour:
        next_hour = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return next_hour, f"{integration.name} has sent all that it may send this hour ({integration.max_per_hour:,})."
    return None


def _day(organization_id: uuid.UUID) -> tuple[datetime, datetime]:
    """Return when the day started where the organization is, and when the next one does."""
    zone = db.session.scalar(select(Organization.time_zone).where(Organization.id == organization_id))
    return usage.day_of(zone or "UTC")


def _nobody(message: Message) -> Choice:
    way = WAYS[message.channel]
    if message.pinned_integration_id:
        pinned = db.session.get(Integration, message.pinned_integration_id)
        gone = pinned is None or pinned.deleted_at is not None
        words = "deleted" if gone else "disabled"
        return Choice(code=NOBODY, words=f"The integration that was to send it is {words}.", final=gone)
    live = set(db.session.scalars(_able(message.organization_id, message.channel).with_only_columns(Integration.id)))
    if not live:
        return Choice(code=NOBODY, words=f"No {way.provider} configured.")
    if live <= {uuid.UUID(each) for each in message.avoid}:
        return Choice(code=NOBODY, words=f"No {way.provider} configured beside the one that this message is about.")
    return Choice(code=NOBODY, words=f"No {way.provider} is active: each is disabled, unverified or in error.")
