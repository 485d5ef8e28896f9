"""Pages of the notification channels: list with settings, a drawer to add and edit one, test, switch, delete."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal.accounts import members
from portal.accounts import service as accounts
from portal.alerts import channel_forms, channels, notification_queries, notification_words, preferences, tabs
from portal.alerts.channels import AUDIENCES, LABELS, Draft
from portal.alerts.notification_errors import ChannelNotFound, Invalid
from portal.alerts.notification_models import Audience, ChannelKind, Minimum, Mode
from portal.database import unit_of_work
from portal.web import errors
from portal.web.access import Who, allow, identity
from portal.web.filters import plural
from portal.web.render import add_toast, go_to, page, trigger, wants_fragment

blueprint = Blueprint("alert_channels", __name__, url_prefix="/admin/alerts/channels")
CHANGED: Final = "channels-changed"
"""Event that makes the list fetch itself anew."""
CALM, LIVELY = 30, 2
"""Seconds between two looks at what does not change by itself, and at messages on their way."""
EMAIL_AUDIENCES: Final = [
    (Audience.ADMINS, "Owners and admins"), (Audience.MEMBERS, "Chosen members"), (Audience.ADDRESSES, "Addresses"),
]  # fmt: skip
CHOICES: Final = {
    "audience": EMAIL_AUDIENCES,
    "minimum": [(Minimum.ALL, "All alerts"), (Minimum.CRITICAL, "Critical ones")],
    "mode": [(Mode.AT_ONCE, "At once"), (Mode.DIGEST, "Once a day")],
}


@blueprint.app_errorhandler(ChannelNotFound)
def _not_found(_error: ChannelNotFound) -> Response:
    return errors.answer(404)


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the channels, and when they tell."""
    return _index()


def _index(*, typed: Mapping[str, Any] | None = None, wrong: Mapping[str, str] | None = None) -> Response:
    organization_id = identity().organization_id
    preferences.ensure(organization_id)
    found = channels.listed(organization_id=organization_id)
    last = notification_queries.last_of(found)
    shown = typed or _settings(preferences.of(organization_id))
    return page(
        "alerts/channels.html",
        block="list" if request.headers.get("HX-Target") == "channels" else "main",
        status=422 if wrong else 200,
        channels=found,
        last=last,
        names=notification_words.names(organization_id, found),
        missing=notification_words.missing(organization_id, found),
        every=LIVELY if any(each.under_way for each in last.values()) else CALM,
        kinds=_kinds(organization_id),
        tabs_shown=tabs.shown(organization_id, tabs.CHANNELS),
        show=notification_words,
        typed=shown,
        errors=wrong or {},
        reminders=_reminders(str(shown["reminder_minutes"] or "")),
        zone=accounts.time_zone_of(organization_id),
    )


def _settings(stored: preferences.Preferences) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in asdict(stored).items()}


def _reminders(current: str) -> list[tuple[str, str]]:
    """Return the intervals that are offered; one that came by the API stays."""
    found = list(notification_words.REMINDERS.items())
    known = current in notification_words.REMINDERS or not current.isdecimal()
    return found if known else [*found, (current, f"Every {plural(int(current), 'minute')}")]


def _kinds(organization_id: uuid.UUID) -> list[tuple[str, str]]:
    """Return the kinds of channel that can be added."""
    able = channels.chats(organization_id=organization_id)
    return [(kind, label) for kind, label in LABELS.items() if kind is not ChannelKind.CHAT or able]


@blueprint.post("/settings")
@allow(Who.ADMIN)
def save_settings() -> Response:
    """Store reminders, group wait and quiet hours."""
    try:
        wanted = channel_forms.preferences(request.form)
        with unit_of_work():
            preferences.change(organization_id=identity().organization_id, wanted=wanted)
    except Invalid as error:
        names = ("reminder_minutes", "group_wait_seconds", "quiet_from", "quiet_to", "critical_passes")
        return _index(typed={name: request.form.get(name, "") for name in names}, wrong=error.errors)
    return go_to(url_for("alert_channels.index"), toast="Notification settings saved.")


@blueprint.get("/new")
@allow(Who.ADMIN)
def new() -> Response:
    """Open the drawer of a new channel."""
    kind = _kind(request.args.get("kind", ""))
    chats = channels.chats(organization_id=identity().organization_id)
    first = str(chats[0].id) if chats and kind is ChannelKind.CHAT else ""
    return _drawer(Draft(kind=kind, audience=AUDIENCES[kind][0], integration_id=first))


@blueprint.post("/new")
@allow(Who.ADMIN)
def create() -> Response:
    """Add a channel."""
    draft = channel_forms.draft(request.form, kind=_kind(request.form.get("kind", "")))
    try:
        with unit_of_work():
            channels.create(organization_id=identity().organization_id, draft=draft)
    except Invalid as error:
        return _drawer(draft, wrong=error.errors)
    return _saved("Channel added.")


@blueprint.get("/<uuid:channel_id>/edit")
@allow(Who.ADMIN)
def edit_form(channel_id: uuid.UUID) -> Response:
    """Open the drawer of a channel."""
    row = channels.get(organization_id=identity().organization_id, channel_id=channel_id)
    return _drawer(channels.draft_of(row), channel_id=channel_id)


@blueprint.post("/<uuid:channel_id>/edit")
@allow(Who.ADMIN)
def edit(channel_id: uuid.UUID) -> Response:
    """Change a channel."""
    organization_id = identity().organization_id
    draft = Draft()
    try:
        with unit_of_work():
            stored = channels.get(organization_id=organization_id, channel_id=channel_id)
            draft = channel_forms.draft(request.form, kind=stored.kind)
            channels.change(organization_id=organization_id, channel_id=channel_id, draft=draft)
    except Invalid as error:
        return _drawer(draft, channel_id=channel_id, wrong=error.errors)
    return _saved("Channel saved.")


@blueprint.post("/<uuid:channel_id>/switch")
@allow(Who.ADMIN)
def switch(channel_id: uuid.UUID) -> Response:
    """Switch a channel on or off."""
    organization_id, on = identity().organization_id, request.form.get("enabled") == "on"
    with unit_of_work():
        row = channels.get(organization_id=organization_id, channel_id=channel_id)
        draft = channels.draft_of(row, enabled=on)
        name = row.name
        try:
            channels.change(organization_id=organization_id, channel_id=channel_id, draft=draft)
        except Invalid as error:
            said, tone = str(error), "err"
        else:
            said, tone = f"{name} is {'on' if on else 'off'}.", "ok" if on else "off"
    return _done(said, tone)


@blueprint.post("/<uuid:channel_id>/test")
@allow(Who.ADMIN)
def send_test(channel_id: uuid.UUID) -> Response:
    """Send a real message to everybody whom a channel reaches."""
    who = identity()
    with unit_of_work():
        sent = channels.test(organization_id=who.organization_id, channel_id=channel_id, asked_by=who.name)
        reason, count = sent.skipped, sent.recipients
    if reason:
        return _done(f"Nobody can be told. {reason}", "err")
    return _done(f"The test is on its way to {plural(count, 'recipient')}.", "info")


@blueprint.post("/<uuid:channel_id>/delete")
@allow(Who.ADMIN)
def delete(channel_id: uuid.UUID) -> Response:
    """Delete a channel."""
    with unit_of_work():
        name = channels.delete(organization_id=identity().organization_id, channel_id=channel_id)
    return _done(f"{name} is deleted.", "off")


def _kind(text: str) -> ChannelKind:
    if text not in LABELS:
        abort(404)
    return ChannelKind(text)


def _drawer(draft: Draft, *, channel_id: uuid.UUID | None = None, wrong: Mapping[str, str] | None = None) -> Response:
    """Render the drawer, as a fragment or as a page of its own."""
    organization_id = identity().organization_id
    return page(
        "alerts/channel_drawer.html",
        block="drawer",
        status=422 if wrong else 200,
        kind=draft.kind,
        kind_label=LABELS[ChannelKind(draft.kind)],
        typed=channel_forms.typed(draft),
        channel_id=channel_id,
        errors=wrong or {},
        choices=CHOICES,
        members=[
            (str(each.user_id), each.name, each.email) for each in members.listed(organization_id=organization_id)
        ],
        wanting=len(members.wanting_texts(organization_id=organization_id)),
        chats=[(str(each.id), each.name) for each in channels.chats(organization_id=organization_id)],
        zone=accounts.time_zone_of(organization_id),
        alone=not wants_fragment() or request.form.get("alone") == "1",
    )


def _members(organization_id: uuid.UUID) -> list[tuple[str, str, str]]:
    found = members.listed(organization_id=organization_id)
    return [(str(each.user_id), each.name, each.email) for each in found]


def _saved(said: str) -> Response:
    """Close the drawer over the list; where it stood alone, go there."""
    if not wants_fragment() or request.form.get("alone") == "1":
        return go_to(url_for("alert_channels.index"), toast=said)
    return add_toast(trigger(trigger(Response(status=204), "drawer-close"), CHANGED), said)


def _done(said: str, tone: str) -> Response:
    if not wants_fragment():
        return go_to(url_for("alert_channels.index"), toast=said, tone=tone)
    return add_toast(trigger(Response(status=204), CHANGED), said, tone=tone)
