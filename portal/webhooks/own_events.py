"""Events that the portal sends about itself. Telling of a change never stands in the way of the change."""

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from portal.database import wake_after_commit
from portal.security.redaction import redact
from portal.webhooks import events
from portal.webhooks.errors import WebhooksError
from portal.webhooks.events import NewEvent

LONGEST: Final = 1000
"""Characters of one text in such an event; what comes from providers and people may be of any length."""

CHANGED: Final = "own-state"
"""Topic of what the portal tells about itself: who watches over it looks again at once."""

log = logging.getLogger("portal.webhooks")


def publish(*, organization_id: uuid.UUID, event_type: str, data: Mapping[str, Any]) -> None:
    """Accept an event about the portal itself, in the transaction of the change that it tells of.

    Texts are cut, and what looks like a secret in them is hidden. An event that cannot be accepted all the same is
    logged and left out: the change itself counts for more.

    Args:
        organization_id: whose change.
        event_type: one of those that the portal brings.
        data: texts, numbers, truth values, moments and None, in objects of any depth.
    """
    wake_after_commit(CHANGED)
    try:
        event = NewEvent(event_type=event_type, data=_plain(data), source="portal")
        events.accept(organization_id=organization_id, events=[event])
    except (WebhooksError, ValueError):
        log.exception("%s could not be sent as an event", event_type)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str):
        # The half of a surrogate pair has no place in what is sent.
        return redact(value, strip=True)[:LONGEST].encode(errors="replace").decode()
    return value
