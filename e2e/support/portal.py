"""The portal as a user starts it: `portal serve` in a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from e2e.support.waiting import wait_until

COMMAND = (sys.executable, "-c", "from portal.cli import main; main()")
STARTED = "Integrations Portal serves on"
ROOT = Path(__file__).resolve().parents[2]


class Portal:
    """One serving process with an instance directory of its own."""

    def __init__(self, folder: Path, *, sandbox_url: str) -> None:
        """Start it and wait until it serves.

        Args:
            folder: for the instance directory and for what the process prints.
            sandbox_url: the provider sandbox.

        Raises:
            TimeoutError: it does not come up; what it printed is in the text.
        """
        self.instance = folder / "instance"
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._stdout, self._stderr = folder / "stdout.txt", folder / "stderr.txt"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        own = {
            "PORTAL_INSTANCE_DIR": str(self.instance),
            "PORTAL_SANDBOX_URL": sandbox_url,
            "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
        }
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--port", self.url.rpartition(":")[2]],
                env=clean | own, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
        try:
            wait_until(self._is_up, "the portal to serve", seconds=60)
        except TimeoutError as error:
            self._process.kill()
            self._process.wait()
            raise TimeoutError(f"{error}; it printed: {self.printed}") from None

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise TimeoutError("the portal ended by itself")
        return STARTED in self._stdout.read_text()

    @property
    def printed(self) -> str:
        """Everything that the process wrote, standard output first."""
        return self._stdout.read_text() + self._stderr.read_text()

    @property
    def complaints(self) -> list[str]:
        """Lines of the log that speak of something wrong inside the portal."""
        return re.findall(r".*(?: error | critical |Traceback).*", self._stderr.read_text())

    @property
    def setup_link(self) -> str:
        """The one-time link to the first run, as printed for the operator."""
        found = re.search(r"http\S+/setup\?code=\S+", self.printed)
        assert found, f"no set-up link in: {self.printed}"
        return found[0]

    def stop(self) -> int:
        """Ask the process to end as an operator does, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
