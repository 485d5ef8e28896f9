"""Migrations: bring the database up to date, with a copy first where it is a file."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade as run_upgrade

from portal import clock
from portal.database import db
from portal.settings import Settings

log = logging.getLogger("portal.migrating")
BACKUPS_KEPT = 5


def upgrade(app: Flask) -> bool:
    """Bring the database up to date; returns whether there was anything to do.

    An existing SQLite file is copied into backups/ of the instance directory before it is changed.
    """
    with app.app_context():
        current, newest = _revisions(app)
        if current == newest:
            return False
        settings: Settings = app.extensions["portal_settings"]
        if current and settings.sqlite_file:
            _copy(settings.sqlite_file, settings.instance_dir / "backups", current)
        run_upgrade()
        db.session.remove()
    return True


def _revisions(app: Flask) -> tuple[str | None, str | None]:
    config = app.extensions["migrate"].migrate.get_config()
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(config).get_current_head()


def _copy(file: Path, folder: Path, revision: str) -> Path:
    """Copy a SQLite file consistently, and keep only the newest copies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"before-upgrade-{clock.now():%Y%m%d-%H%M%S}-{revision}.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    target.chmod(0o600)
    for old in sorted(folder.glob("before-upgrade-*.db"))[:-BACKUPS_KEPT]:
        old.unlink()
    log.info("copied the database to %s before the upgrade", target)
    return target
