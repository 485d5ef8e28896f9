"""The job that works runs off, whatever they do."""

from typing import Final

from portal.webhooks import dead_letters, replays, runs
from portal.webhooks.runs import WAKE

__all__ = ["WAKE", "work_off"]
WORKS: Final = {**dead_letters.WORKS, **replays.WORKS}


def work_off(batches: int = runs.AT_ONCE) -> int:
    """Go on with the runs; returns how many deliveries were changed or made. Owns its transactions."""
    return runs.work_off(WORKS, batches)
