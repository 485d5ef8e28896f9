"""Webhooks room: event types, events, the customers' endpoints, deliveries and how they are tried again."""

from flask import Flask

from portal.webhooks import (
    dead_letter_counts,
    dead_letter_routes,
    debugger_routes,
    delivery_routes,
    event_routes,
    event_type_routes,
    form_routes,
    models,
    policy_routes,
    replay_routes,
    retention,
    routes,
    secret_routes,
)

__all__ = [
    "dead_letter_counts", "debugger_routes", "delivery_routes", "form_routes", "init_app", "models", "replay_routes",
    "retention", "secret_routes",
]  # fmt: skip


def init_app(app: Flask) -> None:
    """Register the pages of the room."""
    app.register_blueprint(routes.blueprint)
    app.register_blueprint(policy_routes.blueprint)
    app.register_blueprint(dead_letter_routes.blueprint)
    app.register_blueprint(event_type_routes.blueprint)
    app.register_blueprint(event_routes.blueprint)
