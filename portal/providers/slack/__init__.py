"""The Slack provider; SLACK is its one instance."""

from typing import Final

from portal.providers.base import Capability, Limit
from portal.providers.slack.errors import ROWS
from portal.providers.slack.provider import DOCS, FIELDS, HOSTS, Slack

SLACK: Final = Slack(
    slug="slack",
    name="Slack",
    capabilities=(Capability.CHAT,),
    summary="Posts alerts to one Slack channel.",
    needs="The URL of an incoming webhook, which a Slack app has for each channel.",
    fields=FIELDS,
    errors=ROWS,
    hosts=HOSTS,
    limits=(
        Limit(
            what="messages to one channel", count=1, seconds=1, source="https://docs.slack.dev/apis/web-api/rate-limits"
        ),
    ),
    docs=DOCS,
)
