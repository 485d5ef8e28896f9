"""The form of a webhook: new and stored ones, as a drawer and as a page of its own."""

import uuid

from flask import request, url_for
from flask.wrappers import Response

from portal import clock
from portal.accounts import recent
from portal.database import reading, unit_of_work
from portal.web.access import Who, allow, identity, is_recent
from portal.web.render import add_toast, go_to, page, trigger, wants_fragment
from portal.webhooks import failing, forms, presenting, queries, service, testing
from portal.webhooks.errors import InvalidError, WebhooksError
from portal.webhooks.events import ALL
from portal.webhooks.forms import WebhookForm
from portal.webhooks.models import Delivery, Webhook
from portal.webhooks.routes import CHANGED, blueprint, get
from portal.webhooks.secret_routes import secret_drawer
from portal.webhooks.service import Draft


@blueprint.get("/webhooks/new")
@allow(Who.ADMIN)
def new() -> Response:
    """Open the form of a new webhook."""
    return _drawer(forms.empty(service.retry_policy(identity().organization_id)))


@blueprint.post("/webhooks/new")
@allow(Who.ADMIN)
def create() -> Response:
    """Store a new webhook, and show its secret."""
    who = identity()
    with reading():
        form = forms.empty(service.retry_policy(who.organization_id))
    try:
        draft = forms.read(request.form)
        with unit_of_work():
            webhook, secret = service.create(organization_id=who.organization_id, user_id=who.user_id, draft=draft)
    except InvalidError as error:
        return _drawer(forms.sent(form, request.form, error.errors), status=422)
    tested, problem = _tested_after_save(webhook)
    response = secret_drawer(webhook, secret=secret, made=True, tested=tested, problem=problem)
    return add_toast(trigger(response, CHANGED), "Webhook saved.") if wants_fragment() else response


@blueprint.get("/webhooks/<uuid:webhook_id>/edit")
@allow(Who.ADMIN)
def edit_form(webhook_id: uuid.UUID) -> Response:
    """Open the form of a stored webhook."""
    return _drawer(forms.stored(get(webhook_id)))


@blueprint.post("/webhooks/<uuid:webhook_id>/edit")
@allow(Who.ADMIN)
def edit(webhook_id: uuid.UUID) -> Response:
    """Store a changed webhook."""
    with reading():
        webhook = get(webhook_id)
        form = forms.stored(webhook)
    try:
        draft = forms.read(request.form)
        _require_recent(draft, webhook)
        with unit_of_work():
            webhook = get(webhook_id, lock=True)
            forms.require_unchanged(webhook, request.form)
            webhook = service.update(webhook=webhook, draft=draft)
    except InvalidError as error:
        if "form" in error.errors:
            with reading():
                form = forms.stored(get(webhook_id))
        return _drawer(forms.sent(form, request.form, error.errors), status=422)
    return _after_edit(webhook)


def _drawer(form: WebhookForm, *, status: int = 200) -> Response:
    """Render the form, as a drawer or as a page of its own."""
    organization_id = identity().organization_id
    groups = queries.event_groups(organization_id)
    event_type = next(iter(form.events), "job.created")
    event_type = "job.created" if event_type == ALL else event_type
    data = queries.sample(organization_id=organization_id, event_type=event_type)
    event = {"id": "evt_0198c1d4a2", "event": event_type, "occurred_at": "2026-11-20T23:30:02Z", "data": data}
    return page(
        "webhooks/drawer.html",
        block="drawer",
        status=status,
        form=form,
        groups=groups,
        strategies=forms.STRATEGIES,
        example=presenting.example("/hooks", event_type, event),
        ask_access=bool(form.header_names) and not is_recent(identity()),
        alone=_stands_alone(),
        at=failing.disables_at(form.webhook) if form.webhook else None,
        now=clock.now(),
    )


def _stands_alone() -> bool:
    """Return whether the drawer was opened by its address, so that no page lies below it."""
    return not wants_fragment() or request.form.get("alone") == "1"


def _require_recent(draft: Draft, webhook: Webhook) -> None:
    """Ask for password or code where stored headers would be replaced, or travel to another server.

    Raises:
        InvalidError: it was not given, or is wrong; the rest of the form stays as it is.
    """
    replaced = bool(draft.custom_headers)
    elsewhere = draft.custom_headers is None and draft.url.strip() != webhook.url
    if webhook.headers_sealed and (replaced or elsewhere):
        problem = recent.ask(request.form.get("confirm_access", ""))
        if problem:
            raise InvalidError({"confirm_access": problem})


def _tested_after_save(webhook: Webhook) -> tuple[Delivery | None, str]:
    """Send a test where the button asked for one; returns the delivery, or why there is none."""
    if request.form.get("intent") != "save_and_test":
        return None, ""
    event_type = "job.created" if ALL in webhook.events else webhook.events[0]
    with reading():
        data = queries.sample(organization_id=webhook.organization_id, event_type=event_type)
    try:
        delivery_id = testing.send_test(
            organization_id=webhook.organization_id, webhook_id=webhook.id, event_type=event_type, data=data
        )
    except WebhooksError as error:
        return None, str(error)
    with reading():
        return queries.get_delivery(organization_id=webhook.organization_id, delivery_id=delivery_id), ""


def _after_edit(webhook: Webhook) -> Response:
    delivery, problem = _tested_after_save(webhook)
    home = url_for("webhooks.detail", webhook_id=webhook.id, delivery=delivery.id if delivery else None)
    if delivery or problem or _stands_alone():
        return go_to(home, toast="Webhook saved.", tone="warn" if problem else "ok", body=problem)
    response = trigger(trigger(Response(status=204), "drawer-close"), CHANGED)
    return add_toast(response, "Webhook saved.")
