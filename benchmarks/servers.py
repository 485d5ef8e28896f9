"""What every measure stands on: a folder on a real disk, PostgreSQL, Redis, the receiver; each starts when needed."""

import json
import shutil
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.processes import PATIENCE, Failed, Program, beside, free_port, own, running
from tests.support import postgres
from tests.support.postgres import Cluster

DISK = Path("/var/tmp")  # noqa: S108 - of temporary places the one that is kept on disk; what is made there has a random name
READY_SECONDS = 20.0


class Receiver:
    """The receiver's process, and what can be asked of it."""

    def __init__(self, program: Program) -> None:
        """Find out where it listens."""
        self.program = program
        self.port = int(program.wait_for("receiver on ").split()[-1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def reset(self, *, delay_ms: int = 0) -> None:
        """Forget what came, and answer after so many milliseconds from now on."""
        self._get(f"/reset?delay_ms={delay_ms}")

    def wait(self, count: int) -> dict[str, Any]:
        """Return the figures once so many different webhook-ids came: count, requests, first, last."""
        figures: dict[str, Any] = self._get(f"/wait?count={count}")
        return figures

    def figures(self) -> dict[str, Any]:
        """Return what came so far: count, requests, first, last."""
        figures: dict[str, Any] = self._get("/figures")
        return figures

    def arrivals(self) -> dict[str, float]:
        """Return when each webhook-id came first, in seconds of the monotonic clock."""
        times: dict[str, float] = self._get("/arrivals")
        return times

    def _get(self, path: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        except TimeoutError:
            raise Failed(f"the receiver did not get what it was to wait for ({path})") from None
        finally:
            connection.close()


class Ground:
    """The servers that measures share; each is started the first time it is asked for, and all end together."""

    def __init__(self, *, redis_flushes: str = "everysec") -> None:
        """Prepare it; nothing runs yet.

        Args:
            redis_flushes: when Redis flushes what it appends, everysec (its own default) or always.
        """
        self._redis_flushes = redis_flushes
        self._stack = ExitStack()
        self._redis: Program | None = None
        self._redis_port = 0

    def __enter__(self) -> Self:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="portal-bench-", dir=DISK if DISK.is_dir() else None))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every server and remove the folder."""
        self._stack.close()

    @cached_property
    def receiver(self) -> Receiver:
        """The one receiver."""
        return Receiver(self._stack.enter_context(running(own("receiver"), beside(), self.folder, "receiver")))

    @cached_property
    def postgres(self) -> Cluster:
        """A PostgreSQL that flushes what it commits, with its own defaults."""
        cluster = _postgres_on_disk()
        self._stack.callback(cluster.stop)
        return cluster

    @cached_property
    def redis_url(self) -> str:
        """A Redis that appends what it takes to a file."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise Failed("There is no redis-server on the PATH. Run `make bench`, which looks for one.")
        self._redis_port = port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", self._redis_flushes]
        self._redis = self._stack.enter_context(running([program, *options, *durable], {}, self.folder, "redis"))
        self._redis.wait_for("Ready to accept connections", READY_SECONDS)
        return f"redis://127.0.0.1:{port}/0"

    def redis_cpu(self) -> float:
        """Return the CPU seconds that Redis has used so far."""
        return self._redis.cpu_seconds() if self._redis else 0.0

    def empty_redis(self) -> None:
        """Forget everything that Redis holds (its inline command, as one would type it)."""
        _ = self.redis_url
        with socket.create_connection(("127.0.0.1", self._redis_port), timeout=READY_SECONDS) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            if not connection.recv(100).startswith(b"+OK"):
                raise Failed("Redis did not forget what it holds")

    def place(self, name: str) -> Path:
        """Return a new folder on the real disk."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


def _postgres_on_disk() -> Cluster:
    """Start it in a folder on disk, wherever the user keeps temporary files; its account must be able to reach it."""
    before = tempfile.tempdir
    tempfile.tempdir = str(DISK) if DISK.is_dir() else None
    try:
        return postgres.start(durable=True)
    finally:
        tempfile.tempdir = before


def until(done: Any, what: str, *, every: float = 0.01, patience: float = PATIENCE) -> float:
    """Ask again and again until it is true; returns the moment of the monotonic clock at which it was.

    Raises:
        Failed: it took longer than `patience` seconds.
    """
    end = time.monotonic() + patience
    while not done():
        if time.monotonic() > end:
            raise Failed(f"{what} did not happen within {patience:.0f} s")
        time.sleep(every)
    return time.monotonic()


def tell(text: str) -> None:
    """Print what the person at the terminal waits for."""
    print(text, file=sys.stderr, flush=True)
