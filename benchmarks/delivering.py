"""What a task of the baseline does: JSON body, signature, POST on a kept connection, a row for the result.

This is the same durable work as the portal's: the row holds what the portal's attempt holds, and is committed with an
fsync before the task is acknowledged. It stays short of the portal in the baseline's favour: no address guard, no retry
policy, no event row, no filters.
"""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from typing import Any

import psycopg
import requests
from psycopg.types.json import Jsonb

INSERT = """INSERT INTO results
    (event_id, duration_ms, response_status, request_headers, response_headers, response_body)
    VALUES (%s, %s, %s, %s, %s, %s)"""
LARGEST = 16 * 1024


class Sender:
    """One session and one database connection, kept for as long as its thread lives."""

    def __init__(self) -> None:
        self.url, secret = os.environ["BENCH_URL"], os.environ["BENCH_SECRET"]
        self.shown, self.key = secret.encode(), base64.b64decode(secret.removeprefix("whsec_"))
        self.session = requests.Session()
        self.connection = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)

    def deliver(self, event_id: str, event_type: str, data: dict[str, Any]) -> None:
        """Send one event and store what came of it."""
        document = {"id": event_id, "event": event_type, "occurred_at": "2026-01-01T00:00:00.000Z", "data": data}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = self._headers(event_id, event_type, body)
        began = time.monotonic()
        answer = self.session.post(self.url, data=body, headers=headers, timeout=15, allow_redirects=False)
        took = round((time.monotonic() - began) * 1000)
        kept = Jsonb(headers), Jsonb(dict(answer.headers)), answer.content[:LARGEST]
        self.connection.execute(INSERT, (event_id, took, answer.status_code, *kept))
        answer.raise_for_status()

    def _headers(self, event_id: str, event_type: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = b".".join((event_id.encode(), timestamp.encode(), body))
        signature = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
        return {
            "Content-Type": "application/json",
            "User-Agent": "Baseline/1",
            "webhook-id": event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
            "X-Portal-Event": event_type,
            "X-Portal-Signature": f"sha256={hmac.digest(self.shown, body, hashlib.sha256).hex()}",
            "X-Portal-Attempt": "1",
        }


_of_thread = threading.local()


def deliver(event_id: str, event_type: str, data: dict[str, Any]) -> None:
    """Deliver an event with the sender of this thread; a forked process makes its own at its first task."""
    if not hasattr(_of_thread, "sender"):
        _of_thread.sender = Sender()
    _of_thread.sender.deliver(event_id, event_type, data)
