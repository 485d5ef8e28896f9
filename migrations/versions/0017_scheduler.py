"""Checks share places by the server they go to, urgent ones come first, and schedulers say that they look."""

import sqlalchemy as sa
from alembic import op

revision = "0017_scheduler"
down_revision = "0016_retention"
branch_labels = None
depends_on = None

URGENT = sa.text("next_check_at IS NOT NULL AND next_check_kind != 'scheduled'")
HOST = {"sqlite": "coalesce(json_extract(config, '$.host'), '')", "postgresql": "coalesce(config->>'host', '')"}


def upgrade() -> None:
    group = sa.Column("check_group", sa.String(length=320), nullable=False, server_default=sa.text("''"))
    op.add_column("integrations", group)
    host, sandbox = HOST[op.get_bind().dialect.name], "CASE WHEN sandbox THEN '\\:sandbox' ELSE '' END"
    server = f"CASE WHEN provider = 'smtp' THEN 'smtp\\:' || {host} ELSE provider END"
    op.execute(f"UPDATE integrations SET check_group = {server} || {sandbox}")  # noqa: S608 - no value from outside
    op.create_index(
        "ix_integrations_urgent", "integrations", ["next_check_at"], sqlite_where=URGENT, postgresql_where=URGENT
    )
    op.create_table(
        "scheduler_ticks",
        sa.Column("process", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_scheduler_ticks")),
    )


def downgrade() -> None:
    op.drop_table("scheduler_ticks")
    op.drop_index("ix_integrations_urgent", table_name="integrations")
    op.drop_column("integrations", "check_group")
