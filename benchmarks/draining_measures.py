"""Measures of a full queue: drained as fast as it goes, into a receiver that takes its time, by several workers."""

from benchmarks.contestants import Contestant
from benchmarks.figures import Line, Sample, Target, rates
from benchmarks.measuring import Bench
from benchmarks.portals import Portal

CONCURRENCY = 16
"""Requests in flight of each worker, where several are compared with one."""


def drain(bench: Bench) -> list[Line]:
    """A full queue until it is empty: SQLite, PostgreSQL with one and three workers, against Celery."""
    celery = bench.celery
    contestants: list[Contestant] = [
        celery,
        Portal(bench.instances),
        Portal(bench.instances, postgres=True),
        Portal(bench.instances, postgres=True, workers=3),
    ]
    most = bench.count(30_000, 3_000)
    theirs = bench.count(5_000, 500)

    def turn(contestant: Contestant) -> Sample:
        return bench.drain(contestant, count=theirs if contestant is celery else most)

    samples = bench.take_turns(contestants, turn)
    targets = {"portal, SQLite FULL": Target(18, 27), "portal, PostgreSQL": Target(14, 30)}
    return rates("drain", samples, celery.name, targets)


def slow(bench: Bench) -> list[Line]:
    """A full queue into a receiver that takes 50 ms: SQLite and PostgreSQL, against Dramatiq with 2×64 threads."""
    dramatiq = bench.dramatiq
    contestants: list[Contestant] = [dramatiq, Portal(bench.instances), Portal(bench.instances, postgres=True)]
    most, theirs = bench.count(10_000, 2_000), bench.count(4_000, 1_000)

    def turn(contestant: Contestant) -> Sample:
        return bench.drain(contestant, count=theirs if contestant is dramatiq else most, delay_ms=50)

    samples = bench.take_turns(contestants, turn)
    target = Target(4, 6)
    return rates("slow", samples, dramatiq.name, {each.name: target for each in contestants[1:]})


def workers(bench: Bench) -> list[Line]:
    """Three PostgreSQL workers against one: a receiver that takes 200 ms, 16 requests in flight each."""
    one, three = (Portal(bench.instances, postgres=True, workers=number, concurrency=CONCURRENCY) for number in (1, 3))

    def turn(contestant: Contestant) -> Sample:
        count = bench.count(1_200, 240) * (3 if contestant is three else 1)
        return bench.steady(contestant, count=count, delay_ms=200)

    samples = bench.take_turns([one, three], turn)
    return rates("workers", samples, one.name, {three.name: Target(2.4, 2.9)})
