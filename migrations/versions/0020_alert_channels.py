"""Who is told of alerts: channels, settings, what each channel knows, notifications; members who want text messages."""

import sqlalchemy as sa
from alembic import op

revision = "0020_alert_channels"
down_revision = "0019_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_opt_ins()
    _create_channels()
    _create_settings()
    _create_notices()
    _create_notifications()


def downgrade() -> None:
    op.drop_index(op.f("ix_notification_alerts_alert_id"), table_name="notification_alerts")
    op.drop_table("notification_alerts")
    for name in ("channel", "organization"):
        op.drop_index(f"ix_notifications_of_{name}", table_name="notifications")
    op.drop_table("notifications")
    for name in ("pending", "due", "alert_id"):
        op.drop_index(f"ix_alert_notices_{name}", table_name="alert_notices")
    op.drop_table("alert_notices")
    op.drop_table("alert_settings")
    op.drop_index(op.f("ix_alert_channels_organization_id"), table_name="alert_channels")
    op.drop_table("alert_channels")
    op.drop_table("sms_opt_ins")


def _refers(table: str, column: str, target: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete=ondelete)


def _create_opt_ins() -> None:
    op.create_table(
        "sms_opt_ins",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _refers("sms_opt_ins", "user_id", "users"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_sms_opt_ins")),
    )


def _create_channels() -> None:
    op.create_table(
        "alert_channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("audience", sa.String(length=10), nullable=False),
        sa.Column("member_ids", sa.JSON(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=True),
        sa.Column("minimum", sa.String(length=10), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("digest_at", sa.String(length=5), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _refers("alert_channels", "organization_id", "organizations"),
        _refers("alert_channels", "integration_id", "integrations", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_channels")),
    )
    op.create_index(op.f("ix_alert_channels_organization_id"), "alert_channels", ["organization_id"])


def _create_settings() -> None:
    op.create_table(
        "alert_settings",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("reminder_minutes", sa.Integer(), nullable=True),
        sa.Column("group_wait_seconds", sa.Integer(), nullable=False),
        sa.Column("quiet_from", sa.String(length=5), nullable=False),
        sa.Column("quiet_to", sa.String(length=5), nullable=False),
        sa.Column("critical_passes", sa.Boolean(), nullable=False),
        _refers("alert_settings", "organization_id", "organizations"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_alert_settings")),
    )


def _create_notices() -> None:
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("told", sa.String(length=10), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_severity", sa.String(length=10), nullable=False),
        sa.Column("pending", sa.String(length=10), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        _refers("alert_notices", "organization_id", "organizations"),
        _refers("alert_notices", "channel_id", "alert_channels"),
        _refers("alert_notices", "alert_id", "alerts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_notices")),
        sa.UniqueConstraint("channel_id", "alert_id", name=op.f("uq_alert_notices_channel_id_alert_id")),
    )
    there = sa.text("due_at IS NOT NULL")
    op.create_index(op.f("ix_alert_notices_alert_id"), "alert_notices", ["alert_id"])
    op.create_index("ix_alert_notices_due", "alert_notices", ["due_at"], sqlite_where=there, postgresql_where=there)
    op.create_index(
        "ix_alert_notices_pending",
        "alert_notices",
        ["organization_id", "channel_id"],
        sqlite_where=there,
        postgresql_where=there,
    )


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("channel_name", sa.String(length=100), nullable=False),
        sa.Column("channel_kind", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("resolved", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.String(length=300), nullable=False),
        sa.Column("asked_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _refers("notifications", "organization_id", "organizations"),
        _refers("notifications", "channel_id", "alert_channels", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("ix_notifications_of_organization", "notifications", ["organization_id", "id"])
    op.create_index("ix_notifications_of_channel", "notifications", ["channel_id", "id"])
    op.create_table(
        "notification_alerts",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        _refers("notification_alerts", "notification_id", "notifications"),
        _refers("notification_alerts", "alert_id", "alerts"),
        sa.PrimaryKeyConstraint("notification_id", "alert_id", name=op.f("pk_notification_alerts")),
    )
    op.create_index(op.f("ix_notification_alerts_alert_id"), "notification_alerts", ["alert_id"])
