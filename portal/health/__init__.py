"""Health room: checks, their logs, "Health check all"."""

from flask import Flask

from portal.health import (
    liveness,
    maintenance_routes,  # its pages are those of the blueprint
)
from portal.health.routes import blueprint

__all__ = ["init_app", "maintenance_routes"]


def init_app(app: Flask) -> None:
    """Give the application the pages of this room."""
    app.register_blueprint(blueprint)
    app.register_blueprint(liveness.blueprint)
