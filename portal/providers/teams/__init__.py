"""The Microsoft Teams provider; TEAMS is its one instance."""

from typing import Final

from portal.providers.base import Capability, Limit
from portal.providers.teams.errors import ROWS
from portal.providers.teams.provider import DOCS, FIELDS, Teams

TEAMS: Final = Teams(
    slug="teams",
    name="Microsoft Teams",
    capabilities=(Capability.CHAT,),
    summary="Posts alerts to one Teams channel or chat, as cards.",
    needs="The URL of a workflow that starts when a Teams webhook request is received.",
    fields=FIELDS,
    errors=ROWS,
    limits=(
        Limit(
            what="messages",
            count=4,
            seconds=1,
            source="https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using",
        ),
    ),
    docs=DOCS,
    check_proves=False,
)
