"""Units of work that come at the same time share one commit, as its wait for the disk is most of what they cost."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from portal.database import db, unit_of_work

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
MOST: Final = 64
"""Works that share a commit."""
GATHER_SECONDS: Final = 0.0003
"""How long the next one waits for others to line up, where several shared the last commit; alone nobody waits."""


class Mergeable(Protocol[T_co]):
    """A work that costs less when several of its kind are done at once."""

    def __call__(self) -> T_co:
        """Do it alone."""

    @staticmethod
    def run_all(works: Sequence[Any]) -> Sequence[Any]:
        """Do several, and return their answers in the same order."""


class _Turn(Generic[T]):
    """One work, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self._answer: list[T] = []
        self._error: BaseException | None = RuntimeError("the thread that ran it ended before its commit")
        self.woken = threading.Lock()  # the lightest thing to wait for; released once to lead, or at the end
        self.woken.acquire()
        self.over = False

    def run(self) -> None:
        self.answered(self.work())

    def answered(self, answer: T) -> None:
        self._answer = [answer]

    def run_alone(self) -> None:
        try:
            with unit_of_work():
                self.run()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that it belongs to
            self._error = error
        else:
            self._error = None

    def committed(self) -> None:
        self._error = None

    def end(self) -> None:
        self.over = True
        self.woken.release()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._answer[0]


class _Line:
    """Who waits, and whether somebody commits for them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Turn[Any]] = deque()
        self._led = False
        self._shared = False

    def join(self, turn: _Turn[Any]) -> bool:
        """Line up; returns whether it is for this thread to commit."""
        with self._guard:
            self._waiting.append(turn)
            leads, self._led = not self._led, True
            return leads

    def take(self) -> list[_Turn[Any]]:
        if self._shared:
            time.sleep(GATHER_SECONDS)
        with self._guard:
            turns = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            self._shared = len(turns) > 1
            return turns

    def hand_over(self) -> None:
        """Let the next one commit for those who lined up meanwhile."""
        with self._guard:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].woken.release()


_lines: WeakKeyDictionary[Engine, _Line] = WeakKeyDictionary()
_lines_guard = threading.Lock()


def _line() -> _Line:
    """Return the line of the database in use."""
    engine = db.engine
    with _lines_guard:
        return _lines.setdefault(engine, _Line())


def together(work: Callable[[], T]) -> T:
    """Run a work in a unit of work that it may share with others, and return its answer once that is committed.

    While one thread commits, others line up; the next of them runs the works of all. Where one of them raises, nothing
    of that commit stays, and each is run by itself: nobody pays for the fault of another.

    Args:
        work: runs inside a unit of work, possibly in another thread and twice; so it takes all it needs with it, and
            does nothing that a roll-back would not take back. A Mergeable one is done with others of its kind.

    Raises:
        Exception: whatever the work raises, or its commit.
    """
    turn, line = _Turn(work), _line()
    if not line.join(turn):
        turn.woken.acquire()
    if not turn.over:
        turns = line.take()
        try:
            _run(turns)
        finally:
            for each in turns:
                each.end()
            line.hand_over()
    return turn.result()


def _run(turns: list[_Turn[Any]]) -> None:
    if len(turns) > 1 and _run_all(turns):
        return
    for turn in turns:
        turn.run_alone()


def _run_all(turns: list[_Turn[Any]]) -> bool:
    """Run several works in one unit of work; returns whether it was committed."""
    try:
        with unit_of_work():
            _do(turns)
    except Exception:  # noqa: BLE001 - whose it is shows when each runs by itself
        return False
    for turn in turns:
        turn.committed()
    return True


def _do(turns: list[_Turn[Any]]) -> None:
    """Run works, those that can be merged with others of their kind at once."""
    kinds: dict[Any, list[_Turn[Any]]] = {}
    for turn in turns:
        kinds.setdefault(getattr(turn.work, "run_all", None), []).append(turn)
    for run_all, mine in kinds.items():
        if run_all is None:
            for turn in mine:
                turn.run()
        else:
            for turn, answer in zip(mine, run_all([turn.work for turn in mine]), strict=True):
                turn.answered(answer)
