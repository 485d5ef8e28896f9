"""Measures from the call that accepts an event to the stored result: one by one, in batches, and their CPU time."""

from statistics import median

from benchmarks.contestants import Contestant
from benchmarks.figures import Line, Target, rates
from benchmarks.measuring import Bench
from benchmarks.portals import Portal

FULL, NORMAL, POSTGRES = "portal, SQLite FULL", "portal, SQLite NORMAL", "portal, PostgreSQL"
BATCH = 100


def accept(bench: Bench) -> list[Line]:
    """Events one by one: SQLite FULL and NORMAL, PostgreSQL with one worker, against Celery."""
    celery = bench.celery
    contestants: list[Contestant] = [
        celery,
        Portal(bench.instances),
        Portal(bench.instances, synchronous="NORMAL"),
        Portal(bench.instances, postgres=True),
    ]
    count = bench.count(5_000, 500)
    samples = bench.take_turns(contestants, lambda each: bench.accept_to_recorded(each, count=count, batch=1))
    targets = {FULL: Target(5, 8), NORMAL: Target(10, 15), POSTGRES: Target(4, 7)}
    lines = rates("accept", samples, celery.name, targets)
    for name, target in ((FULL, Target(0.35, 0.15, "s")), (POSTGRES, Target(0.8, 0.4, "s"))):
        used = [each.cpu_per_1000() for each in samples[name]]
        lines.append(
            Line(
                measure="accept", name=f"CPU of {name}", values=used, unit="s/1,000", value=median(used), target=target,
                note="attempts captured; accepting included",
            )
        )  # fmt: skip
    return lines


def batches(bench: Bench) -> list[Line]:
    """Events 100 a call: SQLite and PostgreSQL, against Celery, which has no call for many."""
    celery = bench.celery
    contestants: list[Contestant] = [celery, Portal(bench.instances), Portal(bench.instances, postgres=True)]
    count = bench.count(10_000, 1_000)

    def turn(contestant: Contestant) -> object:
        mine = min(count, bench.count(5_000, 500)) if contestant is celery else count
        return bench.accept_to_recorded(contestant, count=mine, batch=BATCH)

    samples = bench.take_turns(contestants, turn)  # type: ignore[arg-type]
    return rates("batches", samples, celery.name, {FULL: Target(12, 20), POSTGRES: Target(7, 12)})
