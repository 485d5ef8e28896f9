"""Pages of the event types: the catalogue by group, and a drawer for those that an organization adds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.wrappers import Response

from portal.database import reading, unit_of_work
from portal.security.redaction import strip_controls
from portal.web.access import Who, allow, identity
from portal.web.render import add_toast, go_to, page, trigger, wants_fragment
from portal.webhooks import event_types, json_text
from portal.webhooks.errors import ConflictError, InvalidError
from portal.webhooks.event_types import Draft, Listed
from portal.webhooks.models import EventType

blueprint = Blueprint("event_types", __name__, url_prefix="/admin/event-types")
CHANGED: Final = "event-types-changed"
"""Event that makes the catalogue fetch itself anew."""
EMPTY: Final = {"name": "", "group": "", "description": "", "sample": "{}", "schema": ""}
"""Fields of the form, as a new one shows them."""


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the catalogue."""
    text = strip_controls(request.args.get("q", "")).strip()[:100]
    found = event_types.listed(organization_id=identity().organization_id)
    matching = [each for each in found if text.casefold() in f"{each.name} {each.description} {each.group}".casefold()]
    return page(
        "webhooks/event_types.html",
        block="list" if request.headers.get("HX-Target") == "catalogue" else "main",
        groups=_by_group(matching),
        own=sum(each.own for each in matching),
        total=len(matching),
        q=text,
        write=json_text.write,
        here=url_for("event_types.index", q=text or None),
    )


@blueprint.get("/new")
@allow(Who.ADMIN)
def new() -> Response:
    """Open the drawer of a new event type."""
    return _drawer(EMPTY)


@blueprint.post("/new")
@allow(Who.ADMIN)
def create() -> Response:
    """Add an event type."""
    try:
        draft = _draft(request.form)
        with unit_of_work():
            event_types.create(organization_id=identity().organization_id, draft=draft)
    except InvalidError as error:
        return _drawer(request.form, errors=error.errors)
    except ConflictError as error:
        return _drawer(request.form, errors={"name": str(error)})
    return _saved("Event type added.")


@blueprint.get("/<name>/edit")
@allow(Who.ADMIN)
def edit_form(name: str) -> Response:
    """Open the drawer of an event type of the organization's own."""
    try:
        row = _get(name)
    except ConflictError as error:
        return go_to(url_for("event_types.index"), toast="It stays as it is.", tone="off", body=str(error))
    return _drawer(_typed(event_types.shown(row)), name=row.name)


@blueprint.post("/<name>/edit")
@allow(Who.ADMIN)
def edit(name: str) -> Response:
    """Change an event type of the organization's own."""
    try:
        with reading():
            _get(name)
        draft = _draft({**request.form, "name": name})
        with unit_of_work():
            event_types.change(row=_get(name, lock=True), draft=draft)
    except (InvalidError, ConflictError) as error:
        errors = error.errors if isinstance(error, InvalidError) else {"name": str(error)}
        return _drawer({**request.form, "name": name}, name=name, errors=errors)
    return _saved("Event type saved.")


@blueprint.post("/<name>/delete")
@allow(Who.ADMIN)
def delete(name: str) -> Response:
    """Delete an event type of the organization's own."""
    home = url_for("event_types.index")
    try:
        with unit_of_work():
            event_types.delete(row=_get(name, lock=True))
    except ConflictError as error:
        return go_to(home, toast=f"{name} is not deleted.", tone="err", body=str(error))
    return go_to(home, toast=f"{name} is deleted.", tone="off")


def _get(name: str, *, lock: bool = False) -> EventType:
    return event_types.get(organization_id=identity().organization_id, name=name, lock=lock)


def _by_group(found: Sequence[Listed]) -> dict[str, list[Listed]]:
    groups: dict[str, list[Listed]] = {}
    for each in found:
        groups.setdefault(each.group, []).append(each)
    return groups


def _draft(sent: Mapping[str, str]) -> Draft:
    """Turn what the drawer sent into a draft.

    Raises:
        InvalidError: sample or schema is no JSON.
    """
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, otherwise in (("sample", {}), ("schema", None)):
        text = sent.get(name, "").strip()
        try:
            values[name] = json_text.read(text) if text else otherwise
        except ValueError as error:
            errors[name] = str(error)
    if not isinstance(values.get("schema"), dict | None):
        errors["schema"] = "A JSON Schema is an object: write it in braces."
    if errors:
        raise InvalidError(errors)
    texts: dict[str, Any] = {name: strip_controls(sent.get(name, "")) for name in ("name", "group", "description")}
    return Draft(**texts, **values)


def _typed(shown: Listed) -> dict[str, str]:
    """Return an event type as its form shows it."""
    schema = json_text.write(shown.schema) if shown.schema is not None else ""
    texts = {"name": shown.name, "group": shown.group, "description": shown.description}
    return {**texts, "sample": json_text.write(shown.sample), "schema": schema}


def _drawer(typed: Mapping[str, str], *, name: str = "", errors: Mapping[str, str] | None = None) -> Response:
    """Render the drawer, as a fragment or as a page of its own; `name` is that of a stored event type."""
    groups = {each.group for each in event_types.listed(organization_id=identity().organization_id)}
    return page(
        "webhooks/event_types_drawer.html",
        block="drawer",
        status=422 if errors else 200,
        typed={field: typed.get(field, "") for field in EMPTY},
        name=name,
        errors=errors or {},
        groups=sorted(groups),
        alone=not wants_fragment() or request.form.get("alone") == "1",
    )


def _saved(said: str) -> Response:
    """Close the drawer over the catalogue; where it stood alone, go there."""
    if not wants_fragment() or request.form.get("alone") == "1":
        return go_to(url_for("event_types.index"), toast=said)
    return add_toast(trigger(trigger(Response(status=204), "drawer-close"), CHANGED), said)
