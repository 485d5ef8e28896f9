"""A receiver that costs next to nothing: answers 200, after a delay if asked, and notes when each webhook-id arrived.

Run as a program; it prints its port. GET /reset?delay_ms=N forgets all, /wait?count=N answers once so many came,
/arrivals tells the times (seconds of the monotonic clock, which all processes of a machine share).
"""

import asyncio
import json
import re
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
WEBHOOK_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)


class Seen:
    """What came in since the last reset."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.arrivals: dict[bytes, float] = {}
        self.requests = 0
        self.waiting: list[tuple[int, asyncio.Transport]] = []

    def reset(self, delay: float) -> None:
        """Forget all, and answer after a delay in seconds from now on."""
        self.delay, self.arrivals, self.requests = delay, {}, 0

    def note(self, webhook_id: bytes) -> None:
        """Keep when a webhook-id came first, and tell who waits for that many."""
        self.requests += 1
        self.arrivals.setdefault(webhook_id, time.monotonic())
        for wanted, transport in self.waiting:
            if len(self.arrivals) >= wanted:
                self.tell(transport)
        self.waiting = [each for each in self.waiting if len(self.arrivals) < each[0]]

    def tell(self, transport: asyncio.Transport) -> None:
        """Answer with the figures: webhook-ids, requests, first and last arrival."""
        times = self.arrivals.values()
        ends = {"first": min(times), "last": max(times)} if times else {}
        _answer_json(transport, {"count": len(self.arrivals), "requests": self.requests, **ends})


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests on it come one after the other."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.data = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take in what came, and answer each request that is complete."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end]
            found = LENGTH.search(head)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self.data) < size:
                return
            self.data = self.data[size:]
            self._take(head)

    def _take(self, head: bytes) -> None:
        if head.startswith(b"GET"):
            self._control(head)
            return
        found = WEBHOOK_ID.search(head)
        self.seen.note(found[1] if found else b"")
        if self.seen.delay:
            asyncio.get_running_loop().call_later(self.seen.delay, self._answer)
        else:
            self.transport.write(ANSWER)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)

    def _control(self, head: bytes) -> None:
        parts = urlsplit(head.split(b" ", 2)[1].decode())
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/reset":
            self.seen.reset(float(asked.get("delay_ms", "0")) / 1000)
            self.seen.tell(self.transport)
        elif parts.path == "/wait" and len(self.seen.arrivals) < int(asked["count"]):
            self.seen.waiting.append((int(asked["count"]), self.transport))
        elif parts.path == "/arrivals":
            _answer_json(self.transport, {key.decode(): at for key, at in self.seen.arrivals.items()})
        else:
            self.seen.tell(self.transport)


def _answer_json(transport: asyncio.Transport, value: Any) -> None:
    body = json.dumps(value).encode()
    if not transport.is_closing():
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def main() -> None:
    """Serve until standard input is closed."""
    loop, seen = asyncio.get_running_loop(), Seen()
    server = await loop.create_server(lambda: Connection(seen), "127.0.0.1", 0, backlog=1024)
    print(f"receiver on {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
