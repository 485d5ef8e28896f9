"""Runs the migrations inside the application, the same ones on SQLite and PostgreSQL."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from portal.database import Base, UTCDateTime, db


def render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Write the project's own types in SQLAlchemy's words: a migration must not change when our code does."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        words = ", ".join(repr(str(each)) for each in item.enums)
        return f"sa.Enum({words}, name={item.name!r}, native_enum=False, create_constraint=True, length={item.length})"
    return False


def run() -> None:
    """Run every step in one transaction; SQLite rebuilds a table where it cannot alter it."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            render_item=render,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()
