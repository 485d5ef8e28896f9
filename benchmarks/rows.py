"""A SQLite instance with a million deliveries and more, made with plain SQL."""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from benchmarks.instances import Instance, Instances
from benchmarks.stored import ID, NUMBERS, kept
from portal.paging import encode_cursor

STEP = 100_000
"""Events a transaction."""
WEBHOOKS = 5
"""Each event goes to so many webhooks."""
DAYS = 30
RARE = "webhook.disabled"
"""One event in 10,000 has this type, so that few pages hold one."""
COMMON = ("job.created", "job.updated", "candidate.created", "candidate.updated", "submission.created", "message.sent")

_MOMENT = "strftime('%Y-%m-%d %H:%M:%f000', (:start + n * :step) / 1000.0, 'unixepoch')"
_TYPE = "CASE WHEN n % 10000 = 77 THEN :rare ELSE json_extract(:types, '$[' || (n % 6) || ']') END"
_EVENTS = f"""{NUMBERS} INSERT INTO events
    (id, organization_id, event_id, event_type, source, body, decisions, occurred_at, accepted_at)
    SELECT {ID.format(number="n")}, :organization, printf('evt_%032x', n), {_TYPE}, 'api', :body, '{{}}', {_MOMENT},
    {_MOMENT} FROM numbers"""
# Of 1,000 deliveries 30 failed, 20 are dead letters and the rest arrived; of the newest ones some wait.
_STATUS = """CASE WHEN n >= :waiting THEN 'pending' WHEN n % 1000 < 30 THEN 'failed' WHEN n % 1000 < 50 THEN 'dlq'
    ELSE 'success' END"""
_DELIVERIES = f"""{NUMBERS} INSERT INTO deliveries
    (id, organization_id, webhook_id, event_row_id, event_type, status, attempt_number, due_at, lease_token,
    error_class, response_status, duration_ms, created_at, delivered_at)
    SELECT {ID.format(number=f"n * {WEBHOOKS} + place.key")}, :organization, place.value, {ID.format(number="n")},
    {_TYPE}, {_STATUS}, 1, iif(n >= :waiting, '2099-01-01 00:00:00.000000', NULL), NULL,
    iif(n < :waiting AND n % 1000 < 50, 'http_500', NULL), iif(n % 1000 < 50, 500, 200), 20 + n % 90, {_MOMENT},
    iif(n < :waiting AND n % 1000 >= 50, {_MOMENT}, NULL)
    FROM numbers, json_each(:webhooks) AS place"""


def stored_rows(instances: Instances, size: int) -> tuple[Instance, dict[str, str]]:
    """Return an instance with so many deliveries, made now if there is none, and the addresses to look at.

    Args:
        instances: where the first copy comes from.
        size: deliveries.
    """
    instance, middle = kept(
        instances, f"{size}-deliveries", lambda file, facts: _fill(file, facts, size), made_by=Path(__file__),
        webhooks=WEBHOOKS,
    )  # fmt: skip
    return instance, _addresses(instance.facts, middle)


def _addresses(facts: Mapping[str, str], middle: str) -> dict[str, str]:
    webhook = uuid.UUID(facts["webhook_id"])
    deep = encode_cursor(uuid.UUID(middle))
    return {
        "first page": "/admin/deliveries",
        "deep inside": f"/admin/deliveries?cursor={deep}",
        "of a webhook": f"/admin/deliveries?webhook={webhook}",
        "of a webhook, deep inside": f"/admin/deliveries?webhook={webhook}&cursor={deep}",
        "its history": f"/admin/webhooks/{webhook}/deliveries",
        "delivered": "/admin/deliveries?status=success",
        "failed": "/admin/deliveries?status=failed",
        "dead letters": "/admin/deliveries?status=dlq",
        "waiting": "/admin/deliveries?status=pending",
        "a common type": f"/admin/deliveries?type={COMMON[0]}",
        "a rare type": f"/admin/deliveries?type={RARE}",
        "a rare type of a webhook": f"/admin/deliveries?type={RARE}&webhook={webhook}",
        "a type that never came": "/admin/deliveries?type=employee.created",
        "last 24 hours": "/admin/deliveries?time=24h",
        "an event": f"/admin/deliveries?q=evt_{77:032x}",
        "the page of dead letters": "/admin/dead-letters",
    }


def _fill(file: sqlite3.Connection, facts: Mapping[str, str], size: int) -> str:
    """Insert events and deliveries of the last days, and return the id of a delivery in the middle."""
    events, now = size // WEBHOOKS, int(time.time() * 1000)
    start, step = now - DAYS * 86_400_000, DAYS * 86_400_000 // events
    webhooks = [row[0] for row in file.execute("SELECT id FROM webhooks ORDER BY id")]
    values = {
        "start": start, "step": step, "organization": facts["organization_id"], "rare": RARE,
        "types": json.dumps(COMMON), "webhooks": json.dumps(webhooks), "waiting": events - min(200, events // 10),
        "body": b'{"id":"evt_1","event":"job.created","occurred_at":"2026-01-01T00:00:00.000Z","data":{"id":"job_1"}}',
    }  # fmt: skip
    for first in range(0, events, STEP):
        part = {**values, "first": first, "last": min(first + STEP, events) - 1}
        file.execute("BEGIN")
        file.execute(_EVENTS, part)
        file.execute(_DELIVERIES, part)
        file.execute("COMMIT")
    found = file.execute("SELECT id FROM deliveries ORDER BY id LIMIT 1 OFFSET ?", (size // 2,)).fetchone()
    return str(found[0])
