"""The API described: as an OpenAPI document, and as a page."""

import json

from flask import request
from flask.wrappers import Response

from portal.api import document, reference
from portal.api.declaring import blueprint
from portal.web.access import Who, allow
from portal.web.render import page


@blueprint.get("/openapi.json")
@allow(Who.ADMIN, scope="admin")
def openapi() -> Response:
    """Answer the OpenAPI 3.1 document."""
    return Response(json.dumps(document.build()), mimetype="application/json")


@blueprint.get("/docs")
@allow(Who.ADMIN)
def docs() -> Response:
    """Show the document as a page."""
    return page("api/docs.html", **reference.of(document.build(), base=request.host_url.rstrip("/")))
