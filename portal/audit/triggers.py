"""Triggers that make the database itself refuse to change the audit trail; run by create_all and by the migrations.

They stop mistakes and careless tools. Who owns the database can drop them, and is found by the chain of hashes.
"""

from typing import Final

ENTRIES: Final = "audit entries cannot be changed"
HEADS: Final = "the head of an audit chain only moves forward"
BACKWARD: Final = "NEW.seq <= OLD.seq OR NEW.chain <> OLD.chain"


def _sqlite(name: str, event: str, message: str) -> str:
    return f"CREATE TRIGGER {name} BEFORE {event} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _function(name: str, message: str) -> str:
    body = f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS {body}"


def _postgresql(name: str, event: str, function: str, *, each: str = "ROW") -> str:
    event, _, when = event.partition(" WHEN ")
    condition = f" WHEN ({when})" if when else ""
    return f"CREATE TRIGGER {name} BEFORE {event} FOR EACH {each}{condition} EXECUTE FUNCTION {function}()"


SQLITE: Final = (
    _sqlite("audit_entries_no_update", "UPDATE ON audit_entries", ENTRIES),
    _sqlite("audit_entries_no_delete", "DELETE ON audit_entries", ENTRIES),
    _sqlite("audit_heads_forward", f"UPDATE ON audit_heads WHEN {BACKWARD}", HEADS),
    _sqlite("audit_heads_no_delete", "DELETE ON audit_heads", HEADS),
)
POSTGRESQL: Final = (
    _function("audit_entries_refuse", ENTRIES),
    _function("audit_heads_refuse", HEADS),
    _postgresql("audit_entries_no_change", "UPDATE OR DELETE ON audit_entries", "audit_entries_refuse"),
    _postgresql("audit_entries_no_truncate", "TRUNCATE ON audit_entries", "audit_entries_refuse", each="STATEMENT"),
    _postgresql("audit_heads_forward", f"UPDATE ON audit_heads WHEN {BACKWARD}", "audit_heads_refuse"),
    _postgresql("audit_heads_no_delete", "DELETE ON audit_heads", "audit_heads_refuse"),
    _postgresql("audit_heads_no_truncate", "TRUNCATE ON audit_heads", "audit_heads_refuse", each="STATEMENT"),
)
CREATE: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
"""Dialect name → statements to run once both tables are there."""

DROP: Final = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS audit_entries_no_update",
        "DROP TRIGGER IF EXISTS audit_entries_no_delete",
        "DROP TRIGGER IF EXISTS audit_heads_forward",
        "DROP TRIGGER IF EXISTS audit_heads_no_delete",
    ),
    "postgresql": (
        "DROP FUNCTION IF EXISTS audit_entries_refuse() CASCADE",
        "DROP FUNCTION IF EXISTS audit_heads_refuse() CASCADE",
    ),
}
"""Dialect name → statements that take the triggers away, before the tables are dropped."""
