"""Waiting for what other processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STEP = 0.05
"""Seconds between two looks."""


def wait_until(look: Callable[[], T], what: str, *, seconds: float = 20) -> T:
    """Look again and again until the look returns something true, and return that.

    Args:
        look: what is asked.
        what: completes "waited in vain for …".
        seconds: after so long it is given up.

    Raises:
        TimeoutError: it did not happen.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(STEP)
    return found
