"""Audit room: the trail of changes in a chain of hashes, and who used which credentials."""

from flask import Flask, g, has_request_context, request

from portal.audit import actor
from portal.audit.actor import SYSTEM, Origin
from portal.audit.routes import blueprint


def init_app(app: Flask) -> None:
    """Register the pages, and tell the trail how to find the running request."""
    app.register_blueprint(blueprint)
    actor.find_origin_with(_origin)

    @app.teardown_request
    def _nobody_acts(_error: BaseException | None) -> None:
        actor.set_actor(SYSTEM)


def _origin() -> Origin:
    if not has_request_context():
        return Origin()
    return Origin(ip=request.remote_addr or "", request_id=g.get("request_id", ""))
