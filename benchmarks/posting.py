"""Posts events to the portal's API at a steady rate, whether or not it keeps up; prints when each call began and ended.

A program: the address, the rate per second and the seconds are its arguments, the token comes from BENCH_TOKEN.
"""

import json
import os
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from benchmarks.handing import EVENT_TYPE, data_of

CONNECTIONS = 16
LEAD = 0.2
"""Seconds until the first call, so that all threads are there."""


class Caller(threading.Thread):
    """One kept connection; of all calls it makes every sixteenth, each at its time."""

    def __init__(self, address: str, number: int, begin: float, rate: float, total: int) -> None:
        super().__init__(daemon=True)
        self.parts = urlsplit(address)
        self.mine = [(each, begin + each / rate) for each in range(number, total, CONNECTIONS)]
        self.prefix = f"e{int(begin * 1000)}"
        self.calls: dict[str, tuple[float, float]] = {}
        self.late = 0.0
        self.refused = 0

    def run(self) -> None:
        """Make the calls; the time of one that is late runs from when it is made, and how late is kept."""
        token = os.environ["BENCH_TOKEN"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = HTTPConnection(self.parts.hostname or "", self.parts.port, timeout=30)
        connection.connect()
        for number, due in self.mine:
            event_id = f"{self.prefix}_{number}"
            body = json.dumps({"event": EVENT_TYPE, "data": data_of(number), "id": event_id}).encode()
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            connection.request("POST", "/api/v1/events", body, headers)
            answer = connection.getresponse()
            answer.read()
            self.calls[event_id] = (began, time.monotonic())
            self.late = max(self.late, began - due)
            self.refused += answer.status != 202
        connection.close()


def main() -> None:
    """Make all calls and print {"calls": {id: [began, ended]}, "late": seconds, "refused": n}."""
    address, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    begin = time.monotonic() + LEAD
    callers = [Caller(address, number, begin, rate, int(rate * seconds)) for number in range(CONNECTIONS)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    calls = {event_id: times for each in callers for event_id, times in each.calls.items()}
    late, refused = max(each.late for each in callers), sum(each.refused for each in callers)
    print(json.dumps({"calls": calls, "late": late, "refused": refused}), flush=True)


if __name__ == "__main__":
    main()
