"""What the navigation counts: integrations in error or at the sandbox, critical alerts, dead letters."""

import uuid
from typing import Final, NamedTuple, cast

from sqlalchemy import bindparam, select

from portal.alerts import queries as alerts
from portal.integrations import queries as integrations
from portal.paging import counting
from portal.prepared import Prepared
from portal.webhooks import dead_letter_queries
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.models import Delivery


class Counts(NamedTuple):
    """Each is counted up to one more than paging.COUNT_LIMIT."""

    sandboxed: int
    failing: int
    critical: int
    """Alerts that nobody has acknowledged."""
    dead: int


def of(organization_id: uuid.UUID) -> Counts:
    """Return what the navigation of an organization's members counts."""
    return next(iter(_COUNTS.all(Counts, of=organization_id)))


_OF: Final = cast(uuid.UUID, bindparam("of", type_=Delivery.organization_id.type))
"""Stands for the organization, which is given at each run."""
_DEAD: Final = select(Delivery.id).where(*dead_letter_queries.conditions(_OF, DeadLetterFilters()))
# Every page asks for them, so they cost one way to the database.
_COUNTS: Final = Prepared(
    select(
        integrations.SANDBOXED.scalar_subquery(), integrations.FAILING.scalar_subquery(),
        alerts.CRITICAL_OPEN.scalar_subquery(), counting(_DEAD).scalar_subquery(),
    )
)  # fmt: skip
