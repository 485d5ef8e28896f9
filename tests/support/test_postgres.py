"""The throw-away PostgreSQL of the tests."""

from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support import postgres


def _fetch(url: str, query: str) -> object:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text(query)).scalar_one()
    finally:
        engine.dispose()


def test_a_server_lives_from_start_to_stop() -> None:
    cluster = postgres.start()
    try:
        url = cluster.create_database("some-name")
        assert _fetch(url, "SELECT current_database()") == "some-name"
        assert _fetch(url, "SELECT upper('straße, ŵ')") == "STRASSE, Ŵ".replace("SS", "ß")
        assert _fetch(url, "SHOW server_encoding") == "UTF8"
        with psycopg.connect(url.replace("+psycopg", "")):
            cluster.drop_database("some-name")
        cluster.drop_database("some-name")
        assert _fetch(cluster.url, "SELECT count(*) FROM pg_database WHERE datname = 'some-name'") == 0
        wrong = cluster.url.replace(cluster.password, "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong.replace("+psycopg", ""))
    finally:
        cluster.stop()
    assert cluster.server.poll() is not None
    assert not cluster.folder.exists()
    cluster.stop()


def test_without_programs_the_start_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_programs", lambda: None)
    with pytest.raises(postgres.PostgresUnavailable, match=r"^No PostgreSQL found for the tests\. .*$"):
        postgres.start()


def test_a_taken_port_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = postgres.start()
    try:
        ports = iter([first.port, postgres._free_port()])
        monkeypatch.setattr(postgres, "_free_port", lambda: next(ports))
        second = postgres.start()
        second.stop()
        assert second.port != first.port
    finally:
        first.stop()


def test_what_a_failed_start_made_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(prefix: str) -> str:
        made.append(Path(mkdtemp(prefix=prefix)))
        return str(made[-1])

    monkeypatch.setattr("tempfile.mkdtemp", make)
    monkeypatch.setitem(postgres.SETTINGS, "no_such_setting", "on")
    with pytest.raises(postgres.PostgresUnavailable, match=r"did not start: .*no_such_setting"):
        postgres.start()
    assert len(made) == 1
    assert not made[0].exists()
