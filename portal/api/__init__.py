"""API room: /api/admin, its OpenAPI document and the page that shows it."""

from flask import Flask

from portal.api import audit_routes, document_routes, health_routes, routes
from portal.api.declaring import blueprint

__all__ = ["audit_routes", "document_routes", "health_routes", "init_app", "routes"]


def init_app(app: Flask) -> None:
    """Give the application its JSON API and the pages about it."""
    app.register_blueprint(blueprint)
