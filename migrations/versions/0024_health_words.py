"""Words of checks that did not pass, each text once. Those of logs that are there are noted later, by the jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0024_health_words"
down_revision = "0023_rising_indexes"
branch_labels = None
depends_on = None

TABLE = "health_logs"
WITHOUT, BY = "ix_health_logs_without_words", "ix_health_logs_by_words"


def upgrade() -> None:
    op.create_table(
        "health_words",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"],
            name=op.f("fk_health_words_organization_id_organizations"), ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_health_words")),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.add_column(TABLE, sa.Column("words_id", sa.Uuid(), nullable=True))
    newest = (sa.text("checked_at DESC"), sa.text("id DESC"))
    _index(WITHOUT, "status != 'success' AND words_id IS NULL", "organization_id", "words_id")
    _index(BY, "words_id IS NOT NULL", "words_id", *newest, "organization_id", "status", "check_type")


def downgrade() -> None:
    op.drop_index(op.f(BY), TABLE)
    op.drop_index(op.f(WITHOUT), TABLE)
    op.drop_column(TABLE, "words_id")
    op.drop_table("health_words")


def _index(name: str, where: str, *columns: str | sa.TextClause) -> None:
    condition = sa.text(where)
    op.create_index(op.f(name), TABLE, list(columns), sqlite_where=condition, postgresql_where=condition)
