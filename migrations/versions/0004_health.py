"""Health logs and runs of Health check all."""

import sqlalchemy as sa
from alembic import op

revision = "0004_health"
down_revision = "0003_integrations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_health_logs()
    _create_health_check_runs()


def downgrade() -> None:
    op.drop_index("ix_health_check_runs_newest", table_name="health_check_runs")
    op.drop_table("health_check_runs")
    op.drop_index("ix_health_logs_of_run", table_name="health_logs")
    op.drop_index("ix_health_logs_of_organization", table_name="health_logs")
    op.drop_index("ix_health_logs_of_integration", table_name="health_logs")
    op.drop_table("health_logs")


def _create_health_logs() -> None:
    op.create_table(
        "health_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("check_type", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("response_time_ms", sa.Integer(), nullable=True),
        sa.Column("error_class", sa.String(length=30), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.String(length=1000), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["integration_id"],
            ["integrations.id"],
            name=op.f("fk_health_logs_integration_id_integrations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_health_logs_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_logs")),
    )
    op.create_index(
        "ix_health_logs_of_integration",
        "health_logs",
        ["integration_id", sa.literal_column("checked_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_health_logs_of_organization",
        "health_logs",
        ["organization_id", sa.literal_column("checked_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_health_logs_of_run",
        "health_logs",
        ["run_id"],
        unique=False,
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )


def _create_health_check_runs() -> None:
    op.create_table(
        "health_check_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(length=100), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_health_check_runs_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_check_runs")),
    )
    op.create_index(
        "ix_health_check_runs_newest",
        "health_check_runs",
        ["organization_id", sa.literal_column("started_at DESC")],
        unique=False,
    )
