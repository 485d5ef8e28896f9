"""SQLite instances with very many rows, each made with plain SQL once and kept in an ignored folder."""

import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from benchmarks.instances import Instance, Instances
from benchmarks.processes import ROOT, own, running
from benchmarks.servers import tell

CACHE = Path(__file__).resolve().parent / "cache"
# An id as of a UUID version 7 (RFC 9562): its milliseconds, then a number that no other row of the table has.
ID = "printf('%012x7%03x8%015x', :start + n * :step, n & 4095, {number})"
NUMBERS = "WITH RECURSIVE numbers(n) AS (VALUES(:first) UNION ALL SELECT n + 1 FROM numbers WHERE n < :last) "
Fill = Callable[[sqlite3.Connection, Mapping[str, str]], str]
"""Inserts the rows, and returns what addresses of pages need to know of them."""


def kept(instances: Instances, name: str, fill: Fill, *, made_by: Path, webhooks: int = 0) -> tuple[Instance, str]:
    """Return an instance with many rows, made now if there is none, and what its maker knows of them.

    Args:
        instances: where the first copy comes from.
        name: of the folder.
        fill: inserts the rows.
        made_by: the file that says how: rows of an older one are made anew.
        webhooks: how many the organization has.
    """
    folder = CACHE / f"{name}-{_made_from(made_by)}"
    if not (folder / "facts.json").is_file():
        _make(instances, folder, name, fill, webhooks)
    stored = json.loads((folder / "facts.json").read_text())
    env = {**stored["env"], "PORTAL_INSTANCE_DIR": str(folder)}
    # A session ends after some hours, so each run signs in anew.
    with running(own("seeding", "--again"), env, folder, "seeding") as program:
        facts = {**stored["facts"], **json.loads(program.wait_for("{"))}
    return Instance(env=env, folder=folder, facts=facts), stored["known"]


def _made_from(made_by: Path) -> str:
    """Return a digest of what the rows depend on: the migrations and the files that make them."""
    total = hashlib.sha256()
    for path in [*sorted((ROOT / "migrations" / "versions").glob("*.py")), Path(__file__), made_by]:
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def _make(instances: Instances, folder: Path, name: str, fill: Fill, webhooks: int) -> None:
    tell(f"    making {name} in {folder}, once")
    for old in CACHE.glob(f"{name}-*"):
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    template = instances.seeded(folder, [f"{instances.ground.receiver.url}/{number}" for number in range(webhooks)])
    began = time.monotonic()
    with closing(sqlite3.connect(folder / "portal.db", isolation_level=None)) as file:
        file.execute("PRAGMA synchronous=OFF")
        known = fill(file, template.facts)
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    env = {setting: value for setting, value in template.env.items() if setting != "PORTAL_INSTANCE_DIR"}
    stored = {"env": env, "facts": dict(template.facts), "known": known}
    (folder / "facts.json").write_text(json.dumps(stored))
    tell(f"    made in {time.monotonic() - began:.0f} s")
