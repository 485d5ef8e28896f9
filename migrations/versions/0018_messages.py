"""Messages and each try to send them."""

import sqlalchemy as sa
from alembic import op

revision = "0018_messages"
down_revision = "0017_scheduler"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_messages()
    _create_tries()
    op.create_index("ix_messages_of_organization", "messages", ["organization_id", "id"], unique=False)
    op.create_index("ix_messages_by_status", "messages", ["organization_id", "status", "id"], unique=False)
    op.create_index("ix_messages_of_entity", "messages", ["organization_id", "entity_type", "entity_id"], unique=False)
    for name, column in (("ix_messages_due", "due_at"), ("ix_messages_claimed", "lease_until")):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "messages", [column], unique=False, sqlite_where=there, postgresql_where=there)


def downgrade() -> None:
    op.drop_index("ix_message_tries_pauses", table_name="message_tries")
    op.drop_table("message_tries")
    for name in ("claimed", "due", "of_entity", "by_status", "of_organization"):
        op.drop_index(f"ix_messages_{name}", table_name="messages")
    op.drop_table("messages")


def _words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)


def _create_messages() -> None:
    statuses = ("scheduled", "queued", "sending", "sent", "delivered", "failed", "canceled", "unknown", "received")
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("channel", _words("channel", "email", "sms", "chat"), nullable=False),
        sa.Column("direction", _words("direction", "out", "in"), nullable=False),
        sa.Column("status", _words("message_status", *statuses), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("to_address", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("entity_type", sa.String(length=40), nullable=False),
        sa.Column("entity_id", sa.String(length=64), nullable=False),
        sa.Column("pinned_integration_id", sa.Uuid(), nullable=True),
        sa.Column("avoid", sa.JSON(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_class", sa.String(length=30), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_messages_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_messages_organization_id_key")),
    )


def _create_tries() -> None:
    op.create_table(
        "message_tries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("integration_name", sa.String(length=100), nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("outcome", sa.String(length=30), nullable=True),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("message", sa.String(length=1000), nullable=False),
        sa.Column("provider_id", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_message_tries_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_tries")),
        sa.UniqueConstraint("message_id", "number", name=op.f("uq_message_tries_message_id_number")),
    )
    op.create_index(
        "ix_message_tries_pauses",
        "message_tries",
        ["integration_id", "retry_at"],
        unique=False,
        sqlite_where=sa.text("retry_at IS NOT NULL"),
        postgresql_where=sa.text("retry_at IS NOT NULL"),
    )
