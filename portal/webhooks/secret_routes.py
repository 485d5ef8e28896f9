"""The signing secret of a webhook: shown and regenerated in a drawer, to whoever confirmed who they are."""

import uuid
from datetime import timedelta

from flask import request
from flask.wrappers import Response

from portal import clock
from portal.accounts import recent
from portal.database import reading, unit_of_work
from portal.web.access import Who, allow, identity, is_recent
from portal.web.render import page, trigger
from portal.webhooks import presenting, service
from portal.webhooks.models import Delivery, Webhook
from portal.webhooks.routes import CHANGED, blueprint, get

OVERLAPS = {"24": "24 hours", "1": "1 hour", "168": "7 days", "0": "Not at all"}
"""Hours that the secret before signs too → words."""


@blueprint.get("/webhooks/<uuid:webhook_id>/secret")
@allow(Who.ADMIN)
def secret_form(webhook_id: uuid.UUID) -> Response:
    """Open the drawer in which the signing secret is shown or regenerated."""
    return secret_drawer(get(webhook_id))


@blueprint.post("/webhooks/<uuid:webhook_id>/secret")
@allow(Who.ADMIN)
def secret(webhook_id: uuid.UUID) -> Response:
    """Show the signing secret, or make a new one, to somebody who confirmed who they are."""
    with reading():
        webhook = get(webhook_id)
    problem = recent.ask(request.form.get("confirm_access", ""))
    if problem:
        return secret_drawer(webhook, problem=problem, status=422)
    rotating = request.form.get("intent") == "rotate"
    with unit_of_work():
        webhook = get(webhook_id, lock=True)
        text = service.rotate(webhook=webhook, overlap=_overlap()) if rotating else service.reveal(webhook=webhook)
    response = secret_drawer(webhook, secret=text, made=rotating)
    return trigger(response, CHANGED) if rotating else response


def _overlap() -> timedelta:
    text = request.form.get("overlap", "")
    return timedelta(hours=int(text)) if text in OVERLAPS else service.OVERLAP


def secret_drawer(
    webhook: Webhook,
    *,
    secret: str = "",
    made: bool = False,
    tested: Delivery | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    """Render the drawer of the secret: as a question, or with the secret in full where one is given."""
    return page(
        "webhooks/secret.html",
        block="drawer",
        status=status,
        webhook=webhook,
        secret_text=secret,
        made=made,
        tested=tested,
        problem=problem,
        show=presenting,
        overlaps=list(OVERLAPS.items()),
        ask_access=not secret and not is_recent(identity()),
        previous_until=webhook.previous_until if _previous_signs(webhook) else None,
    )


def _previous_signs(webhook: Webhook) -> bool:
    return bool(webhook.previous_sealed and webhook.previous_until and webhook.previous_until > clock.now())
