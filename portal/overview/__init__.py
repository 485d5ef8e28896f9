"""Overview room: the pages that compose several rooms: dashboard, integration detail, settings view, style guide."""

from flask import Flask

from portal.overview import settings_routes, style_guide, troubleshoot_routes
from portal.overview.navigation import navigation
from portal.overview.routes import blueprint

__all__ = ["init_app", "settings_routes", "style_guide", "troubleshoot_routes"]


def init_app(app: Flask) -> None:
    """Give the application the pages of this room and the navigation."""
    app.register_blueprint(blueprint)
    app.context_processor(navigation)
