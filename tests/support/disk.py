"""A disk without room, for tests on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from portal.database import db

PLENTY = 1 << 30


class Disk:
    """The disk of an application; what needs more pages than there are fails while it is full."""

    def __init__(self) -> None:
        """Begin with room."""
        self.full = False

    def limit(self, connection: Any, *_: object) -> None:
        """Tell a connection that is about to be used; a limit below what is in use stops growth, and nothing else."""
        connection.execute(f"PRAGMA max_page_count={1 if self.full else PLENTY}")


@contextmanager
def disk_of(app: Flask) -> Iterator[Disk]:
    """Watch over the disk of an application."""
    disk = Disk()
    with app.app_context():
        engine = db.engine
    event.listen(engine, "checkout", disk.limit)
    try:
        yield disk
    finally:
        disk.full = False
        event.remove(engine, "checkout", disk.limit)
        engine.dispose()
