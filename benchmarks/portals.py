"""The portal as a contestant: its own commands as processes, on SQLite or PostgreSQL."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.contestants import THREADS
from benchmarks.instances import DELIVERED, Ask, Instance, Instances
from benchmarks.processes import Program, cpu_seconds, measured, own, portal, running

FILL = 500
"""Events a commit while a queue is filled, the most that the API takes."""
READY = "ready to hand over"


@dataclass
class RunningPortal:
    """Processes of a portal that run."""

    instance: Instance
    ask: Ask
    accepter: Program | None
    workers: list[Program]
    server_pid: int = 0
    """Of PostgreSQL; 0 with SQLite."""

    def accept(self, count: int, *, batch: int = 1) -> float:
        """Accept events; see contestants.System."""
        if self.accepter is None:
            raise RuntimeError("this portal was started to drain")
        return float(self.accepter.ask(count=count, threads=THREADS, batch=batch)["began"])

    def recorded(self) -> int:
        """Count stored results."""
        return int(self.ask(f"SELECT count(*) FROM {DELIVERED}")[0][0])

    def release(self) -> None:
        """Let the queue be sent."""
        self.instance.release()

    def cpu(self) -> Mapping[str, float]:
        """Return the CPU seconds of the portal's processes and, apart, of PostgreSQL."""
        programs = [*self.workers, *([self.accepter] if self.accepter else [])]
        return {
            "own": sum(each.cpu_seconds() for each in programs),
            "database": cpu_seconds(self.server_pid) if self.server_pid else 0.0,
        }


@dataclass(frozen=True)
class Portal:
    """The portal, as a contestant.

    Attributes:
        instances: where its fresh databases come from.
        postgres: whether it runs on PostgreSQL.
        synchronous: SQLite's mode where it is not the portal's own.
        workers: `portal worker` processes; on SQLite it is one.
        concurrency: requests in flight, in each process.
    """

    instances: Instances
    postgres: bool = False
    synchronous: str = ""
    workers: int = 1
    concurrency: int = 128

    @property
    def name(self) -> str:
        """What tables call it."""
        workers = f", {self.workers} workers" if self.workers > 1 else ""
        return f"portal, PostgreSQL{workers}" if self.postgres else f"portal, SQLite {self.synchronous or 'FULL'}"

    @contextmanager
    def running(self) -> Iterator[RunningPortal]:
        """Run it: on SQLite in one process that accepts and sends, on PostgreSQL in one that accepts and workers."""
        with ExitStack() as stack:
            instance, ask = self._instance(stack)
            workers = self._workers(stack, instance) if self.postgres else []
            mode = ["--synchronous", self.synchronous] if self.synchronous else []
            options = mode if self.postgres else ["--dispatch", *mode]
            accepter = stack.enter_context(
                running(measured("accepting", *options), instance.env, instance.folder, "accepting")
            )
            accepter.wait_for(READY)
            yield RunningPortal(instance, ask, accepter, workers, self._server_pid())

    @contextmanager
    def filled(self, count: int) -> Iterator[RunningPortal]:
        """Fill a queue while the webhook wants quiet, then run `portal worker`s, which find nothing to do yet."""
        with ExitStack() as stack:
            instance, ask = self._instance(stack)
            fill(instance, count)
            yield RunningPortal(instance, ask, None, self._workers(stack, instance), self._server_pid())

    def _instance(self, stack: ExitStack) -> tuple[Instance, Ask]:
        settings = {"delivery_concurrency": str(self.concurrency)}
        instance = self.instances.postgres(**settings) if self.postgres else self.instances.sqlite(**settings)
        stack.callback(self.instances.drop, instance)
        return instance, stack.enter_context(instance.connected())

    def _workers(self, stack: ExitStack, instance: Instance) -> list[Program]:
        programs = [
            stack.enter_context(running(portal("worker"), instance.env, instance.folder, f"worker-{number}"))
            for number in range(self.workers)
        ]
        for each in programs:
            each.wait_for("works without web")
        return programs

    def _server_pid(self) -> int:
        return self.instances.ground.postgres.server.pid if self.postgres else 0


def fill(instance: Instance, count: int) -> None:
    """Accept so many events while the webhook wants quiet, with nothing that could send them."""
    instance.pause()
    with running(own("accepting"), instance.env, instance.folder, "filling") as accepter:
        accepter.wait_for(READY)
        accepter.ask(count=count, threads=1, batch=FILL)
