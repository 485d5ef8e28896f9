"""A process of the baseline that enqueues events as told on standard input: `celery` or `dramatiq`."""

import sys
import uuid
from collections.abc import Sequence
from typing import Any

from benchmarks.handing import EVENT_TYPE, Hand, answer_requests


def _hand(which: str) -> Hand:
    """Return what enqueues a group: one call for each event, since neither has one for many."""
    if which == "celery":
        from benchmarks.celery_tasks import deliver_event

        enqueue = deliver_event.delay
    else:
        from benchmarks.dramatiq_actors import deliver_event as actor

        enqueue = actor.send

    def hand(group: Sequence[dict[str, Any]]) -> None:
        for data in group:
            enqueue(f"evt_{uuid.uuid4().hex}", EVENT_TYPE, data)

    return hand


if __name__ == "__main__":
    answer_requests(_hand(sys.argv[1]))
