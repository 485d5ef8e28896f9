"""Indexes for counting integrations by how they are, and for finding checks that did not pass."""

import sqlalchemy as sa
from alembic import op

revision = "0014_states_of_integrations"
down_revision = "0013_health_rollups"
branch_labels = None
depends_on = None

LIVE = "deleted_at IS NULL"
NOT_PASSED = "status != 'success'"
SANDBOXED = {"sqlite": "deleted_at IS NULL AND sandbox = 1", "postgresql": "deleted_at IS NULL AND sandbox"}


def upgrade() -> None:
    op.create_index(
        "ix_integrations_states",
        "integrations",
        ["organization_id", "status", "enabled", "condition", "deleted_at"],
        unique=False,
        sqlite_where=sa.text(LIVE),
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "ix_integrations_sandboxed",
        "integrations",
        ["organization_id", "sandbox", "deleted_at"],
        unique=False,
        sqlite_where=sa.text(SANDBOXED["sqlite"]),
        postgresql_where=sa.text(SANDBOXED["postgresql"]),
    )
    newest_first: list[sa.ColumnElement[object]] = [sa.literal_column("checked_at DESC"), sa.literal_column("id DESC")]
    for name, columns in (
        ("ix_health_logs_of_errors", ["organization_id"]),
        ("ix_health_logs_by_error", ["organization_id", "error_class"]),
    ):  # fmt: skip
        op.create_index(
            name,
            "health_logs",
            [*columns, *newest_first],
            unique=False,
            sqlite_where=sa.text(NOT_PASSED),
            postgresql_where=sa.text(NOT_PASSED),
        )


def downgrade() -> None:
    op.drop_index("ix_health_logs_by_error", table_name="health_logs")
    op.drop_index("ix_health_logs_of_errors", table_name="health_logs")
    op.drop_index("ix_integrations_sandboxed", table_name="integrations")
    op.drop_index("ix_integrations_states", table_name="integrations")
