"""Staged tests: run steps one after the other, stop at the first that fails, and report all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.providers.outcomes import Failure, Outcome, ProviderError, Report, Step, StepState


class Deadline:
    """A moment after which a call must have ended, however many small waits it consists of."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._begun = monotonic()
        self._seconds = seconds

    def remaining(self, at_most: float | None = None) -> float:
        """Return the seconds left, never more than `at_most`.

        Raises:
            TimeoutError: none are left.
        """
        left = self._seconds - self.elapsed()
        if left <= 0:
            raise TimeoutError("the time for this call is over")
        return left if at_most is None else min(left, at_most)

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        return self._monotonic() - self._begun


@dataclass(frozen=True)
class NotRun:
    """What a stage returns that has nothing to do, with the reason."""

    reason: str


@dataclass(frozen=True)
class Stage:
    """A named part of a staged test. `run` returns what to show beside it, or raises ProviderError."""

    name: str
    run: Callable[[], str | NotRun]


def run_stages(
    stages: Sequence[Stage],
    *,
    facts: Mapping[str, str | int],
    monotonic: Callable[[], float] = time.monotonic,
) -> Report:
    """Run the stages in order; after one that fails the others are listed as not run.

    Args:
        stages: what to do.
        facts: a mapping that the stages fill while they run.
        monotonic: the clock that measures.
    """
    begun = monotonic()
    steps: list[Step] = []
    failure: Failure | None = None
    for stage in stages:
        if failure:
            steps.append(Step(name=stage.name, state=StepState.NOT_RUN, detail="Not run"))
            continue
        step, failure = _run(stage, monotonic)
        steps.append(step)
    return Report(
        steps=tuple(steps),
        outcome=failure.outcome if failure else Outcome.OK,
        error=failure,
        response_time_ms=_milliseconds(monotonic() - begun),
        facts=dict(facts),
    )


def _run(stage: Stage, monotonic: Callable[[], float]) -> tuple[Step, Failure | None]:
    begun = monotonic()
    try:
        done = stage.run()
    except ProviderError as error:
        return _failed(stage.name, error.failure, _milliseconds(monotonic() - begun)), error.failure
    if isinstance(done, NotRun):
        return Step(name=stage.name, state=StepState.NOT_RUN, detail=done.reason), None
    took = _milliseconds(monotonic() - begun)
    return Step(name=stage.name, state=StepState.PASSED, detail=done, duration_ms=took), None


def _failed(name: str, failure: Failure, took: int) -> Step:
    return Step(
        name=name,
        state=StepState.FAILED,
        detail=failure.said or failure.message,
        verbatim=bool(failure.said),
        code=failure.code,
        hint=failure.hint,
        duration_ms=took,
    )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
