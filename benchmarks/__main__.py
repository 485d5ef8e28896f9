"""The benchmarks' command line: `python -m benchmarks [--quick] [measure …]`, or `make bench ARGS="…"`."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.accepting_measures import accept, batches
from benchmarks.baselines import Baseline
from benchmarks.checking_measures import checks
from benchmarks.draining_measures import drain, slow, workers
from benchmarks.figures import Line
from benchmarks.instances import Instances
from benchmarks.latency_measures import latency
from benchmarks.measuring import Bench
from benchmarks.memory_measures import memory
from benchmarks.page_measures import health, pages, rows
from benchmarks.processes import PROFILES, Failed
from benchmarks.servers import Ground, tell

RESULTS = Path(__file__).resolve().parent / "results"
MEASURES: dict[str, Callable[[Bench], list[Line]]] = {
    "accept": accept,
    "batches": batches,
    "drain": drain,
    "slow": slow,
    "workers": workers,
    "latency": latency,
    "memory": memory,
    "pages": pages,
    "rows": rows,
    "health": health,
    "checks": checks,
}


def main() -> int:
    """Run the measures that were asked for, print their figures and keep them; returns the exit code."""
    asked = _arguments()
    # However it is ended, what it started ends with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    names = asked.measure or list(MEASURES)
    if asked.profile:
        profiles = RESULTS / f"profiles-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        profiles.mkdir(parents=True)
        os.environ[PROFILES] = str(profiles)
    lines: list[Line] = []
    try:
        with Ground(redis_flushes=asked.redis) as ground:
            bench = Bench(
                ground=ground,
                instances=Instances(ground),
                celery=Baseline(ground, "celery"),
                dramatiq=Baseline(ground, "dramatiq"),
                rounds=asked.rounds,
                quick=asked.quick,
                large=asked.large,
            )
            for name in names:
                tell(f"  measuring {name}")
                found = MEASURES[name](bench)
                lines += found
                _show(name, found)
    except Failed as error:
        print(f"Measuring stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if lines:
            print(f"\nKept in {_keep(lines, asked)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures the portal beside Celery and Dramatiq.")
    parser.add_argument("measure", nargs="*", help=f"one of {', '.join(MEASURES)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="small counts: shows that it works; figures mean little")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each contestant has (3)")
    parser.add_argument(
        "--redis", choices=("everysec", "always"), default="everysec", help="when Redis flushes its file (everysec)"
    )
    parser.add_argument("--profile", action="store_true", help="also write what uses the portal's CPU time")
    parser.add_argument("--large", action="store_true", help="also look at pages over ten million rows")
    asked = parser.parse_args()
    unknown = [each for each in asked.measure if each not in MEASURES]
    if unknown:
        parser.error(f"there is no measure {unknown[0]}; there is {', '.join(MEASURES)}")
    return asked


def _show(name: str, lines: list[Line]) -> None:
    what = (MEASURES[name].__doc__ or name).strip().rstrip(".")
    print(f"\n{name}: {what}")
    for line in lines:
        print(line.text(), flush=True)


def _keep(lines: list[Line], asked: argparse.Namespace) -> Path:
    """Write the figures with what they were measured on, and return where."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    about = {
        "at": now.isoformat(timespec="seconds"),
        "asked": vars(asked),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
    }
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps({**about, "lines": [each.as_dict() for each in lines]}, indent=1) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
