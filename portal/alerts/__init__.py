"""Alerts room: what is wrong with integrations, webhooks and the portal itself, found by rules, shown to admins."""

from flask import Flask

from portal.alerts import channel_routes, models, notification_models, notification_routes
from portal.alerts.routes import blueprint

__all__ = ["init_app", "models", "notification_models"]


def init_app(app: Flask) -> None:
    """Give the application the pages of this room."""
    app.register_blueprint(blueprint)
    app.register_blueprint(channel_routes.blueprint)
    app.register_blueprint(notification_routes.blueprint)
