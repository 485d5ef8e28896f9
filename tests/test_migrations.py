"""Migrations: up, down and up again on both databases, no drift from the models, and a copy before an upgrade."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import column, insert, inspect, table, text
from sqlalchemy.exc import DBAPIError

from portal import ROOT, keyring, migrating
from portal.database import Base, db, new_id
from portal.integrations.models import Integration
from portal.settings import Settings, SettingsError
from tests.conftest import make_app, settings_for
from tests.support.people import make_team
from tests.support.postgres import Cluster

MOMENT = datetime(2025, 11, 21, 10, 28, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a portal whose database has no table."""
    if request.param == "sqlite":
        yield settings_for(tmp_path)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.create_database("empty")
    yield replace(settings_for(tmp_path), database_url=url)
    cluster.drop_database("empty")


@pytest.fixture
def bare(empty: Settings) -> Iterator[Flask]:
    """An application on a database without tables."""
    app = make_app(empty)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def shape(app: Flask) -> dict[str, object]:
    """Return what the database is made of: tables with columns, indexes, foreign keys, and triggers."""
    with app.app_context(), db.engine.connect() as connection:
        found = inspect(connection)
        tables = {
            name: (
                [(each["name"], str(each["type"]), each["nullable"]) for each in found.get_columns(name)],
                sorted(str(each["name"]) for each in found.get_indexes(name)),
                sorted(str(each["name"]) for each in found.get_foreign_keys(name)),
            )
            for name in sorted(found.get_table_names())
        }
        return {"tables": tables, "triggers": triggers(connection.dialect.name)}


def triggers(dialect: str) -> list[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[dialect]
    with db.engine.connect() as connection:
        return sorted(connection.execute(text(query)).scalars())


def revisions(app: Flask) -> list[str]:
    """Return the names of all migrations, the first one first; branches would not do."""
    with app.app_context():
        scripts = ScriptDirectory.from_config(app.extensions["migrate"].migrate.get_config())
    assert len(scripts.get_heads()) == 1
    return [each.revision for each in scripts.walk_revisions()][::-1]


def tables(app: Flask) -> set[str]:
    with app.app_context():
        found = inspect(db.engine).get_table_names()
        db.session.remove()
    return set(found)


def test_up_down_to_nothing_and_up_again(bare: Flask) -> None:
    assert migrating.upgrade(bare) is True
    first = shape(bare)
    assert tables(bare) == set(Base.metadata.tables) | {"alembic_version"}
    with bare.app_context():
        downgrade(revision="base")
        db.session.remove()
    assert tables(bare) == {"alembic_version"}
    with bare.app_context(), db.engine.connect() as connection:
        assert triggers(connection.dialect.name) == []
    assert migrating.upgrade(bare) is True
    assert shape(bare) == first
    assert migrating.upgrade(bare) is False, "there is nothing more to do"


def test_every_step_goes_down_and_up_by_itself(bare: Flask) -> None:
    migrating.upgrade(bare)
    last = shape(bare)
    steps = len(revisions(bare))
    with bare.app_context():
        for _ in range(steps):
            downgrade(revision="-1")
        for _ in range(steps):
            upgrade(revision="+1")
        db.session.remove()
    assert shape(bare) == last


def test_the_models_and_the_migrations_agree(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_there_is_one_line_of_migrations_named_in_words(app: Flask) -> None:
    names = revisions(app)
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(name[4] == "_" and name[5:].replace("_", "").isalpha() for name in names)


def test_the_audit_trail_is_guarded_by_the_database_itself(app: Flask) -> None:
    make_team(app)
    for statement in ("UPDATE audit_entries SET action = 'x'", "DELETE FROM audit_entries", "DELETE FROM audit_heads"):
        with app.app_context(), db.engine.connect() as connection, pytest.raises(DBAPIError, match="audit"):
            connection.execute(text(statement))


def test_data_survives_an_upgrade(bare: Flask) -> None:
    with bare.app_context():
        upgrade(revision="0003_integrations")
        db.session.remove()
    keyring.load(bare)
    make_team(bare, "Kept")
    migrating.upgrade(bare)
    with bare.app_context(), db.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM organizations")).scalars().all() == ["Kept"]


def test_integrations_of_before_share_places_for_checks_by_their_server(bare: Flask) -> None:
    with bare.app_context():
        upgrade(revision="0013_health_rollups")
        db.session.remove()
    keyring.load(bare)
    team = make_team(bare, "Kept")
    columns = [each for each in Integration.__table__.columns if each.name != "check_group"]
    old = table("integrations", *(column(each.name, each.type) for each in columns))
    same = {"organization_id": team.organization_id, "type": "email", "capabilities": ["email"], "enabled": True,
            "status": "active", "error_count": 0, "health_check_interval_minutes": 5, "next_check_kind": "scheduled",
            "created_at": MOMENT, "updated_at": MOMENT}  # fmt: skip
    kinds = [
        ("smtp", {"host": "mail.example"}, False),
        ("smtp", {}, True),
        ("twilio", {}, True),
        ("sendgrid", {}, False),
    ]
    with bare.app_context(), db.engine.begin() as connection:
        for number, (provider, config, sandbox) in enumerate(kinds):
            more = {"id": new_id(), "provider": provider, "config": config, "sandbox": sandbox, "name": f"N{number}"}
            connection.execute(insert(old).values(name_key=f"n{number}", **more, **same))
    migrating.upgrade(bare)
    with bare.app_context(), db.engine.connect() as connection:
        found = connection.execute(text("SELECT check_group FROM integrations ORDER BY name")).scalars().all()
    assert found == ["smtp:mail.example", "smtp::sandbox", "twilio:sandbox", "sendgrid"]


def test_several_processes_may_upgrade_at_the_same_time(
    empty: Settings, start_app: Callable[[Settings], Flask]
) -> None:
    """As when workers are started with a new version; each has connections of its own."""
    apps = [start_app(empty) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        changed = [each.result(timeout=60) for each in [pool.submit(migrating.upgrade, app) for app in apps]]
    assert sorted(changed) == [False, False, True]
    assert tables(apps[0]) == set(Base.metadata.tables) | {"alembic_version"}


SQLITE = pytest.mark.parametrize("empty", ["sqlite"], indirect=True)


def backups(settings: Settings) -> list[Path]:
    return sorted((settings.instance_dir / "backups").glob("*.db"))


def older(app: Flask) -> None:
    """Take the database one migration back."""
    with app.app_context():
        downgrade(revision="-1")
        db.session.remove()


@SQLITE
def test_a_file_is_copied_before_it_is_changed(bare: Flask, empty: Settings) -> None:
    migrating.upgrade(bare)
    assert backups(empty) == [], "there was nothing to copy"
    keyring.load(bare)
    make_team(bare, "Kept")
    older(bare)
    with time_machine.travel(MOMENT, tick=False):
        migrating.upgrade(bare)
    [copy] = backups(empty)
    before = str(ScriptDirectory(str(ROOT / "migrations")).get_revision("head").down_revision)
    assert copy.name == f"before-upgrade-20251121-102812-000000-{before}.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM organizations").fetchall() == [("Kept",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@SQLITE
def test_only_the_newest_copies_are_kept(bare: Flask, empty: Settings) -> None:
    migrating.upgrade(bare)
    (empty.instance_dir / "backups").mkdir()
    mine = empty.instance_dir / "backups" / "my-own.db"
    mine.touch()
    for number in range(7):
        older(bare)
        with time_machine.travel(MOMENT + timedelta(hours=number), tick=False):
            migrating.upgrade(bare)
    kept = [each.name[15:30] for each in backups(empty) if each != mine]
    assert kept == [f"20251121-{hour}2812" for hour in (12, 13, 14, 15, 16)]
    assert mine.exists()


@SQLITE
def test_two_upgrades_within_a_second_copy_twice(bare: Flask, empty: Settings) -> None:
    migrating.upgrade(bare)
    with time_machine.travel(MOMENT):
        for _ in range(2):
            older(bare)
            migrating.upgrade(bare)
    assert len(backups(empty)) == 2


@SQLITE
def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    bare: Flask, empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bare.app_context():
        upgrade(revision="0002_accounts")
        db.session.remove()
    before = shape(bare)
    monkeypatch.setattr("alembic.operations.Operations.create_index", _refuse)
    with pytest.raises(LookupError):
        migrating.upgrade(bare)
    with bare.app_context():
        db.session.remove()
    monkeypatch.undo()
    assert shape(bare) == before
    assert migrating.upgrade(bare) is True


def _refuse(*_args: object, **_more: object) -> None:
    raise LookupError


def test_a_database_of_a_newer_portal_is_refused_in_words(bare: Flask) -> None:
    migrating.upgrade(bare)
    with bare.app_context(), db.engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
        connection.commit()
    before = shape(bare)
    with pytest.raises(SettingsError, match="newer"):
        migrating.upgrade(bare)
    assert shape(bare) == before


def test_a_database_that_cannot_be_reached_is_said_in_words(
    tmp_path: Path, start_app: Callable[[Settings], Flask]
) -> None:
    url = "postgresql+psycopg://portal:a-password@127.0.0.1:1/portal"
    app = start_app(replace(settings_for(tmp_path), database_url=url))
    with pytest.raises(SettingsError) as caught:
        migrating.upgrade(app)
    assert "\n" not in str(caught.value)
    assert "a-password" not in str(caught.value)
    assert "database" in str(caught.value)
