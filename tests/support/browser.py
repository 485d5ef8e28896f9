"""Finds the browser for the browser tests. `python -m tests.support.browser` prints it, or ends with exit code 1."""

import os
import shutil
import sys

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first is Chromium without the parts that only a screen needs: the tests take a quarter less time in it."""


def find_browser() -> str | None:
    """Return the path of the system's Chromium or Chrome, or None: then Playwright's own is the one to use."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def launch_args() -> list[str]:
    """Return the arguments to start the browser with."""
    args = ["--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    # Windows of one browser share a process where they can: starting one takes longer than most pages.
    args.append("--renderer-process-limit=1")
    if os.geteuid() == 0:
        # Chromium refuses to start as root with its own sandbox.
        args.append("--no-sandbox")
    return args


if __name__ == "__main__":
    found = find_browser()
    sys.exit(print(found) if found else 1)
