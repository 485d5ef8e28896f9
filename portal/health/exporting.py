"""Health logs as CSV: streamed in pages by key, so that a year costs no more memory than a day."""

import csv
import io
import uuid
from collections.abc import Iterator
from typing import Final

from portal.database import reading
from portal.health import service
from portal.health.listing import Log
from portal.health.service import LogFilters

BATCH: Final = 500
"""Rows that one transaction reads; between two of them nobody is held up."""
HEAD: Final = (
    "time", "integration", "kind", "status", "response_time_ms", "error_class", "error_code", "error_message",
)  # fmt: skip
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(*, organization_id: uuid.UUID, filters: LogFilters) -> Iterator[str]:
    """Return the logs that the filters leave as CSV (RFC 4180), newest first, times in UTC. Owns its transactions."""
    yield _lines([HEAD])
    cursor: str | None = ""
    while cursor is not None:
        with reading():
            found = service.logs(organization_id=organization_id, filters=filters, cursor=cursor, limit=BATCH)
            text = _lines([_row(each) for each in found.items])
        yield text
        cursor = found.next_cursor


def _row(log: Log) -> tuple[str, ...]:
    at = log.checked_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    cells = (
        log.name, log.check_type, log.status, log.response_time_ms, log.error_class, log.error_code, log.error_message,
    )  # fmt: skip
    return at, *(_cell(each) for each in cells)


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: part of it comes from servers of others."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _lines(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
