"""Messaging room: a durable queue of what is to be sent, carried by one integration after the other, and its log."""

from flask import Flask

from portal.messaging.models import Channel, Message, MessageStatus
from portal.messaging.routes import blueprint
from portal.messaging.service import WAKE, queue

__all__ = ["WAKE", "Channel", "Message", "MessageStatus", "init_app", "queue"]


def init_app(app: Flask) -> None:
    """Give the application the pages of this room."""
    app.register_blueprint(blueprint)
