"""Pages of the audit room: the trail, its verification, and who used which credentials."""

import uuid
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal.audit import access, search, trail, watch, words
from portal.audit.forms import FilterForm
from portal.database import reading, unit_of_work
from portal.web.access import Who, allow, identity
from portal.web.filters import zone
from portal.web.render import page

blueprint = Blueprint("audit", __name__)
blueprint.add_app_template_filter(words.describe, "audit_action")
blueprint.add_app_template_filter(words.changes, "audit_changes")
blueprint.add_app_template_filter(words.who, "audit_who")
blueprint.add_app_template_filter(words.whence, "audit_whence")


@blueprint.get("/admin/audit")
@allow(Who.ADMIN)
def index() -> ResponseReturnValue:
    """Show the audit trail, newest first, with filters."""
    form = FilterForm.read(request.args)
    shown = _entries(form, request.args.get("before", type=int))
    return page("audit/index.html", status=422 if form.errors else 200, result=None, **shown)


@blueprint.post("/admin/audit/verify")
@allow(Who.ADMIN)
def verify() -> ResponseReturnValue:
    """Recompute the chain and say whether it is whole; without script the page comes with the answer."""
    organization_id = identity().organization_id
    with reading():
        result = trail.verify(organization_id)
    with unit_of_work():
        watch.note(organization_id, result)
    with reading():
        return page("audit/index.html", block="chain", result=result, **_entries(FilterForm(), None))


@blueprint.get("/admin/credential-access")
@allow(Who.ADMIN)
def credential_access() -> ResponseReturnValue:
    """Show who used which integration's credentials, newest first."""
    shown = access.list_accesses(organization_id=identity().organization_id, before=_uuid(request.args.get("before")))
    older = url_for("audit.credential_access", before=shown.older) if shown.older else None
    return page("audit/credential_access.html", rows=shown.rows, older_url=older, first="before" not in request.args)


def _entries(form: FilterForm, before: int | None) -> dict[str, Any]:
    organization_id = identity().organization_id
    found = search.list_entries(organization_id=organization_id, filters=form.filters(zone()), before=before)
    return {
        "entries": found.entries,
        "total": search.count_all(organization_id),
        "form": form,
        "groups": words.group_choices(form.group),
        "older_url": _here(form, before=found.older) if found.older else None,
        "newest_url": _here(form) if before else None,
    }


def _here(form: FilterForm, **more: object) -> str:
    values: dict[str, Any] = {**form.given, **more}
    return url_for("audit.index", **values)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None
