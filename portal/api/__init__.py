"""API room: /api/admin, its OpenAPI document and the page that shows it."""

from flask import Flask

from portal.api import (
    accepted_event_routes,
    alert_channel_routes,
    alert_routes,
    alert_settings_routes,
    audit_routes,
    delivery_routes,
    document_routes,
    event_routes,
    event_type_routes,
    health_routes,
    maintenance_routes,
    replay_routes,
    routes,
    webhook_routes,
)
from portal.api.declaring import blueprint

__all__ = [
    "accepted_event_routes", "alert_channel_routes", "alert_routes", "alert_settings_routes", "audit_routes",
    "delivery_routes", "document_routes", "event_routes", "event_type_routes", "health_routes", "init_app",
    "maintenance_routes", "replay_routes", "routes", "webhook_routes",
]  # fmt: skip


def init_app(app: Flask) -> None:
    """Give the application its JSON API and the pages about it."""
    app.register_blueprint(blueprint)
