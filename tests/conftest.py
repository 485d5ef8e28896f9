"""Fixtures that every test shares: an application on a fresh, migrated database, on SQLite and on PostgreSQL."""

import ipaddress
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings

from portal import create_app, keyring, migrating
from portal.accounts.hashing import use_hasher
from portal.database import db
from portal.security.passwords import PasswordHasher
from portal.settings import Settings
from tests.support.integrations import mail
from tests.support.people import admin, team
from tests.support.postgres import Cluster, start
from tests.support.reused import ReusedDatabase
from tests.support.shared import SharedApp
from tests.support.templates import SharedTemplates

__all__ = ["admin", "mail", "team"]

Flask.jinja_options = {"bytecode_cache": SharedTemplates()}
MASTER_KEYS = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
TEMPLATE = "portal_template"
KINDS = ("sqlite", "postgresql")

# A busy machine may stop any single example for a while; pytest's own time limit is enough.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


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
    close(app)


def close(app: Flask) -> None:
    """Close the connections of an application."""
    with app.app_context():
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


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The instance folder of each kind of database, for one test after another."""
    return {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Iterator[Settings]:
    """Settings of a portal with a migrated database and an instance folder that hold nothing else."""
    folder = folders[request.param]
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "portal.db")
        yield settings_for(folder)
    else:
        database: ReusedDatabase = request.getfixturevalue("reused")
        yield settings_for(folder, database.url)
        database.wipe()
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.fixture(scope="session")
def shared_apps() -> dict[str, SharedApp]:
    """The application of each database, for one test after another."""
    return {}


@pytest.fixture
def app(settings: Settings, shared_apps: dict[str, SharedApp]) -> Iterator[Flask]:
    """An application on a fresh database. A test that adds routes makes one of its own with start_app."""
    shared = shared_apps.get(settings.database_url)
    if shared is None:
        shared = shared_apps[settings.database_url] = SharedApp(make_app(settings))
    keyring.init_app(shared.app, settings.master_keys)
    yield shared.app
    shared.restore()
    close(shared.app)


@pytest.fixture
def start_app() -> Iterator[Callable[[Settings], Flask]]:
    """Makes more applications, as other processes would; their connections are closed at the end."""
    started: list[Flask] = []

    def start(settings: Settings) -> Flask:
        started.append(make_app(settings))
        return started[-1]

    yield start
    for each in started:
        close(each)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without script."""
    return app.test_client()
