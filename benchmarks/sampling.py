"""Runs a module and looks 200 times a second what uses its CPU time: `python -m benchmarks.sampling FILE MODULE …`.

FILE gets, when the program ends, the share of each function: its own, and with what it called. The CPU time that a
thread used since the look before (the first number in /proc/self/task/*/schedstat) goes to where it is now; waiting
costs nothing. A look needs the interpreter's lock, so some time of plain Python goes to the next place that lets go of
it, such as a statement or a lock: the second table is the better one.
"""

import atexit
import runpy
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.005
SWITCH = 0.0005
"""Seconds for which a thread keeps the interpreter while another wants it; so short that a look is soon."""
MOST = 60
STARTING = {"_find_and_load", "create_app", "prepare"}
"""Names of functions that run while a process starts, which is not what is looked at."""


class Sampler(threading.Thread):
    """Looks at all other threads until the process ends."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="sampler")
        self.own: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.spent: dict[int, int] = {}

    def run(self) -> None:
        """Look, and look again."""
        while True:
            time.sleep(EVERY)
            frames = sys._current_frames()  # noqa: SLF001 - Python's way for profilers
            for thread in threading.enumerate():
                if thread is not self and thread.ident in frames and thread.native_id:
                    self._note(frames[thread.ident], self._used(thread.native_id))

    def _used(self, thread: int) -> int:
        """Return the nanoseconds that a thread used since the look before."""
        try:
            now = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
        except FileNotFoundError:
            return 0
        before, self.spent[thread] = self.spent.get(thread, 0), now
        return now - before

    def _note(self, frame: FrameType, used: int) -> None:
        seen = set()
        each: FrameType | None = frame
        while each is not None:
            if each.f_code.co_name in STARTING:
                return
            seen.add(_place(each))
            each = each.f_back
        self.own[_place(frame)] += used
        for place in seen:
            self.total[place] += used

    def text(self) -> str:
        """Return both tables, in percent of the CPU time that was seen."""
        whole = max(1, self.own.total())
        parts = [f"{whole / 1e9:.2f} s of CPU time"]
        for title, counts in (("itself", self.own), ("itself and what it called", self.total)):
            parts.append(f"\n{title}")
            parts += [f"{used / whole:7.1%}  {place}" for place, used in counts.most_common(MOST)]
        return "\n".join(parts) + "\n"


def _place(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{'/'.join(path.parts[-3:])}:{frame.f_code.co_name}"


def main() -> None:
    """Run the module named on the command line under a sampler."""
    file, module = Path(sys.argv[1]), sys.argv[2]
    sampler = Sampler()
    sys.setswitchinterval(SWITCH)
    sampler.start()
    atexit.register(lambda: file.write_text(sampler.text()))
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
