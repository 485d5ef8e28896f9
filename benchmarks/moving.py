"""Moves an instance from SQLite to PostgreSQL, table by table, so that both hold the same rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.instances import Instance, Instances

AT_ONCE = 10_000
"""Rows that are read together."""


def on_postgres(instances: Instances, instance: Instance) -> Instance:
    """Return an instance on PostgreSQL that holds what one on SQLite does, and is run with the same keys.

    Args:
        instances: makes the database.
        instance: on SQLite; nobody writes to it meanwhile.
    """
    there = instances.postgres()
    with (
        closing(sqlite3.connect(instance.folder / "portal.db")) as file,
        psycopg.connect(there.database.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        connection.execute("SET session_replication_role = replica")  # rows come before those that they refer to
        connection.execute("SET timezone = 'UTC'")
        for table in _tables(connection):
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))
        for table in _tables(connection):
            _copy(file, connection, table)
        connection.execute("VACUUM ANALYZE")
    env = {**instance.env, "PORTAL_DATABASE_URL": there.env["PORTAL_DATABASE_URL"]}
    env["PORTAL_INSTANCE_DIR"] = there.env["PORTAL_INSTANCE_DIR"]
    return Instance(env=env, folder=there.folder, facts=instance.facts, database=there.database)


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    return [str(row[0]) for row in connection.execute(query)]


def _copy(file: sqlite3.Connection, connection: psycopg.Connection[Any], table: str) -> None:
    names = [str(row[1]) for row in file.execute(f'PRAGMA table_info("{table}")')]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in _rows(file, table, names):
            copy.write_row(row)


def _rows(file: sqlite3.Connection, table: str, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    chosen = ", ".join(f'"{name}"' for name in names)
    cursor = file.execute(f'SELECT {chosen} FROM "{table}"')
    while rows := cursor.fetchmany(AT_ONCE):
        yield from rows
