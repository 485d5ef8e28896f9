"""Pages of the API tokens: the list, a new one shown once, revoking."""

import uuid

from flask import abort, url_for
from flask.wrappers import Response

from portal.accounts import api_tokens, browser
from portal.accounts.errors import BadTokenError, NotFoundError
from portal.accounts.forms import TokenForm
from portal.accounts.routes import blueprint
from portal.database import reading, unit_of_work
from portal.web.access import Who, allow
from portal.web.render import go_to, page


@blueprint.get("/admin/api-tokens")
@allow(Who.ADMIN)
def tokens() -> Response:
    """List the tokens of the organization."""
    with reading():
        rows = api_tokens.listed(organization_id=browser.member().organization_id)
    return page("accounts/tokens.html", rows=rows)


@blueprint.get("/admin/api-tokens/new")
@allow(Who.ADMIN, recent=True)
def new_token() -> Response:
    """Ask what a new token is for."""
    return page("accounts/token_new.html", form=TokenForm())


@blueprint.post("/admin/api-tokens/new")
@allow(Who.ADMIN, recent=True)
def create_token() -> Response:
    """Make a token and show it, this once."""
    form, who = TokenForm(), browser.member()
    if not form.validate_on_submit():
        return page("accounts/token_new.html", status=422, form=form)
    try:
        with unit_of_work():
            row, text = api_tokens.create(user_id=who.user_id, organization_id=who.organization_id, **form.values())
    except BadTokenError as error:
        form.refuse(error.field, error)
        return page("accounts/token_new.html", status=422, form=form)
    return page("accounts/token_made.html", row=row, text=text)


@blueprint.post("/admin/api-tokens/<uuid:token_id>/revoke")
@allow(Who.ADMIN)
def revoke_token(token_id: uuid.UUID) -> Response:
    """End a token at once."""
    try:
        with unit_of_work():
            row = api_tokens.revoke(organization_id=browser.member().organization_id, token_id=token_id)
    except NotFoundError:
        abort(404)
    return go_to(url_for("accounts.tokens"), toast="Token revoked.", body=f"{row.name} opens nothing any more.")
