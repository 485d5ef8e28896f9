"""Plans that PostgreSQL would choose with other statistics: what holds only under the usual plan does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from portal.database import db


@contextmanager
def without_sorts_and_hashes(app: Flask) -> Iterator[None]:
    """Leave PostgreSQL nothing to sort or hash with, until the block ends: the application is other tests' too."""
    with app.app_context():
        engine = db.engine
    event.listen(engine, "connect", _take_away)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "connect", _take_away)
        engine.dispose()


def _take_away(connection: Any, _record: object) -> None:
    for way in ("hashjoin", "hashagg", "sort", "mergejoin", "material"):
        connection.execute(f"SET enable_{way} = off")
    connection.commit()
