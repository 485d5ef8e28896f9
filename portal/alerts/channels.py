"""Notification channels as people keep them: list, make, change, delete. Plain services, audited."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select

from portal import clock
from portal.accounts import members, values
from portal.accounts import service as accounts
from portal.alerts import plans, preferences, quiet, telling
from portal.alerts.notification_errors import ChannelNotFound, Invalid
from portal.alerts.notification_models import (
    AlertChannel,
    AlertSettings,
    Audience,
    ChannelKind,
    Minimum,
    Mode,
    Notification,
)
from portal.audit import trail
from portal.database import db, wake_after_commit
from portal.integrations.models import Integration
from portal.providers.addresses import BadEmail, ascii_email
from portal.providers.base import Capability
from portal.security.redaction import strip_controls

MOST: Final = 50
"""Channels of one organization."""
MOST_ADDRESSES: Final = 20
LONGEST_NAME: Final = 100
LABELS: Final = {ChannelKind.EMAIL: "Email", ChannelKind.SMS: "SMS", ChannelKind.CHAT: "Chat"}
AUDIENCES: Final = {
    ChannelKind.EMAIL: (Audience.ADMINS, Audience.MEMBERS, Audience.ADDRESSES),
    ChannelKind.SMS: (Audience.OPTED_IN,),
    ChannelKind.CHAT: (Audience.PLACE,),
}
"""Kind of channel → who may get its messages; the first is what it has by itself."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A channel as somebody wants it."""

    kind: str = ChannelKind.EMAIL
    name: str = ""
    audience: str = ""
    member_ids: Sequence[str] = ()
    addresses: Sequence[str] = ()
    integration_id: str = ""
    minimum: str = Minimum.ALL
    mode: str = Mode.AT_ONCE
    digest_at: str = "08:00"
    enabled: bool = True


def listed(*, organization_id: uuid.UUID) -> Sequence[AlertChannel]:
    """Return all channels, in the order in which they were made."""
    return plans.channels_of(organization_id)


def get(*, organization_id: uuid.UUID, channel_id: uuid.UUID) -> AlertChannel:
    """Return one channel.

    Raises:
        ChannelNotFound: the organization has none with this id.
    """
    mine = (AlertChannel.organization_id == organization_id, AlertChannel.id == channel_id)
    found = db.session.scalar(select(AlertChannel).where(*mine))
    if found is None:
        raise ChannelNotFound
    return found


def chats(*, organization_id: uuid.UUID) -> Sequence[Integration]:
    """Return the integrations that a chat channel can go through, by name."""
    live = (Integration.organization_id == organization_id, Integration.deleted_at.is_(None))
    found = db.session.scalars(select(Integration).where(*live).order_by(Integration.name_key, Integration.id))
    return [each for each in found if Capability.CHAT in each.capabilities]


def draft_of(channel: AlertChannel, **changes: Any) -> Draft:
    """Return a stored channel as a draft, with changes."""
    draft = Draft(
        kind=channel.kind, name=channel.name, audience=channel.audience, member_ids=channel.member_ids,
        addresses=channel.addresses, integration_id=str(channel.integration_id or ""), minimum=channel.minimum,
        mode=channel.mode, digest_at=channel.digest_at, enabled=channel.enabled,
    )  # fmt: skip
    return replace(draft, **changes)


def create(*, organization_id: uuid.UUID, draft: Draft) -> AlertChannel:
    """Add a channel. It is told of what is open already, and of what happens from now on.

    Raises:
        Invalid: a value will not do.
    """
    settings = preferences.locked(organization_id)
    values_ = _checked(organization_id, draft)
    if len(listed(organization_id=organization_id)) >= MOST:
        raise Invalid({"name": f"There are {MOST} channels already. Delete one first."})
    now = clock.now()
    channel = AlertChannel(organization_id=organization_id, created_at=now, updated_at=now, **values_)
    db.session.add(channel)
    db.session.flush()
    _note("alert.channel_created", channel, after=_shown(channel))
    _plan_anew(settings)
    return channel


def change(*, organization_id: uuid.UUID, channel_id: uuid.UUID, draft: Draft) -> AlertChannel:
    """Change a channel; its kind stays.

    Raises:
        ChannelNotFound: the organization has none with this id.
        Invalid: a value will not do.
    """
    settings = preferences.locked(organization_id)
    channel = get(organization_id=organization_id, channel_id=channel_id)
    wanted = replace(draft, kind=channel.kind)
    # What a channel had when it was stored may be gone by now, such as its chat: it can be switched off all the same.
    is_off = wanted == draft_of(channel, enabled=False)
    values_ = {"enabled": False} if is_off else _checked(organization_id, wanted)
    before = _shown(channel)
    for name, value in values_.items():
        setattr(channel, name, value)
    after = _shown(channel)
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        channel.updated_at = clock.now()
        db.session.flush()
        _note(
            "alert.channel_changed", channel,
            before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
        )  # fmt: skip
        _plan_anew(settings)
    return channel


def delete(*, organization_id: uuid.UUID, channel_id: uuid.UUID) -> str:
    """Delete a channel; what it was told stays in the log. Returns its name.

    Raises:
        ChannelNotFound: the organization has none with this id.
    """
    preferences.locked(organization_id)
    channel = get(organization_id=organization_id, channel_id=channel_id)
    _note("alert.channel_deleted", channel, before=_shown(channel))
    db.session.delete(channel)
    db.session.flush()
    return channel.name


def _plan_anew(settings: AlertSettings) -> None:
    plans.plan_unresolved(settings)
    wake_after_commit(plans.WAKE)


def _checked(organization_id: uuid.UUID, draft: Draft) -> dict[str, Any]:
    """Return the columns of a channel.

    Raises:
        Invalid: a value will not do.
    """
    if draft.kind not in LABELS:
        raise Invalid({"kind": "Choose email, SMS or chat."})
    kind, errors = ChannelKind(draft.kind), dict[str, str]()
    audience = draft.audience or AUDIENCES[kind][0]
    if audience not in AUDIENCES[kind]:
        errors["audience"] = "Choose who gets the messages."
    if draft.minimum not in list(Minimum):
        errors["minimum"] = "Choose all alerts or critical ones."
    if draft.mode not in list(Mode):
        errors["mode"] = "Choose at once or once a day."
    if draft.mode == Mode.DIGEST and not quiet.is_time(draft.digest_at):
        errors["digest_at"] = "Enter a time such as 08:00."
    found = {
        "member_ids": _members(organization_id, draft, errors) if audience == Audience.MEMBERS else [],
        "addresses": _addresses(draft, errors) if audience == Audience.ADDRESSES else [],
        "integration_id": _integration(organization_id, draft, errors) if kind is ChannelKind.CHAT else None,
        "name": _name(draft, kind, errors),
    }
    if errors:
        raise Invalid(errors)
    # Members agreed to be texted about critical alerts, and to nothing else.
    minimum = Minimum.CRITICAL if kind is ChannelKind.SMS else draft.minimum
    digest_at = draft.digest_at if quiet.is_time(draft.digest_at) else "08:00"
    return found | {
        "kind": kind, "audience": audience, "minimum": minimum, "mode": draft.mode, "digest_at": digest_at,
        "enabled": bool(draft.enabled),
    }  # fmt: skip


def _name(draft: Draft, kind: ChannelKind, errors: dict[str, str]) -> str:
    try:
        return values.name(strip_controls(draft.name, keep="") or LABELS[kind])
    except ValueError as error:
        errors["name"] = str(error)
        return ""


def _members(organization_id: uuid.UUID, draft: Draft, errors: dict[str, str]) -> list[str]:
    wanted = {each for text in draft.member_ids if (each := _id(text))}
    found = [str(each.user_id) for each in members.of_ids(organization_id=organization_id, user_ids=wanted)]
    if not found:
        errors["member_ids"] = "Choose at least one member."
    return found


def _addresses(draft: Draft, errors: dict[str, str]) -> list[str]:
    found: dict[str, None] = {}
    for text in draft.addresses:
        if not text.strip():
            continue
        try:
            address = values.email(text)
            ascii_email(address)
        except (ValueError, BadEmail):
            shown = strip_controls(text, keep="").strip()[:80]
            errors["addresses"] = f'"{shown}" is no email address. Write it like name@example.org.'
            return []
        found[address] = None
    if not found:
        errors["addresses"] = "Enter at least one email address."
    elif len(found) > MOST_ADDRESSES:
        errors["addresses"] = f"Enter at most {MOST_ADDRESSES} addresses, or add another channel."
    return list(found)


def _integration(organization_id: uuid.UUID, draft: Draft, errors: dict[str, str]) -> uuid.UUID | None:
    wanted = _id(draft.integration_id)
    if wanted not in {each.id for each in chats(organization_id=organization_id)}:
        errors["integration_id"] = "Choose a chat integration, such as Slack or Microsoft Teams."
    return wanted


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def _shown(channel: AlertChannel) -> dict[str, Any]:
    """Return a channel as the trail keeps it."""
    names = ("kind", "name", "audience", "member_ids", "addresses", "integration_id", "minimum", "mode", "enabled")
    found: dict[str, Any] = {name: getattr(channel, name) for name in names}
    found["integration_id"] = str(channel.integration_id) if channel.integration_id else None
    return found | {"digest_at": channel.digest_at if channel.mode == Mode.DIGEST else None}


def _note(action: str, channel: AlertChannel, **sides: Any) -> None:
    trail.record(
        action=action, organization_id=channel.organization_id, target_type="alert_channel", target_id=channel.id,
        target_name=channel.name, **sides,
    )  # fmt: skip


def test(*, organization_id: uuid.UUID, channel_id: uuid.UUID, asked_by: str) -> Notification:
    """Send a real message to everybody whom a channel reaches, switched on or not.

    Returns:
        The notification; `skipped` says why there is nobody to send to.

    Raises:
        ChannelNotFound: the organization has none with this id.
    """
    channel = get(organization_id=organization_id, channel_id=channel_id)
    zone = accounts.time_zone_of(organization_id)
    sent = telling.send_test(channel, zone=zone, asked_by=asked_by)
    _note("alert.channel_tested", channel, after={"recipients": sent.recipients})
    return sent
