"""Who gets the messages of a channel right now, or why nobody does."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portal.accounts import members
from portal.alerts.notification_models import AlertChannel, Audience, ChannelKind
from portal.database import db
from portal.integrations.models import Integration, Status
from portal.providers.addresses import BadEmail, ascii_email

MOST: Final = 200
"""Recipients of one channel."""
NOBODY: Final = {
    Audience.ADMINS: "There is no owner or admin who can sign in.",
    Audience.MEMBERS: "None of the chosen members is a member any more.",
    Audience.OPTED_IN: "No member asked for text messages.",
}


@dataclass(frozen=True)
class Reach:
    """Where the messages of a channel go; `reason` says why they go nowhere."""

    addresses: Sequence[str] = ()
    reason: str = ""


def of(channel: AlertChannel) -> Reach:
    """Return who gets the messages of a channel right now."""
    if channel.kind == ChannelKind.CHAT:
        return _place(channel)
    found = list(dict.fromkeys(filter(_can_be_sent_to, _addresses(channel))))[:MOST]
    return Reach(found) if found else Reach(reason=NOBODY.get(Audience(channel.audience), "It has no recipients."))


def avoided(channel: AlertChannel, failing: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Return the integrations that a message must not travel through: those it is about.

    Others in error carry nothing as long as they are, and may once they work again.

    Args:
        channel: which; a chat channel has no choice, so that it is skipped instead.
        failing: integrations of the alerts that the message tells of.
    """
    return set() if channel.kind == ChannelKind.CHAT else set(failing)


def _addresses(channel: AlertChannel) -> list[str]:
    organization_id = channel.organization_id
    if channel.kind == ChannelKind.SMS:
        return [each.phone for each in members.wanting_texts(organization_id=organization_id)]
    if channel.audience == Audience.ADDRESSES:
        return channel.addresses
    if channel.audience == Audience.ADMINS:
        return [each.email for each in members.admins(organization_id=organization_id)]
    chosen = [uuid.UUID(each) for each in channel.member_ids]
    return [each.email for each in members.of_ids(organization_id=organization_id, user_ids=chosen)]


def _can_be_sent_to(address: str) -> bool:
    """Return whether an address can be written to; sign-in names may have letters that mail servers do not take."""
    if "@" not in address:
        return True
    try:
        return bool(ascii_email(address))
    except BadEmail:
        return False


def _place(channel: AlertChannel) -> Reach:
    integration = db.session.get(Integration, channel.integration_id) if channel.integration_id else None
    if integration is None or integration.deleted_at is not None:
        return Reach(reason="Its chat integration was deleted.")
    if not integration.enabled:
        return Reach(reason=f"{integration.name} is disabled.")
    if integration.status == Status.ERROR:
        return Reach(reason=f"{integration.name} is in error. Email channels are told about it instead.")
    return Reach([integration.name])
