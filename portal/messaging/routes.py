"""Pages of the messages: the log, one message with its tries, sending one again, taking one out of the queue."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import unit_of_work
from portal.integrations import queries as integrations
from portal.messaging import presenting, queries, service
from portal.messaging.channels import WAYS
from portal.messaging.errors import NotFoundError, NotNowError
from portal.messaging.models import Message
from portal.messaging.queries import MessageFilters
from portal.web import errors
from portal.web.access import Who, allow, identity
from portal.web.listing import Growing, chosen_filters, counted, midnight
from portal.web.render import (
    add_toast,
    came_from,
    go_to,
    is_shown,
    nothing_new,
    page,
    trigger,
    version_of,
    wants_fragment,
)

blueprint = Blueprint("messages", __name__, url_prefix="/admin/messages")
CALM: Final = 30
LIVELY: Final = 2
"""Seconds between two looks at what does not change by itself, and at what is on its way."""
CHANGED: Final = "messages-changed"
"""Event that makes the pages fetch themselves anew."""
WINDOWS: Final = {"24h": ("Last 24 hours", 1), "7d": ("Last 7 days", 7), "30d": ("Last 30 days", 30)}
"""Window of time → its name, days."""
OFFERED: Final = {
    "channel": {str(channel): way.label for channel, way in WAYS.items()},
    "status": {key: word for key, (word, _) in presenting.FILTERS.items()},
    "time": {key: label for key, (label, _) in WINDOWS.items()},
}
CHOICES: Final = {name: [("", f"Any {name}"), *values.items()] for name, values in OFFERED.items()}


@blueprint.app_errorhandler(NotFoundError)
def _not_found(_error: NotFoundError) -> Response:
    return errors.answer(404, text="Messages are kept for 90 days, or the address is mistyped.")


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the messages that the filters leave, newest first."""
    organization_id, chosen = identity().organization_id, chosen_filters(OFFERED)
    filters, rows = _filters(chosen), Growing.asked_for(url_for("messages.index"), chosen, page=queries.PAGE)
    try:
        found = queries.listed(organization_id=organization_id, filters=filters, cursor=rows.cursor, limit=rows.shown)
    except ValueError:
        abort(404)
    total = queries.count(organization_id=organization_id, filters=filters)
    names = _names(found.items)
    version = version_of(rows, found, names, total)
    if is_shown(version):
        return nothing_new()
    return page(
        "messaging/messages.html",
        block="list" if request.headers.get("HX-Target") == "messages" else "main",
        messages=found.items,
        names=names,
        version=version,
        every=LIVELY if any(presenting.is_being_sent(each) for each in found.items) else CALM,
        here=rows.here,
        this_url=rows.url,
        next_url=rows.older_url(found.next_cursor),
        total=counted(total),
        any_filter=any(chosen.values()),
        chosen=chosen,
        choices=CHOICES,
        show=presenting,
    )


@blueprint.get("/<uuid:message_id>")
@allow(Who.ADMIN)
def detail(message_id: uuid.UUID) -> Response:
    """Show one message: what it says, how it stands, who was tried and what they answered."""
    message = service.get(organization_id=identity().organization_id, message_id=message_id)
    tries, names = queries.tries(message), _names([message])
    version = version_of(message, tries, names)
    if is_shown(version):
        return nothing_new()
    return page(
        "messaging/message.html",
        block="update" if request.headers.get("HX-Target") == "message" else "main",
        message=message,
        tries=tries,
        names=names,
        version=version,
        every=None if presenting.is_over(message) else LIVELY,
        show=presenting,
    )


@blueprint.post("/<uuid:message_id>/retry")
@allow(Who.ADMIN)
def retry(message_id: uuid.UUID) -> Response:
    """Send a message again that failed or is unconfirmed."""
    return _done(message_id, service.retry, "The message is queued again.", "info")


@blueprint.post("/<uuid:message_id>/cancel")
@allow(Who.ADMIN)
def cancel(message_id: uuid.UUID) -> Response:
    """Take a message out of the queue."""
    return _done(message_id, service.cancel, "The message is canceled.", "off")


def _done(message_id: uuid.UUID, do: Callable[..., Message], said: str, tone: str) -> Response:
    try:
        with unit_of_work():
            do(organization_id=identity().organization_id, message_id=message_id)
    except NotNowError as error:
        said, tone = str(error), "warn"
    if not wants_fragment():
        return go_to(came_from(url_for("messages.detail", message_id=message_id)), toast=said, tone=tone)
    return add_toast(trigger(Response(status=204), CHANGED), said, tone=tone)


def _names(messages: list[Message]) -> dict[uuid.UUID, tuple[str, bool]]:
    ids = {each for message in messages for each in (message.integration_id, message.pinned_integration_id) if each}
    return integrations.names(organization_id=identity().organization_id, ids=ids)


def _filters(chosen: dict[str, str]) -> MessageFilters:
    since, until = midnight(chosen["since"]), midnight(chosen["until"], days=1)
    if chosen["time"]:
        start = clock.now() - timedelta(days=WINDOWS[chosen["time"]][1])
        since = max(since, start) if since else start
    return MessageFilters(
        channel=chosen["channel"],
        statuses=presenting.FILTERS[chosen["status"]][1] if chosen["status"] else (),
        text=chosen["q"],
        since=since,
        until=until,
    )
