"""Logs: one record is one line, in either format, and nobody can forge a second one or read a secret in it."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from portal import logs

FORGED = "sign-in failed\n2025-11-21 10:28:12 info portal: sign-in of the owner\r\x1b[2Kgone"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    chatty = {name: logging.getLogger(name).level for name in ("alembic", "apscheduler")}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in chatty.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def written(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to stderr; the clock stands still."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root.handlers.clear()
    with time_machine.travel(datetime(2025, 11, 21, 10, 28, 12, tzinfo=UTC), tick=False):
        yield stream


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_text_is_a_line_with_time_level_and_logger(written: io.StringIO) -> None:
    logs.set_up("text")
    logging.getLogger("portal.health").warning("check of %s took %d ms", "Email relay", 84)
    assert lines(written) == ["2025-11-21 10:28:12 warning portal.health: check of Email relay took 84 ms"]


def test_json_is_an_object_a_line(written: io.StringIO) -> None:
    logs.set_up("json")
    logging.getLogger("portal.health").info("größer than %s", '"quotes"')
    [line] = lines(written)
    assert json.loads(line) == {
        "at": "2025-11-21T10:28:12+00:00",
        "level": "info",
        "logger": "portal.health",
        "message": 'größer than "quotes"',
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_cannot_forge_a_second_record(written: io.StringIO, log_format: str) -> None:
    logs.set_up(log_format)
    logging.getLogger("portal").info("refused: %s", FORGED)
    [line] = lines(written)
    assert "sign-in of the owner" in line
    assert "\r" not in written.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_comes_with_its_traceback_and_without_secrets(written: io.StringIO, log_format: str) -> None:
    logs.set_up(log_format)
    try:
        raise LookupError("password=hunter2-hunter2")
    except LookupError:
        logging.getLogger("portal").exception("job failed, Authorization: Bearer abcdef123456")
    text = written.getvalue()
    assert "LookupError" in text
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "abcdef123456" not in text
    if log_format == "json":
        [line] = lines(written)
        assert "LookupError" in json.loads(line)["error"]


def test_other_libraries_are_heard_from_warnings_on(written: io.StringIO) -> None:
    logs.set_up("text")
    for name in ("alembic.runtime", "apscheduler.scheduler"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert len(lines(written)) == 2
    logs.set_up("text")
    logging.getLogger("portal").info("once")
    assert [each for each in lines(written) if each.endswith("once")] == ["2025-11-21 10:28:12 info portal: once"]
