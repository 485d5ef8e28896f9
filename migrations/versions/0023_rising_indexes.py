"""Indexes of events and deliveries rise, as their ids do, and that of event types knows the webhook.

At a falling end new rows move others to the next pages. With its webhook beside it, a rare type of one is found there.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0023_rising_indexes"
down_revision = "0022_logs_by_status"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_events_of_organization", "events", ("organization_id",)),
    ("ix_events_by_type", "events", ("organization_id", "event_type")),
    ("ix_deliveries_of_webhook", "deliveries", ("webhook_id",)),
    ("ix_deliveries_of_organization", "deliveries", ("organization_id",)),
    ("ix_deliveries_by_status", "deliveries", ("organization_id", "status")),
    ("ix_deliveries_by_type", "deliveries", ("organization_id", "event_type")),
)
BESIDE = {"ix_deliveries_by_type": ("webhook_id",)}
"""Columns after the id."""


def upgrade() -> None:
    for name, table, columns in INDEXES:
        _made_anew(name, table, [*columns, "id", *BESIDE.get(name, ())])


def downgrade() -> None:
    for name, table, columns in INDEXES:
        _made_anew(name, table, [*columns, sa.text("id DESC")])


def _made_anew(name: str, table: str, columns: Sequence[str | sa.TextClause]) -> None:
    op.drop_index(op.f(name), table)
    op.create_index(op.f(name), table, columns)
