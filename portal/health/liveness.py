"""/healthz and /readyz: what a supervisor asks this process, without signing in."""

from typing import Any

from flask import Blueprint, jsonify
from flask.wrappers import Response
from sqlalchemy.exc import SQLAlchemyError

from portal.database import reading
from portal.health import pulse
from portal.web.access import Who, allow

blueprint = Blueprint("liveness", __name__)


@blueprint.get("/healthz")
@allow(Who.ANYONE)
def alive() -> Response:
    """Say whether this process works: 503 where its scheduler should look for due checks and does not any more."""
    return _answer({"scheduler": _scheduler()}, fine=pulse.is_alive() is not False)


@blueprint.get("/readyz")
@allow(Who.ANYONE)
def ready() -> Response:
    """Say whether this process can serve: as /healthz, and its database answers; and how late checks are."""
    try:
        with reading():
            late = pulse.read().late.total_seconds()
    except SQLAlchemyError:
        return _answer({"scheduler": _scheduler(), "database": "unreachable"}, fine=False)
    facts = {"scheduler": _scheduler(), "database": "ok", "checks_late_seconds": round(late, 1)}
    return _answer(facts, fine=pulse.is_alive() is not False)


def _answer(facts: dict[str, Any], *, fine: bool) -> Response:
    response = jsonify({"status": "ok" if fine else "failing", **facts})
    response.status_code = 200 if fine else 503
    response.headers["Cache-Control"] = "no-store"
    return response


def _scheduler() -> str:
    return {True: "running", False: "stalled", None: "off"}[pulse.is_alive()]
