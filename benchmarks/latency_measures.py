"""Measures of single events over the HTTP API: how long a call takes, and how soon the event arrives."""

import json
from collections import defaultdict
from statistics import median

from benchmarks.figures import Line, Target, percentile
from benchmarks.instances import DELIVERED, Instance
from benchmarks.measuring import Bench
from benchmarks.processes import Failed, own, running
from benchmarks.servers import tell
from benchmarks.serving_portal import serving

RATES = (50, 200)
WARM_SECONDS = 1
LATE = 0.1
"""Seconds behind its times after which the caller, and not the portal, was what was measured."""


def latency(bench: Bench) -> list[Line]:
    """From POST /api/v1/events to the arrival at the receiver, 50/s and 200/s, `portal serve` on SQLite."""
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(bench.rounds):
        for rate in RATES:
            for name, value in _round(bench, rate).items():
                found[f"{name} at {rate}/s"].append(value * 1000)
        tell(f"    round {number + 1}: " + ", ".join(f"{name} {values[-1]:.1f} ms" for name, values in found.items()))
    targets = {
        "accept → arrival p95 at 50/s": Target(10, 4, "ms"),
        "accept → arrival p95 at 200/s": Target(10, 4, "ms"),
        "accept, median at 50/s": Target(5, 2, "ms"),
        "accept, median at 200/s": Target(5, 2, "ms"),
    }
    return [
        Line(measure="latency", name=name, values=values, unit="ms", value=median(values), target=targets.get(name))
        for name, values in found.items()
    ]


def _round(bench: Bench, rate: int) -> dict[str, float]:
    instance = bench.instances.sqlite()
    with serving(instance) as (_, port):
        address = f"http://127.0.0.1:{port}"
        post(bench, instance, address, rate, WARM_SECONDS)
        calls, arrivals = post(bench, instance, address, rate, bench.count(20, 4))
    if instance.count(DELIVERED) != instance.count("delivery_attempts"):
        raise Failed("not every attempt was stored")
    waits = [arrivals[event_id] - began for event_id, (began, _) in calls.items()]
    after = [max(0.0, arrivals[event_id] - ended) for event_id, (_, ended) in calls.items()]
    accepts = [ended - began for began, ended in calls.values()]
    return {
        "accept → arrival p50": percentile(waits, 0.5),
        "accept → arrival p95": percentile(waits, 0.95),
        "answer → arrival p95": percentile(after, 0.95),
        "accept, median": median(accepts),
    }


def post(
    bench: Bench, instance: Instance, address: str, rate: int, seconds: int
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Post events for so many seconds; returns when each call began and ended, and when each event arrived."""
    receiver = bench.ground.receiver
    receiver.reset()
    env = {"BENCH_TOKEN": instance.facts["token"]}
    with running(own("posting", address, str(rate), str(seconds)), env, instance.folder, "posting") as program:
        said = json.loads(program.wait_for("{"))
    if said["refused"]:
        raise Failed(f"{said['refused']} events were refused; see the log of `portal serve`")
    if said["late"] > LATE:
        tell(f"    the caller was {said['late'] * 1000:.0f} ms late at {rate}/s: the machine was too busy")
    receiver.wait(len(said["calls"]))
    return said["calls"], receiver.arrivals()
