"""A delivery that is sent again starts its retries anew; an index for lists by event type."""

import sqlalchemy as sa
from alembic import op

revision = "0009_attempts_before"
down_revision = "0008_replay_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("attempts_before", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_deliveries_by_type",
        "deliveries",
        ["organization_id", "event_type", sa.literal_column("id DESC")],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_by_type", table_name="deliveries")
    op.drop_column("deliveries", "attempts_before")
