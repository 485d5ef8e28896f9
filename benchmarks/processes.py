"""Programs in processes of their own: started, talked to line by line, ended by their id, their CPU time read."""

import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ROOT / ".venv" / "tools" / "bench"
"""Where set-up puts Celery, Dramatiq and what they need; on the path of their processes alone."""
PATIENCE = 300.0
"""Seconds that a program may take for one answer."""
STOP_SECONDS = 40.0
PROFILES = "BENCH_PROFILES"
"""Variable that names the folder for profiles of the portal's processes; none are taken without it."""
_numbers = itertools.count(1)
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program ended, or did not do what it was started for; the message holds what it said last."""


class Program:
    """A running program; what it prints is read line by line, its log goes to a file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path, name: str) -> None:
        """Start it in a folder, with these variables and nothing else of the portal's."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PORTAL_", "BENCH_"))}
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(command),
                env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env},
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.name = name
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for(self, words: str, timeout: float = PATIENCE) -> str:
        """Return the next line that holds the words.

        Raises:
            Failed: it ended, or said nothing for so many seconds.
        """
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                raise Failed(f"{self.name} did not say {words!r} within {timeout:.0f} s: {self._last()}") from None
            if line is None:
                raise Failed(f"{self.name} ended without saying {words!r}: {self._last()}")
            if words in line:
                return line

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one line of JSON and return the line of JSON that it answers."""
        if self.process.stdin is None:
            raise Failed(f"{self.name} takes no requests")
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} ended: {self._last()}") from None
        answer: dict[str, Any] = json.loads(self.wait_for("{"))
        return answer

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that it and its children have used so far."""
        return cpu_seconds(self.process.pid)

    def end(self) -> None:
        """Ask it to end, and kill it and its children if it does not."""
        family = _family(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(STOP_SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def _last(self) -> str:
        return self.log.read_text(errors="replace").strip()[-2000:] or "it said nothing"


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], folder: Path, name: str) -> Iterator[Program]:
    """Run a program and end it."""
    program = Program(command, env, folder, name)
    try:
        yield program
    finally:
        program.end()


def own(module: str, *arguments: str) -> list[str]:
    """Return the command line of a program of the benchmarks."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def measured(module: str, *arguments: str) -> list[str]:
    """Return the command line of a process of the portal that is measured, with a profile where one was asked for."""
    folder = os.environ.get(PROFILES)
    if not folder:
        return own(module, *arguments)
    file = Path(folder) / f"{time.strftime('%H%M%S')}-{'-'.join((module, *arguments[:1]))}-{next(_numbers)}.txt"
    return own("sampling", str(file), f"benchmarks.{module}", *arguments)


def portal(*arguments: str) -> list[str]:
    """Return the command line of the portal command."""
    return measured("commands", *arguments)


def beside() -> dict[str, str]:
    """Return the variables of a program that sees Celery and its like."""
    return {"PYTHONPATH": os.pathsep.join((str(BESIDE), str(ROOT)))}


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, its living descendants, and the dead ones that were waited for (proc(5))."""
    total = 0
    for each in _family(pid):
        fields = _stat(each)
        total += sum(int(value) for value in fields[11:15]) if fields else 0
    return total / TICKS


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants, children after their parents."""
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
