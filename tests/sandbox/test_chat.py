"""Slack's webhooks and Teams' workflows as the sandbox plays them: strict about form, rate and size."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.sandbox import Sandbox
from portal.sandbox.apis import slack, teams
from portal.sandbox.apis.rate import Rate
from portal.sandbox.state import State

Call = Callable[..., Any]
CARD = {
    "type": "AdaptiveCard",
    "version": "1.4",
    "body": [{"type": "TextBlock", "text": "Hello"}, {"type": "FactSet", "facts": [{"title": "a", "value": "b"}]}],
}
KIND = "application/vnd.microsoft.card.adaptive"


def header(text: object = "Hello", kind: str = "plain_text") -> dict[str, Any]:
    return {"type": "header", "text": {"type": kind, "text": text}}


def button(**changes: object) -> dict[str, Any]:
    whole = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "https://a.example"}
    return {"type": "actions", "elements": [whole | changes]}


def fields(many: int) -> dict[str, Any]:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": "*a*\nb"}] * many}


SLACK_BODIES = [
    ({"text": "Hello"}, 200, "ok"),
    ({"blocks": [header(), {"type": "divider"}, fields(10), button()]}, 200, "ok"),
    ([], 400, "invalid_payload"),
    ({}, 400, "no_text"),
    ({"text": ""}, 400, "no_text"),
    ({"text": 5}, 400, "invalid_blocks"),
    ({"blocks": "header"}, 400, "invalid_blocks"),
    ({"blocks": [header("x" * 151)]}, 400, "invalid_blocks"),
    ({"blocks": [header("")]}, 400, "invalid_blocks"),
    ({"blocks": [header(kind="mrkdwn")]}, 400, "invalid_blocks"),
    ({"blocks": [header(), {"type": "headline"}]}, 400, "invalid_blocks"),
    ({"blocks": [fields(11)]}, 400, "invalid_blocks"),
    ({"blocks": [{"type": "section"}]}, 400, "invalid_blocks"),
    ({"blocks": [button(url="javascript:x")]}, 400, "invalid_blocks"),
    ({"blocks": [button(text="Open")]}, 400, "invalid_blocks"),
    ({"blocks": [{"type": "divider"}] * 51}, 400, "invalid_blocks"),
]


@pytest.mark.parametrize(("body", "status", "word"), SLACK_BODIES, ids=[str(n) for n in range(len(SLACK_BODIES))])
def test_slack_reads_a_message_as_strictly_as_the_real_one(
    call: Call, sandbox: Sandbox, body: object, status: int, word: str
) -> None:
    answer = call("POST", slack.HOOK, json_body=body)
    assert (answer.status, answer.text) == (status, word)
    assert len(sandbox.outbox) == (status == 200)


def test_slack_takes_json_and_forms_and_nothing_else(call: Call, sandbox: Sandbox) -> None:
    assert call("POST", slack.HOOK, form={"payload": '{"text": "Hi &amp; bye\\nSecond"}'}).status == 200
    (sent,) = sandbox.outbox
    assert (sent["title"], sent["text"]) == ("Hi & bye", "Second")
    assert call("POST", slack.HOOK, form={"payload": "{"}).text == "invalid_payload"
    assert call("POST", slack.HOOK).text == "invalid_payload"
    assert call("GET", slack.HOOK).status == 405


def card(**changes: object) -> dict[str, Any]:
    return {"type": "message", "attachments": [{"contentType": KIND, "content": CARD | changes}]}


TEAMS_BODIES = [
    (card(), 202, ""),
    ({"text": "Hello"}, 400, "TriggerInputSchemaMismatch"),
    ({**card(), "type": "text"}, 400, "TriggerInputSchemaMismatch"),
    ({"type": "message", "attachments": []}, 400, "TriggerInputSchemaMismatch"),
    (card(type="Card"), 400, "TriggerInputSchemaMismatch"),
    (card(body=[]), 400, "TriggerInputSchemaMismatch"),
    (card(body=[{"type": "TextBlock"}]), 400, "TriggerInputSchemaMismatch"),
    (card(body=[{"type": "Image", "url": "x"}]), 400, "TriggerInputSchemaMismatch"),
    (card(actions=[{"type": "Action.Submit", "title": "x", "url": "y"}]), 400, "TriggerInputSchemaMismatch"),
    ([1], 400, "TriggerInputSchemaMismatch"),
    (card(body=[{"type": "TextBlock", "text": "x" * 28 * 1024}]), 413, "RequestEntityTooLarge"),
]


@pytest.mark.parametrize(("body", "status", "code"), TEAMS_BODIES, ids=[str(n) for n in range(len(TEAMS_BODIES))])
def test_teams_takes_cards_of_the_right_form_and_size(
    call: Call, sandbox: Sandbox, body: object, status: int, code: str
) -> None:
    answer = call("POST", teams.HOOK, json_body=body)
    assert answer.status == status
    assert answer.json["error"]["code"] == code if code else answer.headers["x-ms-workflow-run-id"]
    assert len(sandbox.outbox) == (status == 202)


@pytest.mark.parametrize(
    ("left_out", "status", "code"),
    [("sig", 401, "DirectApiAuthorizationRequired"), ("api-version", 400, "MissingApiVersionParameter")],
)
def test_teams_wants_the_whole_address(call: Call, left_out: str, status: int, code: str) -> None:
    answer = call("POST", teams.HOOK.replace(f"{left_out}=", "not="), json_body=card())
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_rate_is_held_for_each_account_and_says_how_long() -> None:
    state, moment = State(), [100.0]
    rate = Rate(state, "slack", most=2, seconds=10)
    rate.clock = lambda: moment[0]
    assert [rate.wait("a"), rate.wait("a"), rate.wait("b")] == [0, 0, 0]
    moment[0] = 103.5
    assert rate.wait("a") == 7
    moment[0] = 110.0
    assert rate.wait("a") == 0
    state.reset()
    assert [rate.wait("a"), rate.wait("a")] == [0, 0]


def test_slack_says_when_to_go_on_after_too_many(call: Call, sandbox: Sandbox) -> None:
    answers = [call("POST", slack.HOOK, json_body={"text": "Hello"}) for _ in range(slack.MOST + 1)]
    assert [answer.status for answer in answers] == [200] * slack.MOST + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= slack.SECONDS
    assert len(sandbox.outbox) == slack.MOST
