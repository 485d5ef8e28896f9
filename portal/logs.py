"""Logs: one line per record, as text or JSON, every one of them redacted."""

import json
import logging
import sys

from portal import clock
from portal.security.redaction import RedactingFilter


class JsonFormatter(logging.Formatter):
    """Writes each record as one JSON object; line breaks are escaped, so nobody can forge a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        fields = {
            "at": clock.now().isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _trace(self, record):
            fields["error"] = trace
        return json.dumps(fields)


class LineFormatter(logging.Formatter):
    """Writes each record as text. What cannot be printed is escaped, so nobody can forge a line or steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, followed by its traceback, indented, where there is one."""
        head = f"{clock.now():%Y-%m-%d %H:%M:%S} {record.levelname.lower()} {record.name}: "
        lines = [head + _printable(record.getMessage())]
        lines += [f"  {_printable(line)}" for line in _trace(self, record).split("\n") if line]
        return "\n".join(lines)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the traceback of a record; the redacting filter leaves it as text."""
    return record.exc_text or (formatter.formatException(record.exc_info) if record.exc_info else "")


def set_up(log_format: str) -> None:
    """Send every record to stderr in the chosen format, redacted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("alembic", "apscheduler"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
