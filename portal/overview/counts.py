"""What the navigation counts: integrations in error or at the sandbox, critical alerts, dead letters."""

import uuid
from typing import Final, NamedTuple, cast

from sqlalchemy import bindparam, literal_column, select

from portal.alerts import queries as alerts
from portal.integrations import queries as integrations
from portal.paging import counting
from portal.prepared import Prepared
from portal.webhooks import dead_letter_queries
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.models import Delivery

MOST: Final = 999
"""Nobody reads more in a navigation; counting stops at the next."""


class Counts(NamedTuple):
    """Integrations and alerts are counted up to paging.COUNT_LIMIT and one, dead letters up to MOST and one."""

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
        alerts.CRITICAL_OPEN.scalar_subquery(), counting(_DEAD, literal_column(str(MOST + 1))).scalar_subquery(),
    )
)  # fmt: skip
