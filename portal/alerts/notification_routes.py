"""Pages of the log of notifications: what was told to whom, and one with its messages and alerts."""

import uuid
from typing import Final

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal.accounts import retention
from portal.alerts import notification_queries, notification_words, tabs
from portal.alerts.notification_queries import NotificationNotFound
from portal.messaging import presenting as messaging
from portal.web import errors
from portal.web.access import Who, allow, identity
from portal.web.listing import page_url
from portal.web.render import page

blueprint = Blueprint("alert_notifications", __name__, url_prefix="/admin/alerts/notifications")
CALM, LIVELY = 30, 3
"""Seconds between two looks at what does not change by itself, and at messages on their way."""
BLOCKS: Final = {"more-notifications": "rows", "notifications": "list"}


@blueprint.app_errorhandler(NotificationNotFound)
def _not_found(_error: NotificationNotFound) -> Response:
    return errors.answer(404, text="Notifications are kept as long as deliveries, or the address is mistyped.")


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show what was told to whom, the last first."""
    organization_id, cursor = identity().organization_id, request.args.get("cursor", "")
    try:
        found = notification_queries.listed(organization_id=organization_id, cursor=cursor)
    except ValueError:
        abort(404)
    here = url_for("alert_notifications.index")
    return page(
        "alerts/notifications.html",
        block=BLOCKS.get(request.headers.get("HX-Target", ""), "main"),
        notifications=found.items,
        next_url=page_url(here, {}, found.next_cursor) if found.next_cursor else None,
        first_url=here if cursor else None,
        here=page_url(here, {}, cursor),
        kept_days=retention.of(organization_id).deliveries_days,
        every=LIVELY if any(each.under_way for each in found.items) else CALM,
        tabs_shown=tabs.shown(organization_id, tabs.NOTIFICATIONS),
        show=notification_words,
    )


@blueprint.get("/<uuid:notification_id>")
@allow(Who.ADMIN)
def detail(notification_id: uuid.UUID) -> Response:
    """Show one notification: its messages with what became of each, and the alerts that it told of."""
    found = notification_queries.get(organization_id=identity().organization_id, notification_id=notification_id)
    return page(
        "alerts/notification.html",
        block="update" if request.headers.get("HX-Target") == "notification" else "main",
        each=found,
        messages=notification_queries.messages(found.row),
        told=notification_queries.alerts(found.row),
        every=LIVELY if found.under_way else None,
        show=notification_words,
        post=messaging,
    )
