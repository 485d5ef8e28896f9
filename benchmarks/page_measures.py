"""Measures of web pages: while the dispatcher runs flat out, and over a million or ten million rows."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.figures import Line, Target, percentile
from benchmarks.health_rows import stored_health
from benchmarks.instances import Instance, Instances
from benchmarks.measuring import Bench
from benchmarks.moving import on_postgres
from benchmarks.portals import fill
from benchmarks.processes import Failed, Program
from benchmarks.rows import stored_rows
from benchmarks.servers import tell
from benchmarks.serving_portal import Browser, browsing, serving

PAGES = {"deliveries": "/admin/deliveries", "dashboard": "/admin/integrations"}
WARM = 5
SQLITE, POSTGRES = "SQLite", "PostgreSQL"
Stored = Callable[[Instances, int], tuple[Instance, dict[str, str]]]
LOOKS = 40
"""How often each page over many rows is asked for."""
SLOW = 1.0
"""Seconds after which a page is asked for less often."""


def pages(bench: Bench) -> list[Line]:
    """Pages of `portal serve` on SQLite, one after the other: idle, and while its dispatcher drains a full queue."""
    idle: dict[str, list[float]] = {name: [] for name in PAGES}
    busy: dict[str, list[float]] = {name: [] for name in PAGES}
    for number in range(bench.rounds):
        _round(bench, idle, busy)
        shown = (f"{name} {idle[name][-1]:.1f} idle, {busy[name][-1]:.1f} busy" for name in PAGES)
        tell(f"    round {number + 1}: p95 in ms: " + "; ".join(shown))
    lines = []
    for name in PAGES:
        ratio = median(there / alone for there, alone in zip(busy[name], idle[name], strict=True))
        lines.append(Line(measure="pages", name=f"{name}, p95 idle", values=idle[name], unit="ms"))
        lines.append(
            Line(
                measure="pages", name=f"{name}, p95 busy", values=busy[name], unit="ms", value=ratio,
                target=Target(2, 1.5), of="idle",
            )
        )  # fmt: skip
    return lines


def _round(bench: Bench, idle: dict[str, list[float]], busy: dict[str, list[float]]) -> None:
    instance = bench.instances.sqlite()
    count, looks = bench.count(60_000, 10_000), bench.count(150, 30)
    fill(instance, count)
    receiver = bench.ground.receiver
    receiver.reset()
    with serving(instance) as (_, port), browsing(port, instance.facts) as browser:
        _take(browser, WARM, lambda: True)
        alone = _take(browser, looks, lambda: True)
        instance.release()
        receiver.wait(1)
        beside = _take(browser, looks, lambda: receiver.figures()["count"] < count)
        left = count - receiver.figures()["count"]
        # What was asked for while the queue ran dry would only flatter.
        if len(beside["deliveries"]) < looks:
            tell(f"    the queue was empty after {len(beside['deliveries'])} of {looks} looks")
        elif left:
            tell(f"    {left:,} of {count:,} were left at the last look")
    for name in PAGES:
        if not beside[name]:
            raise Failed("the queue was empty before a page was there; measure with more")
        idle[name].append(percentile(alone[name], 0.95) * 1000)
        busy[name].append(percentile(beside[name], 0.95) * 1000)


def _take(browser: Browser, looks: int, still: Callable[[], bool]) -> dict[str, list[float]]:
    """Ask for each page so many times in turn, while something holds; returns the seconds."""
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    for _ in range(looks):
        found = {name: browser.get(path) for name, path in PAGES.items()}
        if not still():
            break
        for name, seconds in found.items():
            times[name].append(seconds)
    return times


def rows(bench: Bench) -> list[Line]:
    """The deliveries page over many rows on SQLite, server median: first page, filters, a page deep inside."""
    return _over_many(bench, "rows", stored_rows)


def health(bench: Bench) -> list[Line]:
    """Dashboard, logs and detail with 10,000 integrations and many checks, server median; SQLite and PostgreSQL."""
    return _over_many(
        bench, "health", stored_health, polled={"dashboard": "board", "detail": "detail"}, databases=(SQLITE, POSTGRES)
    )


def _over_many(
    bench: Bench, measure: str, stored: Stored, *, polled: Mapping[str, str] = {}, databases: Sequence[str] = (SQLITE,)
) -> list[Line]:
    lines: list[Line] = []
    for size in [bench.count(1_000_000, 20_000), *([10_000_000] if bench.large else [])]:
        instance, paths = stored(bench.instances, size)
        for database in databases:
            # Moved even where SQLite was asked before: sessions are rows, and the browser's is new in each run.
            here = on_postgres(bench.instances, instance) if database == POSTGRES else instance
            lines += _on(here, f"{database} {size:,}", measure, paths, polled)
            bench.instances.drop(here)
    return lines


def _on(
    instance: Instance, label: str, measure: str, paths: Mapping[str, str], polled: Mapping[str, str]
) -> list[Line]:
    with serving(instance, "--no-scheduler") as (program, port), browsing(port, instance.facts) as browser:
        lines = [_look(program, browser, measure, f"{label}: {name}", path) for name, path in paths.items()]
        for name, region in polled.items():
            times = [took * 1000 for _ in range(LOOKS) for took in browser.poll(paths[name], region)]
            note = f"p95 {percentile(times, 0.95):.1f} ms"
            lines.append(
                Line(
                    measure=measure, name=f"{label}: {name}, unchanged poll", values=[median(times)], unit="ms",
                    value=median(times), target=Target(5, 2, "ms"), note=note,
                )
            )  # fmt: skip
    return lines


def _look(program: Program, browser: Browser, measure: str, name: str, path: str) -> Line:
    # A page that takes a second is no better known after forty looks than after five.
    looks = LOOKS if max(browser.get(path) for _ in range(WARM)) < SLOW else WARM
    before = program.cpu_seconds()
    times = [browser.get(path) * 1000 for _ in range(looks)]
    cpu = (program.cpu_seconds() - before) * 1000 / looks
    note = f"p95 {percentile(times, 0.95):.1f} ms, CPU {cpu:.1f} ms"
    target = Target(30, 10, "ms") if "detail" in name else Target(15, 5, "ms")
    return Line(
        measure=measure, name=name, values=[median(times)], unit="ms", value=median(times), target=target, note=note
    )
