"""The Teams driver: which addresses it takes, the card it posts, how answers are read, and what its check admits."""

import json
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trustme

from portal.providers.base import Context, Outcome, OutgoingChat, Value
from portal.providers.network import GuardedNetwork
from portal.providers.teams import TEAMS
from portal.providers.teams.message import LARGEST
from portal.providers.validation import validate
from portal.security.network import Resolver
from tests.providers.chat_kit import MESSAGE, UNSENDABLE
from tests.providers.conformance import CANARY, DeadNetwork, example_credentials
from tests.providers.golden import same
from tests.providers.web_faults import FAULTS, Fault, in_words
from tests.providers.web_kit import Answering, Asked, Web, always, answer

HOST = "default0.00.environment.api.powerplatform.com"
PATH = "/powerautomate/automations/direct/workflows/00112233445566778899/triggers/manual/paths/invoke"
QUERY = "api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=golden-golden-golden"
CREDENTIALS: dict[str, Value] = {"webhook_url": f"https://{HOST}:443{PATH}?{QUERY}"}
Teams = Callable[[Answering], Web]


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> Any:
    """TLS for the host of a workflow."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
def teams(tls: Any) -> Teams:
    """Return a maker of servers that take the place of Teams."""
    return lambda answering: Web(tls, answering)


@pytest.fixture
def send(teams: Teams, ca_pem: str) -> Callable[..., tuple[Any, list[Asked]]]:
    """Return a sender of a message against one answer."""

    def call(reply: bytes, message: OutgoingChat = MESSAGE) -> tuple[Any, list[Asked]]:
        with teams(always(reply)) as server:
            return TEAMS.send_chat(CREDENTIALS, server.context(ca_pem), message), server.asked

    return call


GOOD = [
    str(CREDENTIALS["webhook_url"]),
    f"https://prod-12.australiasoutheast.logic.azure.com:443/workflows/0011/triggers/manual/paths/invoke?{QUERY}",
]
BAD = {
    f"http://{HOST}{PATH}?{QUERY}": "begins with https://",
    f"https://{HOST}:8443{PATH}?{QUERY}": "begins with https://",
    f"https://northline.webhook.office.com/webhookb2/{QUERY}": "Office 365 connector",
    f"https://outlook.office.com/webhook/{QUERY}": "Office 365 connector",
    f"https://{HOST}.evil.example{PATH}?{QUERY}": "must be the one of a Teams workflow",
    f"https://environment.api.powerplatform.com.evil.example{PATH}?{QUERY}": "must be the one of a Teams workflow",
    f"https://{HOST}/elsewhere?{QUERY}": "must be the one of a Teams workflow",
    f"https://169.254.169.254{PATH}?{QUERY}": "must be the one of a Teams workflow",
    f"https://{HOST}{PATH}?api-version=1": "has no signature",
    f"https://{HOST}{PATH}?{QUERY.replace('&', '&amp;')}": "has no signature",
}


@pytest.mark.parametrize("url", GOOD)
def test_address_that_is_taken(url: str) -> None:
    assert validate(TEAMS, {"webhook_url": url}).values == {"webhook_url": url}


@pytest.mark.parametrize("url", BAD)
def test_address_that_is_refused_without_being_repeated(url: str) -> None:
    found = validate(TEAMS, {"webhook_url": url})
    assert BAD[url] in found.errors["webhook_url"]
    assert "golden" not in str(found.errors)


@pytest.mark.parametrize("method", ["probe", "test"])
def test_the_check_posts_nothing_and_admits_what_it_cannot_know(teams: Teams, ca_pem: str, method: str) -> None:
    with teams(always(answer(401, {}))) as server:
        report = getattr(TEAMS, method)(CREDENTIALS, server.context(ca_pem))
    assert server.asked == []
    assert report.ok
    states = [(step.name, str(step.state)) for step in report.steps]
    assert states == [("DNS", "passed"), ("TCP", "passed"), ("TLS", "passed"), ("Workflow", "not_run")]
    assert "Send a test message to prove the rest" in report.steps[-1].detail


def test_a_certificate_for_another_host_fails_the_check(web: Teams, ca_pem: str) -> None:
    with web(always(answer(202))) as server:
        report = TEAMS.probe(CREDENTIALS, server.context(ca_pem))
        sent = TEAMS.send_chat(CREDENTIALS, server.context(ca_pem), MESSAGE)
    assert server.asked == []
    assert report.outcome is sent.outcome is Outcome.PROVIDER_ERROR


def test_golden_message(send: Callable[..., tuple[Any, list[Asked]]]) -> None:
    sent, (request,) = send(answer(202, x_ms_workflow_run_id="0858RUN"))
    same(request, "teams", "send")
    assert (sent.outcome, sent.provider_id) == (Outcome.OK, "0858RUN")


# A workflow may end with an answer of its own making, and its errors are no other than that the address is dead.
OWN = dict.fromkeys(("200 empty", "200 nothing inside", "200 odd types"), Outcome.OK) | {"404": Outcome.AUTH_REJECTED}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_while_sending(fault: Fault, teams: Teams, ca_pem: str) -> None:
    outcome = OWN.get(fault.name, fault.sending)
    with teams(always(fault.reply)) as server:
        sent = TEAMS.send_chat(example_credentials(TEAMS), server.context(ca_pem, fault.deadline), MESSAGE)
    assert len(server.asked) == 1, "a message was repeated"
    if outcome is Outcome.OK:
        assert sent.ok
    else:
        in_words(sent, outcome, fault.retry_after)


REFUSALS = [
    (401, "DirectApiAuthorizationRequired", "login_rejected", Outcome.AUTH_REJECTED),
    (403, "AuthorizationFailed", "login_rejected", Outcome.AUTH_REJECTED),
    (404, "WorkflowNotFound", "not_found", Outcome.AUTH_REJECTED),
    (410, "Whatever", "not_found", Outcome.AUTH_REJECTED),
    (400, "WorkflowTriggerIsNotEnabled", "workflow_off", Outcome.PERMISSION_MISSING),
    (400, "TriggerInputSchemaMismatch", "message_refused", Outcome.INVALID_REQUEST),
    (400, "MissingApiVersionParameter", "url_unusable", Outcome.INVALID_REQUEST),
    (413, "RequestEntityTooLarge", "request_too_large", Outcome.INVALID_REQUEST),
    (429, "TooManyRequests", "rate_limited", Outcome.RATE_LIMITED),
    (500, "InternalServerError", "unconfirmed", Outcome.UNKNOWN_OUTCOME),
]


@pytest.mark.parametrize(("status", "code", "reason", "outcome"), REFUSALS, ids=[code for _, code, _, _ in REFUSALS])
def test_refusal(
    send: Callable[..., tuple[Any, list[Asked]]], status: int, code: str, reason: str, outcome: Outcome
) -> None:
    echo = f"{CREDENTIALS['webhook_url']} {PATH} golden-golden-golden"
    sent, _ = send(answer(status, {"error": {"code": code, "message": f"No. {echo}"}}, Retry_After="3"))
    assert sent.error
    assert (sent.outcome, sent.error.reason, sent.error.code) == (outcome, reason, code)
    assert sent.error.retry_after == (3 if status == 429 else None)
    assert sent.error.said.startswith("No.")
    for secret in ("golden-golden", "00112233445566778899", CANARY):
        assert secret not in repr(sent)


@pytest.mark.parametrize(("changes", "words"), UNSENDABLE)
def test_a_message_that_cannot_be_sent_is_not_tried(
    send: Callable[..., tuple[Any, list[Asked]]], changes: dict[str, Any], words: str
) -> None:
    sent, asked = send(answer(202), replace(MESSAGE, **changes))
    assert asked == []
    assert words in sent.error.message


@pytest.mark.parametrize("sign", ["a", "ä", "☕", "\U0001f600", '"', "a\n"])
def test_a_card_is_never_larger_than_teams_takes(send: Callable[..., tuple[Any, list[Asked]]], sign: str) -> None:
    facts = tuple((sign * 99, sign * 999) for _ in range(20))
    _, (request,) = send(answer(202), OutgoingChat(title=sign * 999, text=sign * 40_000, facts=facts))
    assert len(request.body) <= LARGEST
    card = json.loads(request.body)["attachments"][0]["content"]
    assert len(card["body"][-1]["facts"]) == 10
    if sign == "a":
        assert len(request.body) > LARGEST * 0.7, "cut more than needed"


def test_a_stored_address_that_is_none_is_said_and_not_called() -> None:
    context = Context(network=DeadNetwork(AssertionError("called")), deadline=1.0)
    for url in ("", "https://evil.example/x", "https://northline.webhook.office.com/webhookb2/x"):
        sent = TEAMS.send_chat({"webhook_url": url}, context, MESSAGE)
        assert sent.error
        assert sent.error.reason == "url_unusable"
    nowhere = GuardedNetwork(resolver=Resolver(lambda name, port: ["127.0.0.1"]))
    assert not TEAMS.probe({"webhook_url": "https://evil.example/x"}, Context(network=nowhere, deadline=1.0)).ok
