"""Who is told of the demo's alerts, and what was told: written by the portal's own job, the answers made up."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from portal import clock
from portal.alerts import channels, notifying, preferences
from portal.alerts.channels import Draft
from portal.alerts.notification_models import AlertNotice, Audience, ChannelKind, Minimum, Mode
from portal.alerts.preferences import Preferences
from portal.database import db, new_id, reading, unit_of_work
from portal.integrations.models import Integration
from portal.messaging import carriers
from portal.messaging.models import WAITING, Message, MessageStatus, MessageTry
from portal.providers.base import Outcome

QUIET: Final = Preferences(quiet_from="21:00", quiet_to="07:00")
TOOK_MS: Final = {"sendgrid": 240, "twilio": 310, "slack": 180, "teams": 420, "smtp": 650}
BUSY: Final = "{name} did not take the message: its server has a problem of its own."
SENT: Final = timedelta(seconds=1)
"""So long after they are queued messages are sent."""
SELDOM: Final = 0.12
"""Share of messages that the first provider did not take, so that the next one did."""


def set_up(*, organization_id: uuid.UUID, slack: uuid.UUID | None, teams: uuid.UUID | None) -> None:
    """Make the channels. Owns its transaction.

    Args:
        organization_id: whose.
        slack: the integration for everything.
        teams: the integration for critical alerts.
    """
    with unit_of_work():
        preferences.locked(organization_id)
        preferences.change(organization_id=organization_id, wanted=QUIET)
        for draft in _drafts(slack, teams):
            channels.create(organization_id=organization_id, draft=draft)


def _drafts(slack: uuid.UUID | None, teams: uuid.UUID | None) -> Iterator[Draft]:
    yield Draft(kind=ChannelKind.SMS, name="On call")
    if slack:
        yield Draft(kind=ChannelKind.CHAT, name="Operations in Slack", integration_id=str(slack))
    if teams:
        only = Minimum.CRITICAL
        yield Draft(kind=ChannelKind.CHAT, name="Branch office in Teams", integration_id=str(teams), minimum=only)
    daily = Draft(name="Front desk, each morning", mode=Mode.DIGEST, digest_at="08:30")
    yield replace(daily, audience=Audience.ADDRESSES, addresses=("desk@northline.example",))


def tell(*, organization_id: uuid.UUID, since: datetime, until: datetime) -> None:
    """Tell all that there is to tell between two moments. Owns its transactions."""
    moment: datetime | None = since
    while moment is not None and moment < until:
        with clock.at(moment):
            notifying.attend(organization_id)
        with clock.at(moment + SENT), unit_of_work():
            _send_all(organization_id)
        moment = _next(organization_id)


def _next(organization_id: uuid.UUID) -> datetime | None:
    with reading() as session:
        due = select(func.min(AlertNotice.due_at)).where(AlertNotice.organization_id == organization_id)
        return session.scalar(due)


def _send_all(organization_id: uuid.UUID) -> None:
    """Let the providers take what waits. The sandbox, which may not run yet, is not asked."""
    mine = (Message.organization_id == organization_id, Message.status.in_(WAITING), Message.error_code.is_(None))
    for message in db.session.scalars(select(Message).where(*mine).order_by(Message.id)).all():
        _send(message)
        db.session.flush()


def _send(message: Message) -> None:
    chance = random.Random(f"{message.to_address} {message.subject} {message.text}")  # noqa: S311 - made up, the same at each run
    choice = carriers.choose(message, tried=())
    if choice.carrier is None:
        message.error_code, message.error_message = choice.code, choice.words
        return
    carrier = choice.carrier
    if chance.random() < SELDOM and (second := carriers.choose(message, tried=[carrier.id]).carrier):
        _try(message, carrier, chance, taken=False)
        carrier = second
    _try(message, carrier, chance, taken=True)


def _try(message: Message, carrier: Integration, chance: random.Random, *, taken: bool) -> None:
    now, took = clock.now(), round(chance.lognormvariate(0, 0.3) * TOOK_MS.get(carrier.provider, 300))
    message.tries, message.integration_id = message.tries + 1, carrier.id
    db.session.add(MessageTry(
        id=new_id(), message_id=message.id, number=message.tries, integration_id=carrier.id,
        integration_name=carrier.name, provider=carrier.provider, started_at=now, duration_ms=took,
        outcome=Outcome.OK if taken else Outcome.PROVIDER_ERROR, code="" if taken else "503",
        message="" if taken else BUSY.format(name=carrier.name),
    ))  # fmt: skip
    if taken:
        message.status, message.sent_at, message.due_at = MessageStatus.SENT, now + timedelta(milliseconds=took), None
