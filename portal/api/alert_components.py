"""The schemas of the channels through which people are told of alerts, and of when that is."""

from typing import Final

from portal.alerts import channels, preferences
from portal.alerts.notification_models import Audience, ChannelKind, Minimum, Mode
from portal.api import schema as s

FIELDS: Final[dict[str, s.Schema]] = {
    "name": s.text("Empty takes the word for its kind.", maxLength=channels.LONGEST_NAME),
    "audience": s.one_of(
        tuple(Audience), "Who gets it: email takes admins, members or addresses; sms opted_in; chat place."
    ),
    "member_ids": s.many(s.identifier(), "Of the audience members."),
    "addresses": s.many(s.text(maxLength=254), f"Of the audience addresses, {channels.MOST_ADDRESSES} at most."),
    "integration_id": s.maybe(s.identifier("Of a chat channel: the integration that it goes through.")),
    "minimum": s.one_of(tuple(Minimum), "Which alerts it tells of; SMS is for critical ones alone."),
    "mode": s.one_of(tuple(Mode), "digest: once a day, of what is open and what ended since."),
    "digest_at": s.text("Time of the day as 08:00, where the organization is.", maxLength=5),
    "enabled": s.yes_or_no(),
}
KIND: Final = s.one_of(tuple(ChannelKind))
NEW: Final = s.record(*FIELDS, kind=KIND, **FIELDS)
CHANGES: Final = s.changes(**FIELDS)
CHANNEL: Final = s.record(
    id=s.identifier(),
    kind=KIND,
    **FIELDS,
    last_sent_at=s.maybe(s.moment("When it was last told something, tests included.")),
    last_skipped=s.maybe(s.text("Why nobody was told then; null where messages were queued.")),
    last_messages=s.anything("How its last messages stand: status and how many."),
    created_at=s.moment(),
    updated_at=s.moment(),
)
SETTINGS: Final[dict[str, s.Schema]] = {
    "reminder_minutes": s.maybe(
        s.whole("Between two reminders of a channel; null without.", low=preferences.LEAST_MINUTES,
                high=preferences.MOST_MINUTES)
    ),
    "group_wait_seconds": s.whole("How long a channel waits for more alerts.", high=preferences.MOST_SECONDS),
    "quiet_from": s.text("As 22:00, where the organization is; empty without quiet hours.", maxLength=5),
    "quiet_to": s.text("As 06:00; on the next day where it is earlier than the start.", maxLength=5),
    "critical_passes": s.yes_or_no("Whether critical alerts are told in quiet hours too."),
}  # fmt: skip
ALERT_SETTINGS: Final = s.record(**SETTINGS)
SETTINGS_CHANGES: Final = s.changes(**SETTINGS)
