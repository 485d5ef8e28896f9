"""`portal serve` as a process, and a browser that asks it for pages and takes the time."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection

from benchmarks.instances import Instance
from benchmarks.processes import Failed, Program, free_port, portal, running


class Browser:
    """A signed-in browser on one kept connection."""

    def __init__(self, port: int, cookie: str) -> None:
        """Connect it."""
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Cookie": cookie, "User-Agent": "bench"}

    def get(self, path: str) -> float:
        """Ask for a page and return the seconds until all of it was there.

        Raises:
            Failed: it was not shown.
        """
        began = time.monotonic()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        took = time.monotonic() - began
        if answer.status != 200:
            raise Failed(f"the portal answered {path} with {answer.status} {answer.headers.get('Location', '')}")
        return took

    def poll(self, path: str, target: str) -> list[float]:
        """Ask for a region again that did not change, as an open page does; returns seconds, of none where it changed.

        Args:
            path: of the page.
            target: id of the region.

        Raises:
            Failed: the region is not there.
        """
        self._connection.request("GET", path, headers=self._headers)
        page = self._connection.getresponse().read().decode()
        found = re.search(rf'id="{target}".*?X-Portal-Poll&#34;: &#34;(\w+)&#34;', page)
        if not found:
            raise Failed(f"{path} has no region {target} that asks for itself again")
        asks = {**self._headers, "HX-Request": "true", "HX-Target": target, "X-Portal-Poll": found[1]}
        began = time.monotonic()
        self._connection.request("GET", path, headers=asks)
        answer = self._connection.getresponse()
        answer.read()
        return [time.monotonic() - began] if answer.status == 204 else []

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def serving(instance: Instance, *options: str) -> Iterator[tuple[Program, int]]:
    """Run `portal serve` on a free port; yields the process and the port."""
    port = free_port()
    with running(portal("serve", "--port", str(port), *options), instance.env, instance.folder, "serve") as program:
        program.wait_for("serves on")
        yield program, port


@contextmanager
def browsing(port: int, facts: Mapping[str, str]) -> Iterator[Browser]:
    """Open a signed-in browser."""
    browser = Browser(port, facts["cookie"])
    try:
        yield browser
    finally:
        browser.close()
