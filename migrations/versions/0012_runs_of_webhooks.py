"""Runs that send deliveries of one webhook again, or the events that it did not get."""

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations

revision = "0012_runs_of_webhooks"
down_revision = "0011_own_events"
branch_labels = None
depends_on = None

CHECK = "ck_replay_runs_run_action"


def upgrade() -> None:
    op.drop_index("ix_replay_runs_newest", table_name="replay_runs")
    op.drop_index("ix_replay_runs_unfinished", table_name="replay_runs")
    with op.batch_alter_table("replay_runs") as table:
        _check(table, "retry", "discard", "replay", "missing")
        table.add_column(sa.Column("webhook_id", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("counted_to", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("stopped", sa.String(length=20), nullable=True))
        table.create_foreign_key(
            op.f("fk_replay_runs_webhook_id_webhooks"), "webhooks", ["webhook_id"], ["id"], ondelete="CASCADE"
        )
    op.create_index(
        "ix_replay_runs_newest",
        "replay_runs",
        ["organization_id", "webhook_id", sa.literal_column("id DESC")],
        unique=False,
    )
    _index_unfinished()


def downgrade() -> None:
    op.drop_index("ix_replay_runs_newest", table_name="replay_runs")
    op.drop_index("ix_replay_runs_unfinished", table_name="replay_runs")
    op.execute("DELETE FROM replay_runs WHERE action NOT IN ('retry', 'discard')")
    with op.batch_alter_table("replay_runs") as table:
        _check(table, "retry", "discard")
        table.drop_constraint(op.f("fk_replay_runs_webhook_id_webhooks"), type_="foreignkey")
        for name in ("stopped", "counted_to", "webhook_id"):
            table.drop_column(name)
    op.create_index(
        "ix_replay_runs_newest", "replay_runs", ["organization_id", sa.literal_column("id DESC")], unique=False
    )
    _index_unfinished()


def _check(table: BatchOperations, *actions: str) -> None:
    table.drop_constraint(op.f(CHECK), type_="check")
    table.create_check_constraint(op.f(CHECK), f"action IN ({', '.join(repr(each) for each in actions)})")


def _index_unfinished() -> None:
    op.create_index(
        "ix_replay_runs_unfinished",
        "replay_runs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
