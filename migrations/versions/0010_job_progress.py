"""How far jobs came that work through a table by its ids."""

import sqlalchemy as sa
from alembic import op

revision = "0010_job_progress"
down_revision = "0009_attempts_before"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_progress",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("up_to", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_job_progress_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "job", name=op.f("pk_job_progress")),
    )
    op.create_index(
        "ix_events_of_organization", "events", ["organization_id", sa.literal_column("id DESC")], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_events_of_organization", table_name="events")
    op.drop_table("job_progress")
