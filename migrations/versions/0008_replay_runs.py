"""Runs that retry or discard many dead letters, and an index of the dead letters by cause."""

import sqlalchemy as sa
from alembic import op

revision = "0008_replay_runs"
down_revision = "0007_idempotency_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replay_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column(
            "action",
            sa.Enum("retry", "discard", name="run_action", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("cutoff", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.Uuid(), nullable=True),
        sa.Column("started_by", sa.String(length=100), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_replay_runs_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay_runs")),
    )
    op.create_index(
        "ix_replay_runs_newest", "replay_runs", ["organization_id", sa.literal_column("id DESC")], unique=False
    )
    op.create_index(
        "ix_replay_runs_unfinished",
        "replay_runs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_dead_letters",
        "deliveries",
        ["organization_id", "webhook_id", "error_class", "id", "status"],
        unique=False,
        sqlite_where=sa.text("status = 'dlq'"),
        postgresql_where=sa.text("status = 'dlq'"),
    )


def downgrade() -> None:
    op.drop_index("ix_dead_letters", table_name="deliveries")
    op.drop_index("ix_replay_runs_unfinished", table_name="replay_runs")
    op.drop_index("ix_replay_runs_newest", table_name="replay_runs")
    op.drop_table("replay_runs")
