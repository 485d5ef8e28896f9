"""A SQLite instance with 10,000 integrations, their checks of 30 days and rollups of 90, made with plain SQL."""

import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.instances import Instance, Instances
from benchmarks.stored import ID, NUMBERS, kept
from portal.database import first_id
from portal.health import rollups, words
from portal.paging import encode_cursor

INTEGRATIONS = 10_000
STEP = 200_000
"""Logs a transaction."""
DAYS, LOG_DAYS, HOURS = 90, 30, 8 * 24

_INTEGRATION = "printf('019000000000700080%014x', {number})"
# Of 1,000 integrations 10 are in error, two of them with refused credentials, and 20 are disabled.
_STATUS = "CASE WHEN n % 1000 < 10 THEN 'error' WHEN n % 1000 < 30 THEN 'inactive' ELSE 'active' END"
_INTEGRATIONS = f"""{NUMBERS} INSERT INTO integrations
    (id, organization_id, provider, type, capabilities, name, name_key, config, enabled, sandbox, status, condition,
    error_class, error_title, error_message, error_count, failing_since, last_health_check, last_health_check_status,
    last_health_check_ms, last_sync, last_sync_ok, health_check_interval_minutes, next_check_at, next_check_kind,
    created_at, updated_at)
    SELECT {_INTEGRATION.format(number="n")}, :organization,
    json_extract('["smtp","sendgrid","twilio"]', '$[' || (n % 3) || ']'), iif(n % 3 = 2, 'sms', 'email'),
    iif(n % 3 = 2, '["sms"]', '["email"]'), printf('Relay %05d', n), printf('relay %05d', n), '{{}}',
    n % 1000 NOT BETWEEN 10 AND 29, 0, {_STATUS}, iif(n % 1000 < 2, 'reauth', NULL),
    iif(n % 1000 < 10, 'timeout', NULL), iif(n % 1000 < 10, 'no answer', NULL),
    iif(n % 1000 < 10, 'mail.example.org did not answer within 10 s.', NULL), iif(n % 1000 < 10, 7, 0),
    iif(n % 1000 < 10, :now, NULL), :now, iif(n % 1000 < 10, 'failure', 'success'), 20 + n % 90, :now, n % 1000 >= 10,
    5, iif(n % 1000 BETWEEN 10 AND 29, NULL, '2099-01-01 00:00:00.000000'), 'scheduled', :now, :now FROM numbers"""
_ALERTS = f"""{NUMBERS} INSERT INTO alerts
    (id, organization_id, rule, cause, severity, integration_id, title, message, impact, hint, code, detail, state,
    since, opened_at, changed_at, acknowledged_by, acknowledge_note, resolution, occurrences)
    SELECT {ID.format(number="n")}, :organization, 'integration_down', 'integration:' || n, 'critical',
    {_INTEGRATION.format(number="n")}, printf('Relay %05d: no answer', n),
    'mail.example.org did not answer within 10 s.', 'Emails not sending', 'See whether the host is right.', 'timed_out',
    '{{}}', 'open', :now, :now, :now, '', '', '', 1 FROM numbers WHERE n % 1000 < 10"""
# One check in 50 failed, one in 1,000 was asked to slow down.
_FAILED = "n % 50 = 7"
_LOGS = f"""{NUMBERS} INSERT INTO health_logs
    (id, organization_id, integration_id, run_id, check_type, status, response_time_ms, error_class, error_code,
    error_message, metadata, checked_at, words_id)
    SELECT {ID.format(number="n")}, :organization, {_INTEGRATION.format(number=f"n % {INTEGRATIONS}")}, NULL,
    CASE WHEN n % 20 = 3 THEN 'auto' WHEN n % 100 = 1 THEN 'manual' ELSE 'scheduled' END,
    CASE WHEN {_FAILED} THEN 'failure' WHEN n % 1000 = 11 THEN 'limited' ELSE 'success' END, 20 + n * 7 % 190,
    iif({_FAILED}, 'timeout', NULL), iif({_FAILED}, 'timed_out', NULL), iif({_FAILED}, :message, NULL), :metadata,
    strftime('%Y-%m-%d %H:%M:%f000', (:start + n * :step) / 1000.0, 'unixepoch'),
    CASE WHEN {_FAILED} THEN :failed WHEN n % 1000 = 11 THEN :limited END FROM numbers"""
_WORDS = """INSERT INTO health_words (organization_id, id, words, until)
    VALUES (?, ?, lower(?), '2099-01-01 00:00:00.000000')"""
_MESSAGE = "mail.example.org did not answer within 10 s."
_ROLLUPS = f"""{NUMBERS} INSERT INTO health_rollups
    (integration_id, span, start, checks, failures, observed_ms, down_ms, histogram)
    SELECT {_INTEGRATION.format(number="n / {count}")}, '{{span}}',
    strftime('%Y-%m-%d %H:00:00.000000', :newest - (n % {{count}}) * :seconds, 'unixepoch'),
    :seconds / 300, n % 7 = 3, :seconds * 1000, iif(n % 7 = 3, 300000, 0),
    printf('{{{{"%d": %d, "%d": 3}}}}', 26 + n % 9, :seconds / 300 - 3, 37 + n % 5) FROM numbers"""
_METADATA = """{"steps": [{"name": "DNS", "state": "passed", "detail": "192.0.2.1", "duration_ms": 3},
{"name": "TCP", "state": "passed", "detail": "port 587", "duration_ms": 12},
{"name": "TLS", "state": "passed", "detail": "TLSv1.3", "duration_ms": 21},
{"name": "Login", "state": "passed", "detail": "235 accepted", "duration_ms": 18}], "asked_by": ""}"""


def stored_health(instances: Instances, size: int) -> tuple[Instance, dict[str, str]]:
    """Return an instance with so many health logs, made now if there is none, and the addresses to look at.

    Args:
        instances: where the first copy comes from.
        size: logs.
    """
    made = kept(instances, f"{size}-checks", lambda file, facts: _fill(file, facts, size), made_by=Path(__file__))
    return made[0], _addresses(made[1])


def _addresses(middle: str) -> dict[str, str]:
    moment, row = middle.split("|")
    deep = encode_cursor(datetime.fromisoformat(moment).replace(tzinfo=UTC), uuid.UUID(row))
    of_one = f"/admin/integrations/{uuid.UUID(int=(0x019000000000700080 << 56) + 7)}"
    return {
        "dashboard": "/admin/integrations",
        "dashboard, errors": "/admin/integrations?status=error",
        "dashboard, search": "/admin/integrations?q=relay+0999",
        "dashboard by last sync": "/admin/integrations?sort=last_sync",
        "dashboard by status": "/admin/integrations?sort=status",
        "logs": "/admin/health-logs",
        "logs, deep inside": f"/admin/health-logs?cursor={deep}",
        "logs that failed": "/admin/health-logs?status=failure",
        "logs that were limited": "/admin/health-logs?status=limited",
        "logs by error": "/admin/health-logs?error=timeout",
        "logs by an error that never came": "/admin/health-logs?error=auth_rejected",
        "logs by text": "/admin/health-logs?q=did+not+answer",
        "logs by a text that never came": "/admin/health-logs?q=certificate",
        "logs of one integration": f"{of_one}/logs",
        "failed logs of one integration": f"{of_one}/logs?status=failure",
        "detail": of_one,
        "detail, 90 days": f"{of_one}?window=90d",
    }


def _fill(file: sqlite3.Connection, facts: Mapping[str, str], size: int) -> str:
    """Insert everything, and return time and id of a log in the middle."""
    now = datetime.now(UTC)
    start = int((now.timestamp() - LOG_DAYS * 86_400) * 1000)
    failed, limited = (_noted(file, facts, *said) for said in (("timeout", "timed_out", _MESSAGE), ("", "", "")))
    values: dict[str, object] = {
        "organization": facts["organization_id"], "now": f"{now:%Y-%m-%d %H:%M:%S.%f}", "metadata": _METADATA,
        "message": _MESSAGE, "failed": failed, "limited": limited, "start": start,
        "step": max(1, LOG_DAYS * 86_400_000 // size),
    }  # fmt: skip
    for statement in (_INTEGRATIONS, _ALERTS):
        file.execute(statement, values | {"first": 0, "last": INTEGRATIONS - 1})
    for first in range(0, size, STEP):
        file.execute("BEGIN")
        file.execute(_LOGS, values | {"first": first, "last": min(first + STEP, size) - 1})
        file.execute("COMMIT")
    folded = rollups.hour_of(now - timedelta(minutes=2))
    for span, count, seconds, newest in (
        ("hour", HOURS, 3600, folded - rollups.HOUR), ("day", DAYS, 86_400, rollups.day_of(now)),
    ):  # fmt: skip
        part = {"first": 0, "last": INTEGRATIONS * count - 1, "seconds": seconds, "newest": int(newest.timestamp())}
        file.execute(_ROLLUPS.format(count=count, span=span), part)
    progress = "INSERT INTO job_progress (organization_id, job, up_to) VALUES (?, ?, ?)"
    file.execute(progress, (facts["organization_id"], rollups.JOB, first_id(folded).hex))
    middle = "SELECT checked_at, id FROM health_logs ORDER BY checked_at LIMIT 1 OFFSET ?"
    row = file.execute(middle, (size // 2,)).fetchone()
    return f"{row[0]}|{uuid.UUID(row[1])}"


def _noted(file: sqlite3.Connection, facts: Mapping[str, str], *said: str) -> str:
    """Keep the words of checks, and return their id."""
    key, text = words.of(uuid.UUID(facts["organization_id"]), *said)
    file.execute(_WORDS, (facts["organization_id"], key.hex, text))
    return key.hex
