"""Migrations: bring the database up to date, with a copy first where it is a file."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade as run_upgrade
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal import clock
from portal.database import db
from portal.security.redaction import redact
from portal.settings import Settings, SettingsError

log = logging.getLogger("portal.migrating")
BACKUPS_KEPT = 5
ADVISORY_LOCK = 7_061_842_019
"""Any number that nothing else in the same PostgreSQL database locks."""


def upgrade(app: Flask) -> bool:
    """Bring the database up to date; returns whether there was anything to do.

    Several processes may do so at the same time: one migrates, the others wait for it. An existing SQLite file is
    copied into backups/ of the instance directory before it is changed.

    Raises:
        SettingsError: the database does not answer, or was made by a newer portal.
    """
    settings: Settings = app.extensions["portal_settings"]
    try:
        with app.app_context(), _alone(settings):
            if settings.sqlite_file:
                settings.sqlite_file.touch(mode=0o600)  # SQLite itself would let others read it
            current, newest = _revisions(app)
            if current == newest:
                return False
            if current and settings.sqlite_file:
                _copy(settings.sqlite_file, settings.instance_dir / "backups", current)
            run_upgrade()
            db.session.remove()
    except OperationalError as error:
        reason = redact(str(error.orig).strip().partition("\n")[0])
        raise SettingsError(f"The database cannot be used: {reason}. Mend that, or PORTAL_DATABASE_URL.") from error
    return True


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep other processes from migrating the same database."""
    if settings.sqlite_file:
        folder = os.open(settings.sqlite_file.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": ADVISORY_LOCK})


def _revisions(app: Flask) -> tuple[str | None, str | None]:
    scripts = ScriptDirectory.from_config(app.extensions["migrate"].migrate.get_config())
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current and current not in {each.revision for each in scripts.walk_revisions()}:
        raise SettingsError(f"This database was made by a newer portal ({current}). Start that one instead.")
    return current, scripts.get_current_head()


def _copy(file: Path, folder: Path, revision: str) -> Path:
    """Copy a SQLite file consistently, and keep only the newest copies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"before-upgrade-{clock.now():%Y%m%d-%H%M%S-%f}-{revision}.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    target.chmod(0o600)
    for old in sorted(folder.glob("before-upgrade-*.db"))[:-BACKUPS_KEPT]:
        old.unlink()
    log.info("copied the database to %s before the upgrade", target)
    return target
