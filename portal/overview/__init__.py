"""Overview room: the pages that compose several rooms, dashboard and integration detail."""

from flask import Flask

from portal.overview.navigation import navigation
from portal.overview.routes import blueprint

__all__ = ["init_app"]


def init_app(app: Flask) -> None:
    """Give the application the pages of this room and the navigation."""
    app.register_blueprint(blueprint)
    app.context_processor(navigation)
