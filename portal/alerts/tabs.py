"""The tabs above everything about alerts: their states, whom they were told to, and the channels for that."""

import uuid
from typing import Any, Final

from flask import url_for

from portal.alerts import presenting, queries
from portal.alerts.models import AlertState
from portal.alerts.queries import AlertFilters
from portal.paging import COUNT_LIMIT
from portal.web.listing import page_url

NOTIFICATIONS: Final = "notifications"
CHANNELS: Final = "channels"


def shown(organization_id: uuid.UUID, current: str, *, text: str = "") -> list[dict[str, Any]]:
    """Return the links, with how many alerts wait in the first two.

    Args:
        organization_id: whose.
        current: a state, NOTIFICATIONS or CHANNELS.
        text: what the alerts are narrowed to.
    """
    found = [_state(organization_id, state, words, text) for state, words in presenting.STATES.items()]
    found.append({"label": "Notifications", "url": url_for("alert_notifications.index"), "key": NOTIFICATIONS})
    found.append({"label": "Channels", "url": url_for("alert_channels.index"), "key": CHANNELS})
    return [each | {"current": each["key"] == current} for each in found]


def _state(organization_id: uuid.UUID, state: AlertState, words: str, text: str) -> dict[str, Any]:
    address = {"state": "" if state is AlertState.OPEN else str(state), "q": text}
    tab: dict[str, Any] = {"label": words, "url": page_url(url_for("alerts.index"), address), "key": str(state)}
    if state is not AlertState.RESOLVED:
        found = queries.count(organization_id=organization_id, filters=AlertFilters(state=state, text=text))
        tab |= {"count": min(found, COUNT_LIMIT) or None, "noun": words.lower()}
    return tab
