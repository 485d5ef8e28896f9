"""Statements that run thousands of times a second: compiled once for each database, handed to the driver as they are.

SQLAlchemy's own way looks a statement up, builds a context and wraps each row; on the path of the deliveries that is
most of the work. Statement, types and transaction stay SQLAlchemy's, so that a column changes in one place.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from itertools import chain, starmap
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Dialect,
    Insert,
    LargeBinary,
    String,
    Text,
    bindparam,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import UpdateBase
from sqlalchemy.sql.selectable import Select

from portal.database import connection

Convert = Callable[[Any], Any]
Read = Callable[[Iterable[Any]], Iterable[Any]]
Row = TypeVar("Row")
_NAMED: Final = re.compile(r"%\((\w+)\)s")
_VALUES: Final = re.compile(r"(.* VALUES )(\([?, ]*\))(.*)", re.DOTALL)
_NOTHING: Final = object()
MOST_ROWS: Final = 64
"""Rows of one insert on SQLite; a power of two, as are smaller ones, so that there are few statements."""
_ENCODER: Final = json.JSONEncoder(check_circular=False)


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
            columns = zip(*cursor.fetchall(), strict=True)
            converted = [read(column) for read, column in zip(compiled.results, columns, strict=False)]
            return list(starmap(make, zip(*converted, strict=True)))
        finally:
            cursor.close()

    def many(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of the rows inside the transaction under way.

        Rows of an insert that changes what is there already must not have a key twice.

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
    """A statement as one database takes it, with its parameters by place."""

    def __init__(self, statement: Any, inserts: list[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=inserts)
        self.text, names = _by_place(compiled)
        self.names = names
        self.fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required and not inserts}
        self.converts = [_bind(compiled.binds[name], dialect) for name in names]
        columns: Sequence[ColumnElement[Any]] = list(statement.selected_columns) if statement.is_select else []
        self.results = [_result(column, dialect) for column in columns]
        self.of_arrays = ""
        self.of_rows = _of_rows(self.text) if inserts and compiled.positional else None
        if inserts and dialect.name == "postgresql":
            self.of_arrays, _ = _by_place(_from_arrays(statement, names).compile(dialect=dialect))
            self.of_arrays += _on_conflict(self.text)

    def run(self, within: Connection, row: Mapping[str, Any]) -> DBAPICursor:
        values = {**self.fixed, **row} if self.fixed else row
        given = [
            values[name] if convert is None else convert(values[name])
            for name, convert in zip(self.names, self.converts, strict=True)
        ]
        return self._guarded(within, lambda cursor: cursor.execute(self.text, given))

    def run_many(self, within: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if len(rows) == 1:
            self.run(within, rows[0]).close()
            return
        columns = [
            [self.fixed[name]] * len(rows) if name in self.fixed else _column([row[name] for row in rows], convert)
            for name, convert in zip(self.names, self.converts, strict=True)
        ]
        if self.of_arrays:
            arrays = [_array(column) for column in columns]
            self._guarded(within, lambda cursor: cursor.execute(self.of_arrays, arrays)).close()
            return
        values = list(zip(*columns, strict=True))
        if self.of_rows:
            write = self.of_rows
            self._guarded(within, lambda cursor: _insert(cursor, write, values)).close()
            return
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


def _on_conflict(text: str) -> str:
    """Return what an insert does with rows that are there already, as it says it; nothing where it says nothing.

    Raises:
        ValueError: it has parameters there, which would be those of one row.
    """
    _, begin, clause = text.partition(" ON CONFLICT ")
    if "%s" in clause:
        raise ValueError("what is done with rows that are there must not need parameters")
    return begin + clause


def _of_rows(text: str) -> Callable[[int], str] | None:
    """Return what writes the insert of one row for several; None where it is not that simple."""
    found = _VALUES.fullmatch(text)
    if found is None or "?" in found[3]:
        return None
    return cache(lambda size: f"{found[1]}{', '.join([found[2]] * size)}{found[3]}")


def _insert(cursor: DBAPICursor, write: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows by statements of many: SQLite's driver hands the interpreter over at each statement."""
    at = 0
    while at < len(rows):
        size = min(MOST_ROWS, 1 << ((len(rows) - at).bit_length() - 1))
        cursor.execute(write(size), list(chain.from_iterable(rows[at : at + size])))
        at += size


def _by_place(compiled: Any) -> tuple[str, list[str]]:
    """Return the text of a statement with its parameters by place, and their names in that order."""
    text, names = str(compiled), compiled.positiontup
    if compiled.literal_execute_params:  # values that an index is told by, written into the text
        written = compiled.construct_expanded_state(
            {name: None for name, bind in compiled.binds.items() if bind.required}
        )
        text, names = written.statement, written.positiontup
    if compiled.positional:
        return text, list(names)
    return _NAMED.sub("%s", text), _NAMED.findall(text)


def _from_arrays(statement: Any, names: Sequence[str]) -> Insert:
    """Return the insert of many rows with one array for each column: for PostgreSQL one statement in place of many."""
    table = statement.table
    # A cast to a text of limited length would cut what is too long, where storing it is an error.
    types = {name: Text() if isinstance(table.c[name].type, String) else table.c[name].type for name in names}
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    given = func.unnest(*arrays).table_valued(*[column(name, kind) for name, kind in types.items()]).render_derived()
    return insert(table).from_select(names, select(*given.c), include_defaults=False)


def _column(values: Sequence[Any], convert: Convert | None) -> Sequence[Any]:
    """Convert what is stored in one column. Rows of a batch share moments, states and tokens: these only once."""
    if convert is None:
        return values
    converted: list[Any] = []
    last = made = _NOTHING
    for value in values:
        if value is not last:
            last, made = value, convert(value)
        converted.append(made)
    return converted


def _array(values: Sequence[Any]) -> str:
    """Return an array as PostgreSQL writes it (its manual, "Array Input"); the driver's own way takes far longer."""
    return "{" + ",".join([_ITEMS.get(type(value), _quoted)(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_ITEMS: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _value: "NULL",
    int: str,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    datetime: datetime.isoformat,
    uuid.UUID: attrgetter("hex"),
}


def _bind(bind: Any, dialect: Dialect) -> Convert | None:
    if isinstance(bind.type, JSON):
        return _ENCODER.encode
    if isinstance(bind.type, LargeBinary):
        return None  # both drivers take bytes as they are
    found: Convert | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return found


def _result(column: ColumnElement[Any], dialect: Dialect) -> Read:
    """Return what converts the values read from a column."""
    convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
    if convert is None or isinstance(column.type, LargeBinary):
        return lambda values: values
    if isinstance(column.type, JSON):  # may be changed, so each row has its own
        return lambda values: map(convert, values)
    return partial(_read, convert)


def _read(convert: Convert, values: Iterable[Any]) -> list[Any]:
    """Convert what was read. Where the same stands in several rows, as ids of webhooks do, they share the result."""
    known: dict[Any, Any] = {}
    return [known[value] if value in known else known.setdefault(value, convert(value)) for value in values]
