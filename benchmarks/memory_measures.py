"""Measure of the memory that `portal serve` takes: with nothing to do, and while events come in and go out."""

import re
import time
from pathlib import Path

from benchmarks.figures import Line, Target
from benchmarks.latency_measures import post
from benchmarks.measuring import Bench
from benchmarks.serving_portal import serving

SETTLED = 5.0
"""Seconds after its start at which a process is idle."""
RATE = 100
TARGETS = {"idle": Target(130, 100, "MB"), "under load, the most": Target(160, 120, "MB")}


def memory(bench: Bench) -> list[Line]:
    """Memory of `portal serve` on SQLite, all that is resident: idle, and the most while 100 events a second come."""
    found: dict[str, list[float]] = {name: [] for name in TARGETS}
    for _ in range(bench.rounds):
        instance = bench.instances.sqlite()
        with serving(instance) as (program, port):
            time.sleep(SETTLED)
            found["idle"].append(_megabytes(program.process.pid, "VmRSS"))
            post(bench, instance, f"http://127.0.0.1:{port}", RATE, bench.count(20, 4))
            found["under load, the most"].append(_megabytes(program.process.pid, "VmHWM"))
    return [
        Line(measure="memory", name=name, values=values, unit="MB", value=sorted(values)[len(values) // 2],
             target=TARGETS[name])
        for name, values in found.items()
    ]  # fmt: skip


def _megabytes(pid: int, what: str) -> float:
    """Return a figure of Linux's about a process (proc_pid_status), which are in units of 1,024 bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    [number] = re.findall(rf"^{what}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(number) * 1024 / 1_000_000
