"""Alerts and their changes, dead letters by the minute, and what was last found of each audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0019_alerts"
down_revision = "0018_messages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_checks",
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("first_bad_seq", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("whole_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_checks")),
    )
    op.create_index(op.f("ix_audit_checks_due_at"), "audit_checks", ["due_at"])

    op.create_table(
        "dead_letter_counts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_dead_letter_counts_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "minute", name=op.f("pk_dead_letter_counts")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("message", sa.String(length=1000), nullable=False),
        sa.Column("impact", sa.String(length=500), nullable=False),
        sa.Column("hint", sa.String(length=1000), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=200), nullable=False),
        sa.Column("acknowledge_note", sa.String(length=500), nullable=False),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.String(length=20), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["integration_id"],
            ["integrations.id"],
            name=op.f("fk_alerts_integration_id_integrations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_alerts_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_alerts_webhook_id_webhooks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_of_integration", "alerts", ["integration_id"])
    op.create_index("ix_alerts_of_webhook", "alerts", ["webhook_id"])
    op.create_index(
        "ix_alerts_resolved",
        "alerts",
        ["organization_id", sa.literal_column("resolved_at DESC"), sa.literal_column("id DESC")],
        sqlite_where=sa.text("resolved_at IS NOT NULL"),
        postgresql_where=sa.text("resolved_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alerts_unresolved",
        "alerts",
        ["organization_id", "state", "severity", "since", "id"],
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(
        "uq_alerts_unresolved_cause",
        "alerts",
        ["organization_id", "cause"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )

    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_name", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_alert_changes_alert_id_alerts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_alert_changes_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_changes")),
    )
    op.create_index("ix_alert_changes_of_alert", "alert_changes", ["alert_id", "at", "id"])
    op.create_index(
        "ix_alert_changes_unhandled",
        "alert_changes",
        ["organization_id", "id"],
        sqlite_where=sa.text("handled_at IS NULL"),
        postgresql_where=sa.text("handled_at IS NULL"),
    )

    op.create_index(
        "ix_integrations_in_error",
        "integrations",
        ["organization_id"],
        sqlite_where=sa.text("status = 'error'"),
        postgresql_where=sa.text("status = 'error'"),
    )

    op.create_index(
        "ix_webhooks_disabled_by_portal",
        "webhooks",
        ["organization_id"],
        sqlite_where=sa.text("disabled_reason != ''"),
        postgresql_where=sa.text("disabled_reason != ''"),
    )


def downgrade() -> None:
    op.drop_index("ix_webhooks_disabled_by_portal", table_name="webhooks")

    op.drop_index("ix_integrations_in_error", table_name="integrations")

    op.drop_index("ix_alert_changes_unhandled", table_name="alert_changes")
    op.drop_index("ix_alert_changes_of_alert", table_name="alert_changes")

    op.drop_table("alert_changes")
    op.drop_index("uq_alerts_unresolved_cause", table_name="alerts")
    op.drop_index("ix_alerts_unresolved", table_name="alerts")
    op.drop_index("ix_alerts_resolved", table_name="alerts")
    op.drop_index("ix_alerts_of_webhook", table_name="alerts")
    op.drop_index("ix_alerts_of_integration", table_name="alerts")

    op.drop_table("alerts")
    op.drop_table("dead_letter_counts")
    op.drop_index(op.f("ix_audit_checks_due_at"), table_name="audit_checks")

    op.drop_table("audit_checks")
