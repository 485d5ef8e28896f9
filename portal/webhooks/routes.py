"""Pages of the webhooks: list, switch, deletion. The modules beside it add form, debugger and deliveries."""

import uuid

from flask import Blueprint, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import unit_of_work
from portal.security.redaction import strip_controls
from portal.web import errors
from portal.web.access import Who, allow, identity
from portal.web.render import add_toast, came_from, go_to, page, trigger, wants_fragment
from portal.webhooks import failing, presenting, queries, service
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import Webhook

blueprint = Blueprint("webhooks", __name__, url_prefix="/admin")
CHANGED = "webhooks-changed"
"""Event that makes lists and the debugger's head fetch themselves anew."""
DELIVERED = "deliveries-changed"
"""Event that makes lists of deliveries fetch themselves anew."""
PAGE = 25
CALM, LIVELY = 10, 2
"""Seconds between two looks of an open page: while nothing happens, and while a delivery is under way."""


@blueprint.app_errorhandler(NotFoundError)
def _not_found(_error: NotFoundError) -> Response:
    return errors.answer(404, text="It may have been deleted, or the address is mistyped.")


@blueprint.get("/webhooks")
@allow(Who.ADMIN)
def index() -> Response:
    """List the webhooks with how their deliveries go."""
    text = strip_controls(request.args.get("q", "")).strip()[:100]
    found = service.listed(organization_id=identity().organization_id)
    matching = [each for each in found if text.casefold() in f"{each.name} {each.url}".casefold()]
    number = _page_number(len(matching))
    shown = matching[(number - 1) * PAGE : number * PAGE]
    return page(
        "webhooks/index.html",
        block=_index_block(),
        webhooks=shown,
        any_webhook=bool(found),
        q=text,
        last=queries.last_deliveries(shown),
        recently={each.id: queries.recent(each) for each in shown},
        disables_at={each.id: failing.disables_at(each) for each in shown},
        now=clock.now(),
        show=presenting,
        summary=_summary(number, len(shown), len(matching)),
        previous=_index_url(text, number - 1) if number > 1 else None,
        following=_index_url(text, number + 1) if number * PAGE < len(matching) else None,
        here=_index_url(text, number) if found else url_for("webhooks.index", first=1),
        every=CALM,
    )


def _index_block() -> str:
    """Return the part that is asked for; the first-use page has no head of a list yet, and gets one with the list."""
    if request.headers.get("HX-Target") != "board":
        return "main"
    return "update" if request.args.get("first") else "board"


def _page_number(count: int) -> int:
    text = request.args.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 1
    return min(max(number, 1), max(1, -(-count // PAGE)))


def _summary(number: int, shown: int, total: int) -> str:
    noun = "webhook" if total == 1 else "webhooks"
    first = (number - 1) * PAGE + 1
    return f"{total} {noun}" if total <= PAGE else f"{first} to {first + shown - 1} of {total} {noun}"


def _index_url(text: str, number: int) -> str:
    return url_for("webhooks.index", q=text or None, page=number if number > 1 else None)


@blueprint.post("/webhooks/<uuid:webhook_id>/switch")
@allow(Who.ADMIN)
def switch(webhook_id: uuid.UUID) -> Response:
    """Switch a webhook on or off, effective at once."""
    active = request.form.get("enabled") == "on"
    with unit_of_work():
        webhook = get(webhook_id, lock=True)
        service.set_active(webhook=webhook, active=active)
    said = f"{webhook.name} is {'active' if active else 'disabled'}."
    if not wants_fragment():
        return go_to(came_from(url_for("webhooks.index")), toast=said, tone="ok" if active else "off")
    response = trigger(Response(status=204), CHANGED)
    undo = {"url": request.path, "fields": {} if active else {"enabled": "on"}}
    return add_toast(response, said, tone="ok" if active else "off", undo=undo)


@blueprint.post("/webhooks/<uuid:webhook_id>/delete")
@allow(Who.ADMIN)
def delete(webhook_id: uuid.UUID) -> Response:
    """Delete a webhook, once its name was typed."""
    with unit_of_work():
        webhook = get(webhook_id, lock=True)
        confirmed = request.form.get("confirm_name", "").strip() == webhook.name
        if confirmed:
            service.delete(webhook=webhook)
    if not confirmed:
        back = url_for("webhooks.detail", webhook_id=webhook_id)
        return go_to(back, toast="Not deleted: the name did not match.", tone="err", body="Type it exactly as shown.")
    return go_to(url_for("webhooks.index"), toast=f"{webhook.name} is deleted.", tone="off")


def get(webhook_id: uuid.UUID, *, lock: bool = False) -> Webhook:
    """Return a webhook of the organization that asks.

    Raises:
        NotFoundError: it has no such webhook.
    """
    return service.get(organization_id=identity().organization_id, webhook_id=webhook_id, lock=lock)
