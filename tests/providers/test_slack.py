"""The Slack driver: which addresses it takes, what it posts, and what it makes of Slack's one-word answers."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from portal.providers.base import Context, Outcome, OutgoingChat, SendOutcome, Value
from portal.providers.slack import SLACK
from portal.providers.slack.message import body_of, escaped
from portal.providers.validation import validate
from tests.providers.chat_kit import MESSAGE, UNSENDABLE
from tests.providers.conformance import DeadNetwork
from tests.providers.golden import same
from tests.providers.web_kit import Asked, Play, answer

KEY = "golden-golden-golden"
PATH = f"/services/T0000/B0000/{KEY}"
CREDENTIALS: dict[str, Value] = {"webhook_url": f"https://hooks.slack.com{PATH}", "channel": "#alerts"}
Run = Callable[..., tuple[Any, list[Asked]]]


@pytest.fixture
def run(play: Play) -> Run:
    """Return a caller of one of the driver's methods against one answer."""

    def call(method: str, reply: bytes, *arguments: object) -> tuple[Any, list[Asked]]:
        return play(getattr(SLACK, method), CREDENTIALS, {PATH: reply}, *arguments)

    return call


def said(status: int, word: str, **headers: str) -> bytes:
    return answer(status, word.encode(), **headers)


GOOD = [
    "https://hooks.slack.com/services/T0AB1/B0CD2/efGH-34_x",
    "https://hooks.slack-gov.com/services/T0AB1/B0CD2/efGH34",
    "https://HOOKS.slack.com:443/services/T0AB1/B0CD2/efGH34",
]
BAD = {
    "http://hooks.slack.com/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "hooks.slack.com/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "https://u@hooks.slack.com/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "https://hooks.slack.com:8443/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "https://hooks.slack.com:x/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "https://[hooks.slack.com/services/T0AB1/B0CD2/efGH34": "begins with https://",
    "https://hooks.slack.com.evil.example/services/T0AB1/B0CD2/efGH34": "must lead to hooks.slack.com",
    "https://evil.example/hooks.slack.com/services/T0AB1/B0CD2/efGH34": "must lead to hooks.slack.com",
    "https://127.0.0.1/services/T0AB1/B0CD2/efGH34": "must lead to hooks.slack.com",
    "https://hooks.slack.com/triggers/T0AB1/123/efGH34": "URL of a Slack workflow",
    "https://hooks.slack.com/services/T0AB1/B0CD2": "not complete",
    "https://hooks.slack.com/services/T0AB1/B0CD2/efGH34/more": "not complete",
    "https://hooks.slack.com/services/T0AB1/B0CD2/efGH34?x=1": "not complete",
    "https://hooks.slack.com/services/T0AB1/B0CD2/ef GH34": "does not look right",
}


@pytest.mark.parametrize("url", GOOD)
def test_address_that_is_taken(url: str) -> None:
    assert validate(SLACK, {"webhook_url": url}).values == {"webhook_url": url}


@pytest.mark.parametrize("url", BAD)
def test_address_that_is_refused_without_being_repeated(url: str) -> None:
    found = validate(SLACK, {"webhook_url": url})
    assert BAD[url] in found.errors["webhook_url"]
    assert "efGH34" not in str(found.errors)


def test_the_stored_address_stays_and_the_channel_is_named() -> None:
    assert validate(SLACK, {"channel": "#alerts"}, kept=["webhook_url"]).ok
    assert SLACK.label(CREDENTIALS) == "Slack, #alerts"
    assert SLACK.label({}) == "Slack"


@pytest.mark.parametrize("word", ["no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"])
def test_a_webhook_that_misses_the_text_is_alive(run: Run, word: str) -> None:
    report, (request,) = run("probe", said(400, f"{word}\n"))
    same(request, "slack", "probe")
    assert report.ok
    assert report.steps[-1].detail == "Slack knows it. Nothing was posted"


REFUSALS = [
    (403, "invalid_token", "login_rejected", Outcome.AUTH_REJECTED),
    (404, "no_service", "webhook_gone", Outcome.AUTH_REJECTED),
    (404, "no_team", "webhook_gone", Outcome.AUTH_REJECTED),
    (404, "channel_not_found", "channel_gone", Outcome.AUTH_REJECTED),
    (410, "channel_is_archived", "channel_gone", Outcome.AUTH_REJECTED),
    (400, "user_not_found", "channel_gone", Outcome.AUTH_REJECTED),
    (403, "action_prohibited", "posting_not_allowed", Outcome.PERMISSION_MISSING),
    (429, "rate_limited", "rate_limited", Outcome.RATE_LIMITED),
    (418, "something_new", "request_refused", Outcome.INVALID_REQUEST),
]


@pytest.mark.parametrize(("status", "word", "reason", "outcome"), REFUSALS, ids=[word for _, word, _, _ in REFUSALS])
def test_a_refusal_says_the_same_to_probe_and_message(
    run: Run, status: int, word: str, reason: str, outcome: Outcome
) -> None:
    reply = said(status, word, Retry_After="12")
    report, _ = run("probe", reply)
    sent, _ = run("send_chat", reply, MESSAGE)
    for result in (report, sent):
        assert result.error
        assert (result.outcome, result.error.reason, result.error.code) == (outcome, reason, word)
        assert result.error.said == word
        assert result.error.retry_after == (12 if status == 429 else None)
        assert KEY not in repr(result)


def test_a_message_without_content_that_is_taken_is_no_proof(run: Run) -> None:
    report, _ = run("probe", said(200, "ok"))
    assert report.outcome is Outcome.PROVIDER_ERROR


def test_golden_message(run: Run) -> None:
    sent, (request,) = run("send_chat", said(200, "ok"), MESSAGE)
    same(request, "slack", "send")
    assert sent == SendOutcome(outcome=Outcome.OK, response_time_ms=sent.response_time_ms)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (said(200, "okay"), Outcome.UNKNOWN_OUTCOME),
        (said(500, "rollup_error"), Outcome.UNKNOWN_OUTCOME),
        (said(400, "invalid_blocks"), Outcome.INVALID_REQUEST),
        (said(503, "service_unavailable"), Outcome.PROVIDER_ERROR),
    ],
)
def test_what_became_of_a_message(run: Run, reply: bytes, outcome: Outcome) -> None:
    sent, asked = run("send_chat", reply, MESSAGE)
    assert sent.outcome is outcome
    assert len(asked) == 1


@pytest.mark.parametrize(("changes", "words"), UNSENDABLE)
def test_a_message_that_cannot_be_sent_is_not_tried(run: Run, changes: dict[str, Any], words: str) -> None:
    sent, asked = run("send_chat", said(200, "ok"), replace(MESSAGE, **changes))
    assert asked == []
    assert sent.error
    assert (sent.outcome, sent.error.reason) == (Outcome.INVALID_REQUEST, "message_invalid")
    assert words in sent.error.message


def test_a_huge_message_is_cut_to_what_slack_takes(run: Run) -> None:
    huge = OutgoingChat(title="<" * 500, text="&" * 9000, facts=tuple((f"Fact {n}", ">" * 900) for n in range(20)))
    _, (request,) = run("send_chat", said(200, "ok"), huge)
    header, section, facts = json.loads(request.body)["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert len(facts["fields"]) == 10
    assert all(len(field["text"]) <= 2000 for field in facts["fields"])
    for text in (header["text"]["text"], section["text"]["text"]):
        assert text.endswith(";…"), "an entity was cut in pieces"


def test_the_shortest_message_has_no_empty_parts() -> None:
    assert [block["type"] for block in body_of(OutgoingChat(title="t"))["blocks"]] == ["header"]
    assert escaped("a&b", 5) == "a…"


def test_a_stored_address_that_is_none_is_said_and_not_called() -> None:
    context = Context(network=DeadNetwork(AssertionError("called")), deadline=1.0)
    sent = SLACK.send_chat({"webhook_url": "https://evil.example/x"}, context, MESSAGE)
    assert sent.error
    assert (sent.error.reason, sent.error.field) == ("url_unusable", "webhook_url")
