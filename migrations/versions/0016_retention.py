"""How long an organization keeps things, where its admins changed that."""

import sqlalchemy as sa
from alembic import op

revision = "0016_retention"
down_revision = "0015_maintenance"
branch_labels = None
depends_on = None

NUMBERS = ("logs_days", "rollups_months", "deliveries_days", "bodies_days")


def upgrade() -> None:
    op.create_table(
        "organization_retention",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        *(sa.Column(each, sa.Integer(), nullable=False) for each in NUMBERS),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_retention_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization_retention")),
    )


def downgrade() -> None:
    op.drop_table("organization_retention")
