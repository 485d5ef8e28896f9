"""Statements that run thousands of times a second: compiled once for each database, handed to the driver as they are.

SQLAlchemy's own way looks a statement up, builds a context and wraps each row; on the path of the deliveries that is
most of the work. Statement, types and transaction stay SQLAlchemy's, so that a column changes in one place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import JSON, ColumnElement, Dialect
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import UpdateBase
from sqlalchemy.sql.selectable import Select

from portal.database import connection

Convert = Callable[[Any], Any]
Row = TypeVar("Row")


class Prepared:
    """One statement. Its parameters are all given by name, as bindparam() or as columns of an insert."""

    def __init__(self, statement: Select[*tuple[Any, ...]] | UpdateBase, *, inserts: Sequence[str] = ()) -> None:
        """Keep a statement; it is compiled when it first runs.

        Args:
            statement: without lists that are expanded, which differ from one run to the next.
            inserts: names of the columns, where it is an insert.
        """
        self._statement: Final = statement
        self._inserts: Final = list(inserts) or None
        self._compiled: dict[str, _Compiled] = {}

    def all(self, make: Callable[..., Row], **values: Any) -> list[Row]:
        """Run a select inside the transaction under way, and return what `make` makes of the columns of each row.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        compiled = self._for(connection())
        cursor = compiled.run(connection(), values)
        try:
            return [make(*map(_converted, compiled.results, row)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def many(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of the rows inside the transaction under way.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        if rows:
            self._for(connection()).run_many(connection(), rows)

    def _for(self, open_connection: Connection) -> "_Compiled":
        dialect = open_connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement, self._inserts, dialect)
        return found


class _Compiled:
    """A statement as one database takes it."""

    def __init__(self, statement: Any, inserts: list[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=inserts)
        self.text = str(compiled)
        self.names: list[str] = list(compiled.positiontup or compiled.binds)
        self.by_place = bool(compiled.positional)
        self.fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required and not inserts}
        self.converts: list[tuple[str, Convert | None]] = [
            (name, _bind(compiled.binds[name], dialect)) for name in self.names
        ]
        columns: Sequence[ColumnElement[Any]] = list(statement.selected_columns) if statement.is_select else []
        self.results = [_result(column, dialect) for column in columns]

    def parameters(self, row: Mapping[str, Any]) -> Any:
        values = {**self.fixed, **row} if self.fixed else row
        if self.by_place:
            return [values[name] if convert is None else convert(values[name]) for name, convert in self.converts]
        return {name: values[name] if convert is None else convert(values[name]) for name, convert in self.converts}

    def run(self, within: Connection, row: Mapping[str, Any]) -> DBAPICursor:
        return self._guarded(within, lambda cursor: cursor.execute(self.text, self.parameters(row)))

    def run_many(self, within: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if len(rows) == 1:
            self.run(within, rows[0]).close()
            return
        values = [self.parameters(row) for row in rows]
        self._guarded(within, lambda cursor: cursor.executemany(self.text, values)).close()

    def _guarded(self, within: Connection, act: Callable[[DBAPICursor], object]) -> DBAPICursor:
        cursor = within.connection.cursor()
        base = within.dialect.loaded_dbapi.Error
        try:
            act(cursor)
        except base as error:
            cursor.close()
            raise DBAPIError.instance(
                self.text, None, error, base, hide_parameters=True, dialect=within.dialect
            ) from error
        return cursor


def _bind(bind: Any, dialect: Dialect) -> Convert | None:
    found: Convert | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return found if found is None or isinstance(bind.type, JSON) else _remembering(found)


def _remembering(convert: Convert) -> Convert:
    """Return a conversion that knows the last value again: rows of one batch share moments, states and tokens."""
    last: tuple[Any, Any] = (None, convert(None))

    def converted(value: Any) -> Any:
        nonlocal last
        known, result = last
        if value is not known:
            result = convert(value)
            last = (value, result)
        return result

    return converted


def _result(column: ColumnElement[Any], dialect: Dialect) -> Convert | None:
    found: Convert | None = column.type.dialect_impl(dialect).result_processor(dialect, None)
    return found


def _converted(convert: Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)
