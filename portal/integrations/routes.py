"""Pages of the integrations room: catalogue, configure drawer with its test, switch, interval, deletion."""

import uuid
from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal.accounts import recent
from portal.accounts import service as accounts
from portal.database import reading, unit_of_work
from portal.integrations import credentials, drafts, forms, presenting, queries, sending, service
from portal.integrations.calls import TooBusy, sandbox_is_there
from portal.integrations.drafts import Draft, Invalid
from portal.integrations.forms import DrawerForm
from portal.integrations.models import Integration
from portal.integrations.presenting import Shown
from portal.integrations.sending import Channel
from portal.providers import catalogue
from portal.providers.base import Provider
from portal.providers.catalogue import UnknownProvider
from portal.web import errors
from portal.web.access import Who, allow, identity, is_recent
from portal.web.render import add_toast, came_from, fragment, go_to, page, trigger, wants_fragment

blueprint = Blueprint("integrations", __name__, url_prefix="/admin/integrations")
CHANGED = "integrations-changed"
"""Event that makes lists and the detail page fetch themselves anew."""


@blueprint.app_errorhandler(queries.NotFound)
def _not_found(_error: queries.NotFound) -> Response:
    return errors.answer(404)  # an error raised inside an error handler would reach nobody


@blueprint.get("/new")
@allow(Who.ADMIN)
def new() -> Response:
    """Show the catalogue: what can be connected, what it needs, what already is."""
    text, capability = request.args.get("q", "").strip()[:100], request.args.get("capability", "")
    groups = presenting.catalogue_groups(text, capability)
    return page(
        "integrations/catalogue.html",
        block="results" if request.headers.get("HX-Target") == "results" else "main",
        groups=groups,
        q=text,
        capability=capability,
        capabilities=presenting.capability_choices(),
        connected=queries.connected(organization_id=identity().organization_id),
    )


@blueprint.get("/new/<slug>")
@allow(Who.ADMIN)
def create_drawer(slug: str) -> Response:
    """Open the drawer of a new integration."""
    provider = _provider(slug)
    taken = queries.taken_names(organization_id=identity().organization_id, provider=slug)
    return _drawer(forms.empty(provider, name=presenting.first_name(provider, taken)))


@blueprint.post("/new/<slug>")
@allow(Who.ADMIN)
def create(slug: str) -> Response:
    """Test, save, or send a test message with what the drawer of a new integration holds."""
    provider = _provider(slug)
    return _submitted(forms.empty(provider, name=""), None)


@blueprint.get("/<uuid:integration_id>/edit")
@allow(Who.ADMIN)
def edit_drawer(integration_id: uuid.UUID) -> Response:
    """Open the drawer of a stored integration."""
    return _drawer(_stored_form(_get(integration_id)))


@blueprint.post("/<uuid:integration_id>/edit")
@allow(Who.ADMIN)
def edit(integration_id: uuid.UUID) -> Response:
    """Test, save, or send a test message with what the drawer of a stored integration holds."""
    with reading():
        integration = _get(integration_id)
        form = _stored_form(integration)
    return _submitted(form, integration)


@blueprint.post("/<uuid:integration_id>/test")
@allow(Who.ADMIN)
def troubleshoot(integration_id: uuid.UUID) -> Response:
    """Run the staged test on what is stored, and show the result where it can be mended: in the drawer."""
    with reading():
        integration = _get(integration_id)
        form = _stored_form(integration)
    try:
        with reading():
            draft = drafts.check(form.provider, presenting.unchanged(form), integration)
        return _tested(form, draft)
    except Invalid as error:
        return _drawer(replace(form, errors=error.errors), status=422)


@blueprint.post("/<uuid:integration_id>/switch")
@allow(Who.ADMIN)
def switch(integration_id: uuid.UUID) -> Response:
    """Switch an integration on or off, effective at once."""
    enabled = request.form.get("enabled") == "on"
    with unit_of_work():
        integration = _get(integration_id, lock=True)
        service.set_enabled(integration=integration, enabled=enabled)
    said = f"{integration.name} is {'enabled' if enabled else 'disabled'}."
    if not wants_fragment():
        return go_to(came_from(url_for("overview.dashboard")), toast=said, tone="ok" if enabled else "off")
    response = trigger(Response(status=204), CHANGED)
    undo = {"url": request.path, "fields": {} if enabled else {"enabled": "on"}}
    return add_toast(response, said, tone="ok" if enabled else "off", undo=undo)


@blueprint.post("/<uuid:integration_id>/interval")
@allow(Who.ADMIN)
def interval(integration_id: uuid.UUID) -> Response:
    """Set how often an integration is checked."""
    text = request.form.get("interval", "").strip()
    minutes = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    back = url_for("overview.detail", integration_id=integration_id)
    try:
        with unit_of_work():
            service.set_interval(integration=_get(integration_id, lock=True), minutes=minutes)
    except Invalid as error:
        said = error.errors["interval"]
        shown: dict[str, Any] = {"integration": _get(integration_id), "value": text[:20], "error": said}
        if wants_fragment():
            return fragment("integrations/interval.html", "form", status=422, **shown)
        return page("integrations/interval.html", status=422, **shown)
    return go_to(back, toast="Interval saved.")


@blueprint.post("/<uuid:integration_id>/delete")
@allow(Who.ADMIN)
def delete(integration_id: uuid.UUID) -> Response:
    """Delete an integration, once its name was typed."""
    with unit_of_work():
        integration = _get(integration_id, lock=True)
        confirmed = request.form.get("confirm_name", "").strip() == integration.name
        if confirmed:
            service.delete(integration=integration)
    if not confirmed:
        back = url_for("overview.detail", integration_id=integration_id)
        return go_to(back, toast="Not deleted: the name did not match.", tone="err", body="Type it exactly as shown.")
    return go_to(url_for("overview.dashboard"), toast=f"{integration.name} is deleted.", tone="off")


def _provider(slug: str) -> Provider:
    try:
        return catalogue.get(slug)
    except UnknownProvider:
        abort(404)


def _get(integration_id: uuid.UUID, *, lock: bool = False) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id, lock=lock)


def _stored_form(integration: Integration) -> DrawerForm:
    provider, secrets = catalogue.get(integration.provider), credentials.stored(integration)
    return forms.stored(provider, integration, secrets, version=drafts.version_of(integration))


def _drawer(form: DrawerForm, shown: Shown | None = None, *, status: int = 200) -> Response:
    """Render the drawer, as a fragment or as a page of its own."""
    shown, channel = shown or Shown(), sending.channel_of(form.provider)
    return page(
        "integrations/drawer.html",
        block="drawer",
        status=status,
        form=form,
        shown=shown,
        usage=presenting.usage(form, accounts.time_zone_of(identity().organization_id)),
        channel=channel,
        test_to=request.form.get("test_to", sending.own_address(channel, identity())),
        to_test=request.args.get("to") == "send-test",
        from_settings=_from_settings(),
        can_sandbox=sandbox_is_there(),
        alone=_stands_alone(),
        ask_access=bool(form.stored) and not is_recent(identity()),
    )


def _stands_alone() -> bool:
    """Return whether the drawer was opened by its address, so that no list or detail page lies below it."""
    return not wants_fragment() or request.form.get("alone") == "1"


def _from_settings() -> bool:
    """Return whether the drawer was opened from the settings view, to which it leads back."""
    return request.values.get("from") == "settings"


def _submitted(form: DrawerForm, integration: Integration | None) -> Response:
    """Do what the pressed button asks, with the values that were sent."""
    intent = request.form.get("intent", "test")
    try:
        with reading():
            draft = drafts.check(form.provider, forms.read(form.provider, request.form), integration)
        _require_recent(draft)
        form = forms.sent(form, request.form, {})
        channel = sending.channel_of(form.provider)
        if intent == "send_test" and channel:
            return _sent_test(form, draft, channel)
        if intent in ("save", "test_and_save"):
            return _saved(form, draft, test_first=intent == "test_and_save")
        return _tested(form, draft)
    except Invalid as error:
        if "form" in error.errors and integration is not None:
            with reading():
                now = _stored_form(_get(integration.id))
            return _drawer(forms.meanwhile(now, request.form, error.errors["form"]), status=422)
        return _drawer(forms.sent(form, request.form, error.errors), Shown(tested=False), status=422)


def _require_recent(draft: Draft) -> None:
    """Ask for password or code where a stored secret would be replaced or travel elsewhere.

    Raises:
        Invalid: it was not given, or is wrong; the rest of the form stays as it is.
    """
    if not draft.needs_recent:
        return
    answer = request.form.get("confirm_access", "")
    problem = recent.ask(answer)
    if not problem:
        return
    if answer and draft.integration_id:
        with unit_of_work():
            credentials.refused(_get(draft.integration_id), reason="Replace a secret")
    raise Invalid({"confirm_access": problem})


def _tested(form: DrawerForm, draft: Draft) -> Response:
    try:
        report = drafts.test(draft, organization_id=identity().organization_id)
    except TooBusy:
        return _busy(form)
    receipt = drafts.receipt(draft) if report.ok else ""
    return _drawer(presenting.with_report(form, report), presenting.of_test(report, receipt))


def _busy(form: DrawerForm) -> Response:
    return _drawer(form, Shown(title="Not tested: several tests are running", text="Try again in some seconds."))


def _sent_test(form: DrawerForm, draft: Draft, channel: Channel) -> Response:
    try:
        sent = sending.send_test(draft, channel, to=request.form.get("test_to", ""), who=identity())
    except TooBusy:
        return _busy(form)
    return _drawer(form, presenting.of_sending(sent, drafts.receipt(draft) if sent.outcome.ok else ""))


def _saved(form: DrawerForm, draft: Draft, *, test_first: bool) -> Response:
    """Store the draft: verified when it passed a test, by the button or shortly before; else Unverified."""
    who, report = identity(), None
    if test_first:
        try:
            report = drafts.test(draft, organization_id=who.organization_id)
        except TooBusy:
            return _busy(form)
        if not report.ok:
            return _drawer(presenting.with_report(form, report), presenting.of_test(report, "", saving=True))
    verified = test_first or drafts.has_passed(draft, request.form.get("receipt", ""))
    failed = request.form.get("failed") == "1"
    with unit_of_work():
        integration, renamed = _store(draft, verified=verified, failed=failed)
    return _after_save(integration, presenting.saved_words(integration, report), leave=renamed)


def _store(draft: Draft, *, verified: bool, failed: bool) -> tuple[Integration, bool]:
    """Store a draft; returns the integration, and whether it goes by another name than before."""
    if draft.integration_id is None:
        who = identity()
        made = service.create(organization_id=who.organization_id, user_id=who.user_id, draft=draft, verified=verified)
        return made, True
    integration = _get(draft.integration_id, lock=True)
    drafts.require_unchanged(draft, integration)
    before = integration.name
    service.update(integration=integration, draft=draft, verified=verified, failed=failed)
    return integration, integration.name != before


def _after_save(integration: Integration, body: str, *, leave: bool) -> Response:
    """Close the drawer over the page that it belongs to; go to the integration's own where that one is out of date."""
    home = url_for("overview.detail", integration_id=integration.id)
    if _from_settings():
        home, leave = url_for("overview.settings"), False
    if leave or _stands_alone():
        return go_to(home, toast="Integration saved.", body=body)
    response = trigger(trigger(Response(status=204), "drawer-close"), CHANGED)
    return add_toast(response, "Integration saved.", body=body)
