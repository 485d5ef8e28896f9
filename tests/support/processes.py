"""Portals in processes of their own: started, waited for, ended; what they say is kept."""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds that a process may take for anything; a slow machine takes some."""


class Process:
    """A running program whose output is read line by line."""

    def __init__(self, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        """Start it in a folder, with these variables and nothing else of the portal's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        self.process = subprocess.Popen(
            command,
            env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.complained: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.said, True)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.complained, False)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], kept: list[str], awaited: bool) -> None:
        for line in stream:
            kept.append(line.rstrip("\n"))
            if awaited:
                self._lines.put(kept[-1])
        if awaited:
            self._lines.put(None)

    def wait_for(self, words: str) -> str:
        """Return the next line that holds the words."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said} {self.complained}")

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code


@contextmanager
def running(command: list[str], env: Mapping[str, str], folder: Path) -> Iterator[Process]:
    """Run a program; it is killed at the end if it still runs."""
    started = Process(command, env, folder)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.end()


def portal(*arguments: str) -> list[str]:
    """Return the command line of the portal command."""
    return [sys.executable, "-c", "from portal.cli import main; main(prog_name='portal')", *arguments]


def script(source: str, *arguments: str) -> list[str]:
    """Return the command line of a Python program."""
    return [sys.executable, "-c", source, *arguments]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
