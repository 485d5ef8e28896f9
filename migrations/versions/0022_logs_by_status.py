"""Health logs that did not pass are counted from their indexes alone, by status and by error."""

import sqlalchemy as sa
from alembic import op

revision = "0022_logs_by_status"
down_revision = "0021_attempts_by_number"
branch_labels = None
depends_on = None

TABLE = "health_logs"
BY_STATUS, BY_ERROR = "ix_health_logs_by_status", "ix_health_logs_by_error"
NEWEST = (sa.text("checked_at DESC"), sa.text("id DESC"))
NOT_PASSED = sa.text("status != 'success'")


def upgrade() -> None:
    _index(BY_STATUS, "organization_id", "status", *NEWEST)
    op.drop_index(op.f(BY_ERROR), TABLE)
    _index(BY_ERROR, "organization_id", "error_class", *NEWEST, "status")


def downgrade() -> None:
    op.drop_index(op.f(BY_STATUS), TABLE)
    op.drop_index(op.f(BY_ERROR), TABLE)
    _index(BY_ERROR, "organization_id", "error_class", *NEWEST)


def _index(name: str, *columns: str | sa.TextClause) -> None:
    op.create_index(op.f(name), TABLE, list(columns), sqlite_where=NOT_PASSED, postgresql_where=NOT_PASSED)
