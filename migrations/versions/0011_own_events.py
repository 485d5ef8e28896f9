"""What the portal told of integrations, warnings about webhooks that fail, and indexes for the list of events."""

import sqlalchemy as sa
from alembic import op

revision = "0011_own_events"
down_revision = "0010_job_progress"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("integrations", sa.Column("outage_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("integrations", sa.Column("reauth_told_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhooks", sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhooks", sa.Column("warned_percent", sa.Integer(), nullable=True))
    op.create_index(
        "ix_webhooks_failing",
        "webhooks",
        ["failing_since"],
        unique=False,
        sqlite_where=sa.text("failing_since IS NOT NULL"),
        postgresql_where=sa.text("failing_since IS NOT NULL"),
    )
    op.create_index(
        "ix_events_by_type", "events", ["organization_id", "event_type", sa.literal_column("id DESC")], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_events_by_type", table_name="events")
    op.drop_index("ix_webhooks_failing", table_name="webhooks")
    op.drop_column("webhooks", "warned_percent")
    op.drop_column("webhooks", "last_failure_at")
    op.drop_column("integrations", "reauth_told_at")
    op.drop_column("integrations", "outage_since")
