"""What holds for every test, those of the browser too."""

import gc
from collections import Counter

import pytest

from tests.support.scratch import use_memory

QUICK = ("tests/providers/", "tests/sandbox/", "tests/security/", "tests/web/")
"""Rooms of many tests that take no time each."""


def pytest_configure() -> None:
    """Before the first temporary folder is made and the first test is loaded, of which nothing ever is garbage."""
    use_memory()
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep what was loaded out of every later search for garbage, and search less often: it took a tenth of all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what is quick come last, so that all workers end at about the same time, and the browser before it."""
    files = Counter(_file(item) for item in items)
    items.sort(key=lambda item: (_turn(_file(item)), -files[_file(item)] if _file(item).startswith("e2e/") else 0))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _turn(file: str) -> int:
    return 2 if file.startswith(QUICK) else int(file.startswith("e2e/"))
