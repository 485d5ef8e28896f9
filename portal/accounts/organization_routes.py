"""The page of the organization: how long it keeps what piles up."""

from collections.abc import Mapping
from dataclasses import asdict

from flask import request, url_for
from flask.wrappers import Response

from portal.accounts import browser, retention
from portal.accounts.retention import BOUNDS, InvalidError
from portal.accounts.routes import blueprint
from portal.database import reading, unit_of_work
from portal.web.access import Who, allow
from portal.web.render import go_to, page

_MOST_DIGITS = 5


@blueprint.get("/admin/organization")
@allow(Who.ADMIN)
def organization() -> Response:
    """Show how long things are kept."""
    with reading():
        stored = retention.of(browser.member().organization_id)
    return _page({name: str(value) for name, value in asdict(stored).items()})


@blueprint.post("/admin/organization/retention")
@allow(Who.ADMIN)
def change_retention() -> Response:
    """Set how long things are kept."""
    typed = {name: request.form.get(name, "").strip() for name in BOUNDS}
    values = {name: _number(text) for name, text in typed.items()}
    try:
        with unit_of_work():
            retention.change(organization_id=browser.member().organization_id, values=values)
    except InvalidError as error:
        return _page(typed, errors=error.errors, status=422)
    said = "What is older goes within the next minutes, and does not come back."
    return go_to(url_for("accounts.organization"), toast="Retention saved.", body=said)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _page(typed: Mapping[str, str], *, errors: Mapping[str, str] | None = None, status: int = 200) -> Response:
    who = browser.member()
    return page(
        "accounts/organization.html", status=status, typed=typed, errors=errors or {}, bounds=BOUNDS,
        name=who.organization_name,
    )  # fmt: skip
