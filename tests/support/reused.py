"""A PostgreSQL database that tests use one after another: making one for each test would take most of their time."""

from typing import Any

import psycopg
from psycopg import sql

from tests.support.postgres import Cluster

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
SHAPE = """
    SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
        SELECT concat_ws(':', relname, relkind, attname, a.xmin) AS line FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(':', conname, c.xmin) FROM pg_constraint c
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(':', tgname, t.xmin) FROM pg_trigger t WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(':', proname, p.xmin) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'analyzed ' || starelid FROM pg_statistic WHERE starelid >= 16384
    ) AS lines
"""
"""Changes with every table, column, index, constraint, trigger and function, and with statistics of tables."""
KEPT = "SELECT tablename FROM pg_tables WHERE schemaname = 'kept' ORDER BY tablename"
"""What the template holds stands a second time in a schema beside the tests' own."""


class ReusedDatabase:
    """One database, as it was at first whenever a test begins."""

    def __init__(self, cluster: Cluster, name: str, template: str) -> None:
        """Make it as a copy of a template."""
        self._cluster, self._name, self._template = cluster, name, template
        self._connection: psycopg.Connection[Any] | None = None
        self._make()

    def wipe(self) -> None:
        """Put the rows of the template back in place of what a test left, or make it anew if the schema changed."""
        for pid in self._ask("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"):
            if pid != self._open().info.backend_pid:
                self._open().execute("SELECT pg_terminate_backend(%s, 1000)", [pid])
        if self._ask(SHAPE)[0] != self._shape:
            self._make()
        else:
            self._put_back()

    def close(self) -> None:
        """Let go of it."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _make(self) -> None:
        self.close()
        self._cluster.drop_database(self._name)
        self.url = self._cluster.create_database(self._name, template=self._template)
        self._connection = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
        self._tables = self._ask(TABLES)
        self._shape = self._ask(SHAPE)[0]
        # Neither triggers nor foreign keys may hinder what follows.
        self._connection.execute("SET session_replication_role = replica")
        self._connection.execute("CREATE SCHEMA kept")
        for table in self._filled():
            self._connection.execute(sql.SQL("CREATE TABLE kept.{0} AS TABLE public.{0}").format(sql.Identifier(table)))

    def _put_back(self) -> None:
        kept = self._ask(KEPT)
        emptied = sorted({*self._filled(), *kept})
        statements = [sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, emptied)))]
        statements += [sql.SQL("INSERT INTO public.{0} TABLE kept.{0}").format(sql.Identifier(each)) for each in kept]
        self._open().execute(sql.SQL("; ").join(statements))

    def _filled(self) -> list[str]:
        look = sql.SQL("(SELECT {} FROM public.{} LIMIT 1)")
        looks = [look.format(sql.Literal(table), sql.Identifier(table)) for table in self._tables]
        return self._ask(sql.SQL(" UNION ALL ").join(looks))

    def _ask(self, query: Any) -> list[Any]:
        return [row[0] for row in self._open().execute(query).fetchall()]

    def _open(self) -> psycopg.Connection[Any]:
        assert self._connection, "it was closed"
        return self._connection
