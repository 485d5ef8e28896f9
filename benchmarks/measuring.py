"""What measures share: the ground, how much is measured, and rounds in which contestants take turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.baselines import Baseline
from benchmarks.contestants import Contestant, System
from benchmarks.figures import Sample
from benchmarks.instances import Instances
from benchmarks.servers import Ground, tell, until

WARM = 200
"""Deliveries before the clock runs: connections are open and modules loaded then."""
LOOK = 0.005
"""Seconds between two looks whether all results are stored."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run of the benchmarks.

    Attributes:
        ground: its servers.
        instances: fresh portals.
        celery: with Redis, requests and prefork 4.
        dramatiq: with Redis, requests and 2×64 threads.
        rounds: how often each contestant has its turn.
        quick: whether counts are small: it works, but figures mean little.
        large: whether ten million rows are looked at too.
    """

    ground: Ground
    instances: Instances
    celery: Baseline
    dramatiq: Baseline
    rounds: int
    quick: bool
    large: bool

    def count(self, full: int, quick: int) -> int:
        """Return how many to measure with."""
        return quick if self.quick else full

    def take_turns(
        self, contestants: Sequence[Contestant], measure: Callable[[Contestant], Sample]
    ) -> dict[str, list[Sample]]:
        """Measure each contestant once in every round, one after the other: A B C, A B C, A B C."""
        samples: dict[str, list[Sample]] = {each.name: [] for each in contestants}
        for number in range(self.rounds):
            for each in contestants:
                sample = measure(each)
                samples[each.name].append(sample)
                tell(f"    round {number + 1}: {each.name}, {sample.rate:,.0f}/s")
        return samples

    def accept_to_recorded(self, contestant: Contestant, *, count: int, batch: int) -> Sample:
        """Measure from the first call that accepts until the last result is stored, everything warm."""
        receiver = self.ground.receiver
        with contestant.running() as system:
            receiver.reset()
            system.accept(WARM, batch=batch)
            self._stored(system, WARM)
            receiver.reset()
            before = system.cpu()
            began = system.accept(count, batch=batch)
            requests = receiver.wait(count)["requests"]
            seconds = self._stored(system, WARM + count) - began
            return Sample(count=count, seconds=seconds, cpu=_used(before, system), duplicates=requests - count)

    def drain(self, contestant: Contestant, *, count: int, delay_ms: int = 0) -> Sample:
        """Measure from the first arrival of a full queue until the last result is stored."""
        receiver = self.ground.receiver
        receiver.reset(delay_ms=delay_ms)
        with contestant.filled(count) as system:
            system.release()
            receiver.wait(1)
            before = system.cpu()
            figures = receiver.wait(count)
            seconds = self._stored(system, count) - figures["first"]
            duplicates = figures["requests"] - count
            return Sample(count=count, seconds=seconds, cpu=_used(before, system), duplicates=duplicates)

    def steady(self, contestant: Contestant, *, count: int, delay_ms: int) -> Sample:
        """Measure the middle three fifths of a full queue's arrivals, while all workers are at it."""
        receiver = self.ground.receiver
        receiver.reset(delay_ms=delay_ms)
        with contestant.filled(count) as system:
            system.release()
            receiver.wait(1)
            before = system.cpu()
            requests = receiver.wait(count)["requests"]
            self._stored(system, count)
            used = _used(before, system)
        arrivals = sorted(receiver.arrivals().values())
        first, last = count // 5, count * 4 // 5
        share = (last - first) / count
        return Sample(
            count=last - first,
            seconds=arrivals[last] - arrivals[first],
            cpu={part: value * share for part, value in used.items()},
            duplicates=requests - count,
        )

    def _stored(self, system: System, count: int) -> float:
        return until(lambda: system.recorded() >= count, f"the result of delivery {count:,}", every=LOOK)


def _used(before: Mapping[str, float], system: System) -> dict[str, float]:
    return {part: value - before.get(part, 0.0) for part, value in system.cpu().items()}
