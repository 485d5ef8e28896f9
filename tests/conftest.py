"""Fixtures that every test shares: an application on a fresh, migrated database, on SQLite and on PostgreSQL."""

import ipaddress
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import create_app, keyring, migrating
from portal.accounts.hashing import use_hasher
from portal.database import db
from portal.security.passwords import PasswordHasher
from portal.settings import Settings
from tests.support.integrations import mail
from tests.support.people import admin, team
from tests.support.postgres import Cluster, start
from tests.support.reused import ReusedDatabase
from tests.support.templates import SharedTemplates

__all__ = ["admin", "mail", "team"]

Flask.jinja_options = {"bytecode_cache": SharedTemplates()}
MASTER_KEYS = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
TEMPLATE = "portal_template"


def settings_for(folder: Path, database_url: str = "") -> Settings:
    """Return settings of a portal that keeps everything in a folder and may reach loopback."""
    return Settings(
        instance_dir=folder,
        database_url=database_url or f"sqlite:///{folder / 'portal.db'}",
        secret_key="only-for-tests",
        master_keys=MASTER_KEYS,
        base_url="http://localhost",
        allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),),
    )


def make_app(settings: Settings) -> Flask:
    """Return an application with cheap password hashing."""
    app = create_app(settings)
    use_hasher(app, PasswordHasher(memory_kib=8, time_cost=1))
    app.testing = True
    return app


def migrated(settings: Settings) -> None:
    """Migrate a database, and make its keys."""
    app = make_app(settings)
    migrating.upgrade(app)
    with app.app_context():
        keyring.load(app)
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("template")
    migrated(settings_for(folder))
    return folder / "portal.db"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this worker."""
    running = start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def reused(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReusedDatabase]:
    """A migrated PostgreSQL database for one test after another."""
    migrated(settings_for(tmp_path_factory.mktemp("template"), cluster.create_database(TEMPLATE)))
    reused = ReusedDatabase(cluster, "portal_tests", TEMPLATE)
    yield reused
    reused.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a portal with a migrated database of its own."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "portal.db")
        yield settings_for(tmp_path)
        return
    database: ReusedDatabase = request.getfixturevalue("reused")
    yield settings_for(tmp_path, database.url)
    database.wipe()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """An application on a fresh database."""
    app = make_app(settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def start_app() -> Iterator[Callable[[Settings], Flask]]:
    """Makes more applications, as other processes would; their connections are closed at the end."""
    started: list[Flask] = []

    def start(settings: Settings) -> Flask:
        started.append(make_app(settings))
        return started[-1]

    yield start
    for each in started:
        with each.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without script."""
    return app.test_client()
