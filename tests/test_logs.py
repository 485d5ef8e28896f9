"""Logs: one record is one line, in either format, and nobody can forge a second one or read a secret in it."""

import json
import logging
from collections.abc import Callable, Iterator
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


Written = Callable[[], str]


@pytest.fixture
def written(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """Returns what went to stderr since it was last asked; the clock stands still."""
    with time_machine.travel(datetime(2025, 11, 21, 10, 28, 12, tzinfo=UTC), tick=False):
        yield lambda: capsys.readouterr().err


def test_text_is_a_line_with_time_level_and_logger(written: Written) -> None:
    logs.set_up("text")
    logging.getLogger("portal.health").warning("check of %s took %d ms", "Email relay", 84)
    assert written().splitlines() == ["2025-11-21 10:28:12 warning portal.health: check of Email relay took 84 ms"]


def test_json_is_an_object_a_line(written: Written) -> None:
    logs.set_up("json")
    logging.getLogger("portal.health").info("größer than %s", '"quotes"')
    [line] = written().splitlines()
    assert json.loads(line) == {
        "at": "2025-11-21T10:28:12+00:00",
        "level": "info",
        "logger": "portal.health",
        "message": 'größer than "quotes"',
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_cannot_forge_a_second_record(written: Written, log_format: str) -> None:
    logs.set_up(log_format)
    logging.getLogger("portal").info("refused: %s", FORGED)
    text = written()
    assert text.count("\n") == 1
    assert "sign-in of the owner" in text
    assert not {"\r", "\x1b"} & set(text)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_comes_with_its_traceback_and_without_secrets(written: Written, log_format: str) -> None:
    logs.set_up(log_format)
    try:
        raise LookupError("password=hunter2-hunter2\n2025-11-21 10:28:12 info portal: forged")
    except LookupError:
        logging.getLogger("portal").exception("job failed, Authorization: Bearer abcdef123456")
    text = written()
    assert "LookupError" in text
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "abcdef123456" not in text
    first, *others = text.splitlines()
    if log_format == "json":
        assert "LookupError" in json.loads(first)["error"]
    assert all(each.startswith("  ") for each in others), "a line that starts at the margin is a record"


def test_other_libraries_are_heard_from_warnings_on(written: Written) -> None:
    logs.set_up("text")
    for name in ("alembic.runtime", "apscheduler.scheduler"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert len(written().splitlines()) == 2
    logs.set_up("text")
    logging.getLogger("portal").info("once")
    assert written() == "2025-11-21 10:28:12 info portal: once\n"
