"""Celery and Dramatiq with Redis as contestants: an enqueuing process and workers, results in PostgreSQL."""

import base64
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from benchmarks.contestants import THREADS
from benchmarks.processes import Program, beside, cpu_seconds, own, running
from benchmarks.servers import Ground

QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
WORKERS = {
    "celery": ("celery", "-A", "benchmarks.celery_tasks", "worker", "--pool", "prefork", "--concurrency", "4", *QUIET),
    "dramatiq": ("dramatiq", "benchmarks.dramatiq_actors", "--processes", "2", "--threads", "64", "--skip-logging"),
}
TABLE = """CREATE TABLE results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
    duration_ms int NOT NULL, response_status int NOT NULL, request_headers jsonb NOT NULL,
    response_headers jsonb NOT NULL, response_body bytea NOT NULL)"""
NAMES = {"celery": "Celery, prefork 4", "dramatiq": "Dramatiq 2×64"}


@dataclass
class RunningBaseline:
    """Processes of a baseline that run."""

    ground: Ground
    env: Mapping[str, str]
    which: str
    folder: Path
    stack: ExitStack
    results: psycopg.Connection
    enqueuer: Program
    workers: list[Program] = field(default_factory=list)

    def accept(self, count: int, *, batch: int = 1) -> float:
        """Enqueue events; see contestants.System."""
        return float(self.enqueuer.ask(count=count, threads=THREADS, batch=batch)["began"])

    def recorded(self) -> int:
        """Count stored results."""
        row = self.results.execute("SELECT count(*) FROM results").fetchone()
        return int(row[0]) if row else 0

    def release(self) -> None:
        """Start the workers."""
        command = [sys.executable, "-m", *WORKERS[self.which]]
        self.workers.append(self.stack.enter_context(running(command, self.env, self.folder, f"{self.which}-worker")))

    def cpu(self) -> Mapping[str, float]:
        """Return the CPU seconds of enqueuer and workers and, apart, of PostgreSQL and Redis."""
        return {
            "own": sum(each.cpu_seconds() for each in (self.enqueuer, *self.workers)),
            "database": cpu_seconds(self.ground.postgres.server.pid),
            "broker": self.ground.redis_cpu(),
        }


@dataclass(frozen=True)
class Baseline:
    """Celery or Dramatiq, as a contestant."""

    ground: Ground
    which: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return NAMES[self.which]

    @contextmanager
    def running(self) -> Iterator[RunningBaseline]:
        """Run enqueuer and workers."""
        with self._begun() as system:
            system.release()
            if self.which == "celery":
                system.workers[0].wait_for("worker ready")
            yield system

    @contextmanager
    def filled(self, count: int) -> Iterator[RunningBaseline]:
        """Run the enqueuer with a full queue; `release` starts the workers."""
        with self._begun() as system:
            system.accept(count)
            yield system

    @contextmanager
    def _begun(self) -> Iterator[RunningBaseline]:
        """Empty queue and table, and run the enqueuer."""
        folder = self.ground.place(self.which)
        with ExitStack() as stack:
            results = stack.enter_context(psycopg.connect(self._database, autocommit=True))
            results.execute("TRUNCATE results")
            self.ground.empty_redis()
            enqueuer = stack.enter_context(running(own("enqueuing", self.which), self._env, folder, "enqueuing"))
            enqueuer.wait_for("ready to hand over")
            yield RunningBaseline(self.ground, self._env, self.which, folder, stack, results, enqueuer)

    @cached_property
    def _env(self) -> dict[str, str]:
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        return {
            **beside(),
            "BENCH_REDIS": self.ground.redis_url,
            "BENCH_DATABASE": self._database,
            "BENCH_URL": self.ground.receiver.url,
            "BENCH_SECRET": f"whsec_{secret}",
        }

    @cached_property
    def _database(self) -> str:
        url = self.ground.postgres.create_database(f"results_{self.which}").replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLE)
        return url
