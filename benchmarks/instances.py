"""Fresh instances of the portal, each a copy of one that was migrated and seeded once."""

import base64
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.processes import own, running
from benchmarks.servers import Ground

TEMPLATE = "portal_template"
DELIVERED = "deliveries WHERE status = 'success'"
Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A portal's place: its settings, and what is known of its database.

    Attributes:
        env: PORTAL_ variables.
        folder: the instance directory.
        facts: organization_id, webhook_id, token, cookie.
        database: URL of the PostgreSQL database; empty with SQLite.
    """

    env: Mapping[str, str] = field(repr=False)
    folder: Path
    facts: Mapping[str, str] = field(repr=False)
    database: str = field(default="", repr=False)

    @contextmanager
    def connected(self) -> Iterator[Ask]:
        """Connect to the database beside the portal; yields what runs a statement and returns its rows."""
        if not self.database:
            with closing(sqlite3.connect(self.folder / "portal.db", timeout=10, isolation_level=None)) as file:
                yield lambda statement: file.execute(statement).fetchall()
            return
        with psycopg.connect(self.database.replace("+psycopg", ""), autocommit=True) as connection:

            def ask(statement: str) -> list[tuple[Any, ...]]:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield ask

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement beside the portal and return its rows."""
        with self.connected() as ask:
            return ask(statement)

    def count(self, what: str) -> int:
        """Count rows; `what` is a table and perhaps a condition."""
        return int(self.sql(f"SELECT count(*) FROM {what}")[0][0])

    def pause(self) -> None:
        """Let the webhooks have asked for quiet: what is accepted waits."""
        self.sql("UPDATE webhooks SET paused_until = '2099-01-01 00:00:00.000000'")

    def release(self) -> None:
        """End the quiet: everything that waits is due."""
        self.sql("UPDATE webhooks SET paused_until = NULL")


class Instances:
    """Makes instances on one ground; what they are copies of is made when the first is asked for."""

    def __init__(self, ground: Ground) -> None:
        """Choose the keys that all of them share."""
        self.ground = ground
        self._keys = {
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(32),
            "PORTAL_MASTER_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
            "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        self._number = 0

    def sqlite(self, **settings: str) -> Instance:
        """Return a fresh instance on SQLite; keywords are further settings, by their lower-case names."""
        folder = self.ground.place("sqlite")
        shutil.copytree(self._sqlite.folder, folder, dirs_exist_ok=True)
        return Instance(env=self._env(folder, settings), folder=folder, facts=self._sqlite.facts)

    def postgres(self, **settings: str) -> Instance:
        """Return a fresh instance on PostgreSQL; keywords are further settings, by their lower-case names."""
        self._number += 1
        facts = self._postgres.facts
        url = self.ground.postgres.create_database(f"portal_{self._number}", template=TEMPLATE)
        folder = self.ground.place("postgres")
        env = self._env(folder, {**settings, "database_url": url})
        return Instance(env=env, folder=folder, facts=facts, database=url)

    def drop(self, instance: Instance) -> None:
        """Forget an instance that was measured, so that nothing tidies it up while others are."""
        if instance.database:
            self.ground.postgres.drop_database(instance.database.rpartition("/")[2])

    def _env(self, folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
        own_settings = {f"PORTAL_{name.upper()}": value for name, value in settings.items()}
        return {**self._keys, "PORTAL_INSTANCE_DIR": str(folder), **own_settings}

    @cached_property
    def _sqlite(self) -> Instance:
        return self.seeded(self.ground.place("template"), [self.ground.receiver.url])

    def seeded(self, folder: Path, urls: Sequence[str]) -> Instance:
        """Make an instance on SQLite in an empty folder, with a webhook to each address."""
        env = self._env(folder, {})
        return Instance(env=env, folder=folder, facts=_seed(env, folder, urls))

    @cached_property
    def _postgres(self) -> Instance:
        url = self.ground.postgres.create_database(TEMPLATE)
        folder = self.ground.place("template")
        env = self._env(folder, {"database_url": url})
        return Instance(env=env, folder=folder, facts=_seed(env, folder, [self.ground.receiver.url]), database=url)


def _seed(env: Mapping[str, str], folder: Path, urls: Sequence[str]) -> dict[str, str]:
    with running(own("seeding", *urls), env, folder, "seeding") as program:
        facts: dict[str, str] = json.loads(program.wait_for("{"))
        program.process.wait()
    return facts
