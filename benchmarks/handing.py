"""Hands events over from threads of one process, as told line by line on standard input; all contestants do it so."""

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

EVENT_TYPE = "job.created"
NOTE = "Night shift, ward 4; the key is at the desk. Ask for Marcus. " * 13
"""With this an event has about 1 KB, body and all."""
Hand = Callable[[Sequence[dict[str, Any]]], None]


@dataclass
class Share:
    """What one thread hands over: the data of events, in groups."""

    groups: list[list[dict[str, Any]]]


def data_of(number: int) -> dict[str, Any]:
    """Return the data of an event."""
    return {"id": f"job_{number}", "client": "Northline", "rate": 41.5, "places": number % 7, "note": NOTE}


def answer_requests(hand: Hand) -> None:
    """Hand over what each line asks for, {"count", "threads", "batch"}, and print when it began and ended.

    Args:
        hand: hands a group of events over, from any thread; with a batch of 1 the group is one event.
    """
    print("ready to hand over", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        shares = _shares(asked["count"], asked["threads"], asked["batch"])
        failed: list[BaseException] = []
        threads = [threading.Thread(target=_work, args=(share, hand, failed)) for share in shares]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        print(json.dumps({"began": began, "ended": time.monotonic()}), flush=True)


def _shares(count: int, threads: int, batch: int) -> list[Share]:
    """Make all data before the clock runs, and deal the groups out to the threads."""
    groups = [[data_of(each) for each in range(at, min(at + batch, count))] for at in range(0, count, batch)]
    return [Share(groups[number::threads]) for number in range(threads)]


def _work(share: Share, hand: Hand, failed: list[BaseException]) -> None:
    try:
        for group in share.groups:
            hand(group)
    except Exception as error:  # noqa: BLE001 - told to whoever asked, from the main thread
        failed.append(error)
