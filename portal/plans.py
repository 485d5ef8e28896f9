"""How the databases are told to find rows where their own figures of the tables would lead them astray."""

from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from portal.database import connection


class aside(FunctionElement[Any]):  # noqa: N801 - is written like a function
    """A column to compare but not to look rows up by: `aside(Row.organization_id) == mine`.

    Without statistics, which nobody gathers for it, SQLite takes an index that begins with the organization, and reads
    all its rows, although a condition beside it names a few. An unary plus keeps it from that (sqlite.org/optoverview).
    """

    name = "aside"
    inherit_cache = True

    def __init__(self, column: Any) -> None:
        """Put a column aside."""
        super().__init__(column)
        self.type = column.type


@compiles(aside)
def _as_it_is(element: aside, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(aside, "sqlite")
def _with_plus(element: aside, compiler: Any, **kw: Any) -> str:
    return f"+{compiler.process(element.clauses, **kw)}"


class among(FunctionElement[bool]):  # noqa: N801 - is written like a function
    """Whether a column is one of the ids that a query finds: `among(Row.other_id, ids)`, to look rows up by each id.

    PostgreSQL would take `IN` for a join, and may read the whole other table for it; of an array it knows that the
    ids come first.
    """

    name = "among"
    inherit_cache = True
    type: Any = NullType()  # of a Boolean SQLAlchemy would ask on SQLite whether it is 1, which no index can answer

    def __init__(self, column: Any, ids: Select[Any]) -> None:
        """Say which column is one of which ids."""
        super().__init__(column, ids.scalar_subquery())


@compiles(among)
def _in_query(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **kw)} IN {compiler.process(ids, **kw)}"


@compiles(among, "postgresql")
def _in_array(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **kw)} = ANY (ARRAY{compiler.process(ids, **kw)})"


_BY_INDEX: Final = "SELECT " + ", ".join(
    f"set_config('enable_{way}', 'off', true)" for way in ("sort", "bitmapscan", "seqscan")
)


def by_index() -> None:
    """Let PostgreSQL go by indexes until the transaction under way ends: for what takes the first rows of a queue.

    A queue that grew since its last ANALYZE seems to have but a few rows. It then reads and sorts all of them for the
    first ones: 130 ms in place of 1 ms with 30,000 waiting.
    """
    if connection().dialect.name == "postgresql":
        connection().exec_driver_sql(_BY_INDEX)
