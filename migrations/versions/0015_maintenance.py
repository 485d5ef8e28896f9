"""Maintenance of integrations, and the time that rollups leave out for it."""

import sqlalchemy as sa
from alembic import op

revision = "0015_maintenance"
down_revision = "0014_states_of_integrations"
branch_labels = None
depends_on = None

OWNERS = ("organization", "integration")


def upgrade() -> None:
    op.create_table(
        "maintenance_windows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.String(length=10), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [f"{each}_id"], [f"{each}s.id"],
                name=op.f(f"fk_maintenance_windows_{each}_id_{each}s"), ondelete="CASCADE",
            )
            for each in OWNERS
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_windows")),
    )  # fmt: skip
    op.create_index("ix_maintenance_windows_of_integration", "maintenance_windows", ["integration_id", "starts_at"])
    op.create_index("ix_maintenance_windows_of_organization", "maintenance_windows", ["organization_id"])
    op.add_column("health_rollups", sa.Column("maintenance_ms", sa.Integer(), nullable=False, server_default="0"))
    for name in ("maintenance_from", "maintenance_until"):
        op.add_column("integrations", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_integrations_maintenance",
        "integrations",
        ["maintenance_until"],
        unique=False,
        sqlite_where=sa.text("maintenance_until IS NOT NULL"),
        postgresql_where=sa.text("maintenance_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_integrations_maintenance", table_name="integrations")
    for name in ("maintenance_until", "maintenance_from"):
        op.drop_column("integrations", name)
    op.drop_column("health_rollups", "maintenance_ms")
    op.drop_table("maintenance_windows")
