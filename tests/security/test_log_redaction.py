"""The logging filter: no way of logging a secret brings it to the handler."""

import io
import logging
from collections.abc import Iterator

import pytest

from portal.security.redaction import REDACTED, RedactingFilter
from portal.security.secret import Secret

VALUE = "hunter2-hunter2"


class Sink:
    """A logger and what came out of it."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.records: list[logging.LogRecord] = []
        self.handler = logging.StreamHandler(self.text)
        self.handler.addFilter(RedactingFilter([Secret(VALUE)]))
        self.handler.addFilter(self._keep)
        self.log = logging.getLogger("tests.redaction")
        self.log.propagate = False
        self.log.addHandler(self.handler)

    def _keep(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return True


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.log.removeHandler(made.handler)


def test_message_and_arguments_are_redacted_together(sink: Sink) -> None:
    sink.log.warning("login of %s with password=%s took %d ms", "alice", "abc", 5)
    assert sink.text.getvalue() == f"login of alice with password={REDACTED} took 5 ms\n"


def test_known_values_go_from_any_argument(sink: Sink) -> None:
    sink.log.warning("%s", [VALUE])
    sink.log.warning({"note": VALUE})
    sink.log.warning(Secret("other"))
    assert sink.text.getvalue() == f"['{REDACTED}']\n{{'note': '{REDACTED}'}}\n{REDACTED}\n"


def test_a_secret_as_argument_does_not_break_the_line(sink: Sink) -> None:
    sink.log.warning("got %s and %s", Secret("other"), {"password": "abc"})
    assert sink.text.getvalue() == f"got {REDACTED} and {{'password': '{REDACTED}'}}\n"


def test_named_arguments_keep_their_names_meaning(sink: Sink) -> None:
    sink.log.warning("pass %(password)s on %(port)d", {"password": "abc", "port": 25})
    assert sink.text.getvalue() == f"pass {REDACTED} on 25\n"


def test_a_message_that_cannot_be_formatted_is_kept_and_redacted(sink: Sink) -> None:
    sink.log.warning("%d", VALUE)
    sink.log.warning("%(missing)s", {"a": 1})
    assert sink.text.getvalue() == f"%d ('{REDACTED}',)\n%(missing)s {{'a': 1}}\n"


def test_tracebacks_and_stacks_are_redacted_and_the_exception_is_gone(sink: Sink) -> None:
    try:
        int(VALUE)
    except ValueError:
        sink.log.exception("failed", stack_info=True)
    shown = sink.text.getvalue()
    assert "ValueError: invalid literal for int() with base 10: '[redacted]'" in shown
    assert "Stack (most recent call last)" in shown
    assert VALUE not in shown
    assert sink.records[0].exc_info is None


def test_a_traceback_that_another_handler_formatted_is_redacted_too(sink: Sink) -> None:
    record = logging.makeLogRecord(
        {"levelno": logging.ERROR, "msg": "x", "exc_text": f"Error: {VALUE}", "stack_info": VALUE}
    )
    sink.log.handle(record)
    assert record.exc_text == f"Error: {REDACTED}"
    assert record.stack_info == REDACTED


def test_extra_fields_are_redacted(sink: Sink) -> None:
    sink.log.warning("x", extra={"api_key": "abc", "detail": {"note": VALUE}, "count": 3})
    record = vars(sink.records[0])
    assert (record["api_key"], record["detail"], record["count"]) == (REDACTED, {"note": REDACTED}, 3)


def test_a_record_may_pass_twice(sink: Sink) -> None:
    record = logging.makeLogRecord({"msg": "%s 100%", "args": ()})
    again = RedactingFilter()
    assert again.filter(record)
    assert again.filter(record)
    assert record.getMessage() == "%s 100%"
