"""Figures of one run: samples, medians, ratios, and how far they are from what must and what should be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one contestant.

    Attributes:
        count: deliveries.
        seconds: that they took.
        cpu: CPU seconds by part.
        duplicates: deliveries that arrived more than once.
    """

    count: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    duplicates: int = 0

    @property
    def rate(self) -> float:
        """Deliveries per second."""
        return self.count / self.seconds

    def cpu_per_1000(self, part: str = "own") -> float:
        """Return the CPU seconds of a part for 1,000 deliveries."""
        return self.cpu.get(part, 0.0) * 1000 / self.count


@dataclass(frozen=True)
class Target:
    """What is asked of a figure; where less is better the goal is smaller than what must be reached."""

    must: float
    goal: float
    unit: str = "×"

    @property
    def more_is_better(self) -> bool:
        """Whether a larger figure is a better one."""
        return self.goal > self.must

    def judge(self, value: float) -> str:
        """Say whether the figure is where it must be, and how far from the goal it is."""
        reached = value >= self.must if self.more_is_better else value <= self.must
        share = value / self.goal if self.more_is_better else self.goal / value if value else 1.0
        goal = "goal reached" if share >= 1 else f"{share:.0%} of the goal"
        return f"must {_short(self.must)} {self.unit}: {'yes' if reached else 'NO'} · goal {_short(self.goal)}: {goal}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure as it is printed and kept.

    Attributes:
        measure: which measure it belongs to.
        name: of the contestant or of what was asked.
        values: one for each round.
        unit: of the values.
        note: what else is worth knowing.
        value: what is compared with the target: a ratio or the median.
        target: what is asked, if anything is.
        of: of what the value is a multiple, if it is a ratio.
    """

    measure: str
    name: str
    values: Sequence[float]
    unit: str
    note: str = ""
    value: float | None = None
    target: Target | None = None
    of: str = ""

    def text(self) -> str:
        """Return it as one line for the terminal."""
        shown = f"  {self.name:<34}{_short(median(self.values)):>9} {self.unit:<12}"
        low, high = min(self.values), max(self.values)
        shown += f"{f'({_short(low)} to {_short(high)})' if high > low else '':<20}"
        if self.value is not None and self.of:
            shown += f"{_short(self.value):>6}× {self.of}  "
        if self.target and self.value is not None:
            shown += self.target.judge(self.value)
        return f"{shown}  {self.note}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "median": median(self.values)}


def rates(
    measure: str, samples: Mapping[str, Sequence[Sample]], baseline: str, targets: Mapping[str, Target]
) -> list[Line]:
    """Return the rates of contestants, each beside the baseline's of the same round."""
    lines = []
    for name, mine in samples.items():
        pairs = list(zip(mine, samples[baseline], strict=True))
        ratio = median(each.rate / other.rate for each, other in pairs)
        cpu = median(each.cpu_per_1000() for each in mine)
        less = median(other.cpu_per_1000() / max(each.cpu_per_1000(), 1e-9) for each, other in pairs)
        lighter = "" if name == baseline else f", {less:.1f}× less"
        others = {part: median(each.cpu_per_1000(part) for each in mine) for part in ("database", "broker")}
        apart = "".join(f", {part} {value:.2f}" for part, value in others.items() if value)
        twice = sum(each.duplicates for each in mine)
        lines.append(
            Line(
                measure=measure, name=name, values=[each.rate for each in mine], unit="/s", value=ratio,
                target=targets.get(name), of="" if name == baseline else baseline.partition(",")[0],
                note=f"CPU {cpu:.2f} s per 1,000{lighter}{apart}" + (f"; {twice} arrived twice" if twice else ""),
            )
        )  # fmt: skip
    return lines


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0") if value >= 10 else f"{value:.3g}"
