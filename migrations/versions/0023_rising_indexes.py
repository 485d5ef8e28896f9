"""Indexes of events and deliveries rise, as their ids do: at a falling end new rows move others to the next pages."""

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


def upgrade() -> None:
    _by("id")


def downgrade() -> None:
    _by("id DESC")


def _by(order: str) -> None:
    for name, table, columns in INDEXES:
        op.drop_index(op.f(name), table)
        op.create_index(op.f(name), table, [*columns, sa.text(order)])
