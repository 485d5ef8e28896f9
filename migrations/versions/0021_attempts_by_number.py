"""Attempts are known by their delivery and number, so that one index is written for each of them in place of two."""

import sqlalchemy as sa
from alembic import op

revision = "0021_attempts_by_number"
down_revision = "0020_alert_channels"
branch_labels = None
depends_on = None

TABLE = "delivery_attempts"
KEY, UNIQUE = "pk_delivery_attempts", "uq_delivery_attempts_delivery_id_attempt_number"


def upgrade() -> None:
    with op.batch_alter_table(TABLE) as table:
        table.drop_constraint(op.f(KEY), type_="primary")
        table.drop_constraint(op.f(UNIQUE), type_="unique")
        table.drop_column("id")
        table.create_primary_key(op.f(KEY), ["delivery_id", "attempt_number"])


def downgrade() -> None:
    new = "lower(hex(randomblob(16)))" if op.get_bind().dialect.name == "sqlite" else "gen_random_uuid()"
    op.add_column(TABLE, sa.Column("id", sa.Uuid(), nullable=True))
    op.execute(f"UPDATE {TABLE} SET id = {new}")  # noqa: S608 - one of two texts
    with op.batch_alter_table(TABLE) as table:
        table.drop_constraint(op.f(KEY), type_="primary")
        table.alter_column("id", existing_type=sa.Uuid(), nullable=False)
        table.create_primary_key(op.f(KEY), ["id"])
        table.create_unique_constraint(op.f(UNIQUE), ["delivery_id", "attempt_number"])
