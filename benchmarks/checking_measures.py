"""Measures of health checks: how many a second, how late they are, and what a restart leaves out."""

import json
import time
from statistics import median
from typing import Any

from benchmarks.figures import Line, Target, percentile
from benchmarks.instances import Instance
from benchmarks.measuring import Bench
from benchmarks.processes import Failed, Program, measured, running
from benchmarks.servers import tell

DATABASES = ("SQLite", "PostgreSQL")
A_MINUTE = 1_000
"""Checks that come due in a minute."""
ANSWER = 0.2
"""Seconds that the mail server takes, where it is not to be the fastest there is."""
RATE, LAG = Target(500, 1_000, "/s"), Target(5, 1, "s")


def checks(bench: Bench) -> list[Line]:
    """Health checks of one process, all to one server: per second, lag at 1,000 due a minute, and after a restart."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(bench.rounds):
        for database in DATABASES:
            for name, run in (("a second", _flood), ("a minute", _minute), ("a restart", _restart)):
                instance = bench.instances.postgres() if database == "PostgreSQL" else bench.instances.sqlite()
                said = run(bench, instance)
                found.setdefault(f"{database}: {name}", []).append(said)
                bench.instances.drop(instance)
                tell(f"    round {number + 1}: {database}, {name}: {_words(said)}")
    return [line for name, samples in found.items() for line in _lines(name, samples)]


def _lines(name: str, samples: list[dict[str, Any]]) -> list[Line]:
    if name.endswith("a second"):
        rates = [each["stored"] / each["seconds"] for each in samples]
        cpu = median(each["cpu"] * 1000 / each["stored"] for each in samples)
        note = f"provider 0 ms, CPU {cpu:.2f} s per 1,000"
        return [_line(name.replace("a second", "checks"), rates, "/s", RATE, note)]
    worst = [max(each["late"]) for each in samples]
    if name.endswith("a minute"):
        note = f"the worst; p95 {median(percentile(each['late'], 0.95) for each in samples):.2f} s"
        return [_line(name.replace("a minute", "lag, 1,000 a minute"), worst, "s", LAG, note)]
    note = f"until the first check; the worst of what waited meanwhile {median(worst):.1f} s"
    first = [each["first"] for each in samples]
    return [_line(name.replace("a restart", "blind after a start"), first, "s", LAG, note)]


def _line(name: str, values: list[float], unit: str, target: Target, note: str) -> Line:
    return Line(
        measure="checks", name=name, values=values, unit=unit, value=median(values), target=target, note=note
    )  # fmt: skip


def _words(said: dict[str, Any]) -> str:
    rate = said["stored"] / said["seconds"]
    return f"{said['stored']:,} checks, {rate:,.0f}/s, latest {max(said['late']):.2f} s late"


def _flood(bench: Bench, instance: Instance) -> dict[str, Any]:
    """All are overdue, and the mail server answers at once."""
    return _run(instance, "--make", str(bench.count(5_000, 300)))


def _minute(bench: Bench, instance: Instance) -> dict[str, Any]:
    """They come due one after the other, and the mail server takes its time."""
    seconds = bench.count(60, 6)
    count = A_MINUTE * seconds // 60
    return _run(instance, "--make", str(count), "--over", str(seconds), "--answer", str(ANSWER))


def _restart(bench: Bench, instance: Instance) -> dict[str, Any]:
    """As _minute, but a third in the process is stopped, and another starts two seconds later."""
    seconds = bench.count(60, 6)
    count = A_MINUTE * seconds // 60
    options = ("--make", str(count), "--over", str(seconds), "--answer", str(ANSWER))
    with _checking(instance, *options) as program:
        program.wait_for("checking")
        time.sleep(seconds / 3)
        _end(program)
    time.sleep(2)
    return _run(instance, "--answer", str(ANSWER))


def _run(instance: Instance, *options: str) -> dict[str, Any]:
    with _checking(instance, *options) as program:
        program.wait_for("checking")
        before = program.cpu_seconds()
        said: dict[str, Any] = json.loads(program.wait_for("{"))
        said["cpu"] = program.cpu_seconds() - before
    if said["stored"] < said["left"]:
        raise Failed(f"only {said['stored']:,} of {said['left']:,} checks were stored")
    return said


def _checking(instance: Instance, *options: str) -> Any:
    return running(measured("checking", *options), instance.env, instance.folder, "checking")


def _end(program: Program) -> None:
    """Let it stop as an operator would, and wait until it did."""
    program.ask(enough=True)
