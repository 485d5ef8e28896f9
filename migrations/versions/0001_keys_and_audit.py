"""Data keys, audit trail, credential accesses."""

import sqlalchemy as sa
from alembic import op

revision = "0001_keys_and_audit"
down_revision = None
branch_labels = None
depends_on = None

# The trail refuses changes by itself (portal/audit/triggers.py); written out, since a migration never changes.
CREATE = {
    "postgresql": [
        (
            "CREATE OR REPLACE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'audit entries cannot be changed'; END $$"
        ),
        (
            "CREATE OR REPLACE FUNCTION audit_heads_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE "
            "EXCEPTION 'the head of an audit chain only moves forward'; END $$"
        ),
        (
            "CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW "
            "EXECUTE FUNCTION audit_entries_refuse()"
        ),
        (
            "CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries FOR EACH STATEMENT "
            "EXECUTE FUNCTION audit_entries_refuse()"
        ),
        (
            "CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads FOR EACH ROW WHEN (NEW.seq <= "
            "OLD.seq OR NEW.chain <> OLD.chain) EXECUTE FUNCTION audit_heads_refuse()"
        ),
        (
            "CREATE TRIGGER audit_heads_no_delete BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION "
            "audit_heads_refuse()"
        ),
        (
            "CREATE TRIGGER audit_heads_no_truncate BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE "
            "FUNCTION audit_heads_refuse()"
        ),
    ],
    "sqlite": [
        (
            "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, 'audit "
            "entries cannot be changed'); END"
        ),
        (
            "CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries BEGIN SELECT RAISE(ABORT, 'audit "
            "entries cannot be changed'); END"
        ),
        (
            "CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads WHEN NEW.seq <= OLD.seq OR NEW.chain <> "
            "OLD.chain BEGIN SELECT RAISE(ABORT, 'the head of an audit chain only moves forward'); END"
        ),
        (
            "CREATE TRIGGER audit_heads_no_delete BEFORE DELETE ON audit_heads BEGIN SELECT RAISE(ABORT, 'the head "
            "of an audit chain only moves forward'); END"
        ),
    ],
}
DROP = {
    "postgresql": [
        "DROP FUNCTION IF EXISTS audit_entries_refuse() CASCADE",
        "DROP FUNCTION IF EXISTS audit_heads_refuse() CASCADE",
    ],
    "sqlite": [
        "DROP TRIGGER IF EXISTS audit_entries_no_update",
        "DROP TRIGGER IF EXISTS audit_entries_no_delete",
        "DROP TRIGGER IF EXISTS audit_heads_forward",
        "DROP TRIGGER IF EXISTS audit_heads_no_delete",
    ],
}


def upgrade() -> None:
    _create_data_keys()
    _create_audit_entries()
    _create_audit_heads()
    _create_credential_accesses()

    for statement in CREATE[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in DROP[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_index(op.f("ix_credential_accesses_organization_id_last_at_id"), table_name="credential_accesses")
    op.drop_index(op.f("ix_credential_accesses_integration_id_last_at"), table_name="credential_accesses")
    op.drop_table("credential_accesses")
    op.drop_table("audit_heads")
    op.drop_index(op.f("ix_audit_entries_chain_at_seq"), table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_index("uq_data_keys_active_purpose", table_name="data_keys")
    op.drop_table("data_keys")


def _create_data_keys() -> None:
    op.create_table(
        "data_keys",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("master_key_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active', 'retired')", name=op.f("ck_data_keys_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
    )
    op.create_index(
        "uq_data_keys_active_purpose",
        "data_keys",
        ["purpose"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("ip", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("target_type", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=200), nullable=False),
        sa.Column("target_name", sa.String(length=200), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("chain", "seq", name=op.f("uq_audit_entries_chain_seq")),
    )
    op.create_index(op.f("ix_audit_entries_chain_at_seq"), "audit_entries", ["chain", "at", "seq"], unique=False)


def _create_audit_heads() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )


def _create_credential_accesses() -> None:
    op.create_table(
        "credential_accesses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("integration_name", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("ip", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("outcome IN ('allowed', 'refused')", name=op.f("ck_credential_accesses_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_accesses")),
        sa.UniqueConstraint(
            "integration_id",
            "purpose",
            "actor_kind",
            "actor_name",
            "hour",
            name=op.f("uq_credential_accesses_integration_id_purpose_actor_kind_actor_name_hour"),
        ),
    )
    op.create_index(
        op.f("ix_credential_accesses_integration_id_last_at"),
        "credential_accesses",
        ["integration_id", "last_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_credential_accesses_organization_id_last_at_id"),
        "credential_accesses",
        ["organization_id", "last_at", "id"],
        unique=False,
    )
