"""The database that PostgreSQL's tests share: each begins with what the template holds, and nothing else."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.postgres import Cluster
from tests.support.reused import ReusedDatabase

SCHEMA = """
    CREATE TABLE parents (id int PRIMARY KEY, name text);
    CREATE TABLE children (id int PRIMARY KEY, parent_id int REFERENCES parents);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'kept for ever'; END $$;
    CREATE TRIGGER no_delete BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER no_truncate BEFORE TRUNCATE ON children FOR EACH STATEMENT EXECUTE FUNCTION refuse();
    INSERT INTO parents VALUES (1, 'first')
"""


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def database(cluster: Cluster) -> Iterator[ReusedDatabase]:
    run(cluster.create_database("pattern"), SCHEMA)
    database = ReusedDatabase(cluster, "copy", "pattern")
    yield database
    database.close()
    cluster.drop_database("copy")
    cluster.drop_database("pattern")


def test_what_a_test_wrote_is_gone_and_what_was_there_is_back(database: ReusedDatabase) -> None:
    run(database.url, "INSERT INTO parents VALUES (2, 'second'); INSERT INTO children VALUES (1, 2)")
    run(database.url, "UPDATE parents SET name = 'changed' WHERE id = 1")
    database.wipe()
    assert run(database.url, "SELECT id, name FROM parents") == [(1, "first")]
    assert run(database.url, "SELECT id FROM children") == []
    run(database.url, "DELETE FROM parents")
    database.wipe()
    assert run(database.url, "SELECT id, name FROM parents") == [(1, "first")]


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER no_delete ON children",
        "ALTER TABLE children DROP CONSTRAINT children_parent_id_fkey",
        "ALTER TABLE parents ADD COLUMN age int",
        "ALTER TABLE parents ALTER COLUMN name TYPE varchar(9)",
        "CREATE INDEX by_name ON parents (name)",
        "DROP TABLE children",
        "CREATE TABLE more (id int)",
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "ANALYZE parents",
    ],
)
def test_a_changed_schema_or_statistic_makes_it_anew(database: ReusedDatabase, change: str) -> None:
    before = run(database.url, "SELECT oid FROM pg_database WHERE datname = current_database()")
    database.wipe()
    assert run(database.url, "SELECT oid FROM pg_database WHERE datname = current_database()") == before
    run(database.url, change)
    database.wipe()
    assert run(database.url, "SELECT oid FROM pg_database WHERE datname = current_database()") != before
    assert run(database.url, "SELECT id, name FROM parents") == [(1, "first")]
    with pytest.raises(psycopg.errors.RaiseException, match="kept for ever"):
        run(database.url, "INSERT INTO children VALUES (1, 1); DELETE FROM children")


def test_a_connection_left_open_is_ended(database: ReusedDatabase) -> None:
    with psycopg.connect(database.url.replace("+psycopg", "")) as left:
        left.execute("INSERT INTO parents VALUES (2, 'not committed')")
        database.wipe()
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
