"""Integrations room: catalogue, credentials, configure drawer, test, switch, usage."""

from flask import Flask

from portal.integrations import presenting
from portal.integrations.routes import blueprint

__all__ = ["init_app"]
FILTERS = (
    presenting.status_word,
    presenting.settled_word,
    presenting.provider_label,
    presenting.provider_name,
    presenting.impact,
    presenting.capability_label,
    presenting.dialogue,
    presenting.shown_step,
)


def init_app(app: Flask) -> None:
    """Give the application the pages of this room, and the words that other rooms' pages need of it."""
    app.register_blueprint(blueprint)
    for each in FILTERS:
        app.jinja_env.filters[each.__name__] = each
