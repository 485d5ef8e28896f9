"""Health logs rolled up into hours and days."""

import sqlalchemy as sa
from alembic import op

revision = "0013_health_rollups"
down_revision = "0012_runs_of_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_rollups",
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.String(length=4), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("observed_ms", sa.Integer(), nullable=False),
        sa.Column("down_ms", sa.Integer(), nullable=False),
        sa.Column("histogram", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["integration_id"],
            ["integrations.id"],
            name=op.f("fk_health_rollups_integration_id_integrations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("integration_id", "span", "start", name=op.f("pk_health_rollups")),
    )
    op.create_index("ix_health_rollups_age", "health_rollups", ["span", "start"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_health_rollups_age", table_name="health_rollups")
    op.drop_table("health_rollups")
