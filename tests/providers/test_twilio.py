"""The Twilio driver: its requests, what it makes of the answers and codes, and its stages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from portal.providers.base import Outcome, OutgoingSms, Report, SendOutcome, Step, Value
from portal.providers.twilio import TWILIO
from portal.providers.validation import validate
from tests.providers.golden import same
from tests.providers.web_kit import Asked, Play, answer

SID = "AC" + "0" * 32
SERVICE = "MG" + "1" * 32
NUMBER = "+15550100123"
CREDENTIALS: dict[str, Value] = {"account_sid": SID, "auth_token": "golden", "from_number": NUMBER}
TEXT = OutgoingSms(to="+15550100124", text="Grüße & <more> = 100 %+")
HOME = f"/2010-04-01/Accounts/{SID}"
ACCOUNT = {"sid": SID, "status": "active", "type": "Full", "friendly_name": "Northline", "auth_token": "golden"}
OWNED = {"phone_number": NUMBER, "capabilities": {"voice": True, "sms": True}}
CREATED = {"sid": "SM" + "2" * 32, "status": "queued", "error_code": None, "error_message": None}

Run = Callable[..., tuple[Any, list[Asked]]]


def error(status: int, code: int, message: str = "No.", **headers: str) -> bytes:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return answer(status, {"code": code, "message": message, "more_info": more, "status": status}, **headers)


NOT_ALLOWED = error(401, 20003, "Authenticate")


@pytest.fixture
def run(play: Play) -> Run:
    """Return a caller of one of the driver's methods; keywords change the credentials."""

    def call(
        method: str, answers: Mapping[str, bytes], *arguments: object, **changes: Value
    ) -> tuple[Any, list[Asked]]:
        return play(getattr(TWILIO, method), CREDENTIALS | changes, answers, *arguments)

    return call


def answers(
    account: object = ACCOUNT, numbers: object = (OWNED,), service: object = None, send: object = CREATED
) -> dict[str, bytes]:
    """What Twilio answers; bytes are a whole answer."""
    page = {"incoming_phone_numbers": numbers, "page": 0, "page_size": 20, "next_page_uri": None}
    return {
        f"{HOME}.json": account if isinstance(account, bytes) else answer(200, account),
        f"{HOME}/IncomingPhoneNumbers.json": numbers if isinstance(numbers, bytes) else answer(200, page),
        f"/v1/Services/{SERVICE}": service if isinstance(service, bytes) else answer(200, service or {"sid": SERVICE}),
        f"{HOME}/Messages.json": send if isinstance(send, bytes) else answer(201, send),
    }


def step(report: Report, name: str) -> Step:
    return next(each for each in report.steps if each.name == name)


def test_golden_requests_of_the_test(run: Run) -> None:
    report, asked = run("test", answers())
    assert report.ok
    assert [step.name for step in report.steps] == ["DNS", "TCP", "TLS", "Login", "Number"]
    assert len(asked) == 2
    same(asked[0], "twilio", "account")
    same(asked[1], "twilio", "numbers")


def test_golden_request_of_the_probe(run: Run) -> None:
    report, (request,) = run("probe", answers())
    assert report.ok
    same(request, "twilio", "account")


def test_golden_request_of_a_text_message(run: Run) -> None:
    sent, (request,) = run("send_sms", answers(), TEXT)
    same(request, "twilio", "send")
    assert (sent.outcome, sent.provider_id) == (Outcome.OK, CREATED["sid"])
    assert [(each.address, each.outcome) for each in sent.recipients] == [(TEXT.to, Outcome.OK)]


def test_golden_requests_of_a_messaging_service(run: Run) -> None:
    report, asked = run("test", answers(service={"sid": SERVICE, "friendly_name": "Reminders"}), from_number=SERVICE)
    assert report.ok
    same(asked[1], "twilio", "service")
    assert step(report, "Number").detail == "Messaging service Reminders"
    _, (request,) = run("send_sms", answers(), replace(TEXT, text="Hello"), from_number=SERVICE)
    same(request, "twilio", "send_by_service")


def test_the_environment_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package would take region and credentials from there, and so send the token to another host."""
    for name, value in (("REGION", "au1"), ("EDGE", "sydney"), ("ACCOUNT_SID", "AC1"), ("AUTH_TOKEN", "other")):
        monkeypatch.setenv(f"TWILIO_{name}", value)
    _, (request,) = run("probe", answers())
    same(request, "twilio", "account")


@pytest.mark.parametrize(
    ("account", "outcome", "words"),
    [
        (ACCOUNT, Outcome.OK, "Accepted, the account is active"),
        (ACCOUNT | {"type": "Trial"}, Outcome.OK, "a trial account: it sends to verified numbers only"),
        (ACCOUNT | {"status": "suspended"}, Outcome.QUOTA_EXCEEDED, "Twilio has suspended this account."),
        (ACCOUNT | {"status": "closed"}, Outcome.AUTH_REJECTED, "This Twilio account is closed."),
        (ACCOUNT | {"status": "brand-new"}, Outcome.PROVIDER_ERROR, "does not have the expected form"),
        (NOT_ALLOWED, Outcome.AUTH_REJECTED, "Authenticate"),
        (error(404, 20404), Outcome.AUTH_REJECTED, "No."),
        (error(403, 20005), Outcome.QUOTA_EXCEEDED, "No."),
        (error(403, 20008), Outcome.AUTH_REJECTED, "No."),
        (error(403, 20003), Outcome.PERMISSION_MISSING, "No."),
        (error(429, 20429, Retry_After="9"), Outcome.RATE_LIMITED, "No."),
        (error(500, 20500), Outcome.PROVIDER_ERROR, "No."),
        # An error in the newer form (RFC 9457), and one inside a success.
        (answer(401, {"code": 20003, "title": "Unauthorized", "status": 401}), Outcome.AUTH_REJECTED, "Unauthorized"),
        ({"code": 20003, "message": "Authenticate", "status": 401}, Outcome.AUTH_REJECTED, "Authenticate"),
    ],
)
def test_login(run: Run, account: object, outcome: Outcome, words: str) -> None:
    report, _ = run("probe", answers(account=account))
    assert report.outcome is outcome
    assert words in step(report, "Login").detail
    assert "golden" not in repr(report), "the answer holds the auth token"


@pytest.mark.parametrize(
    ("numbers", "state", "words"),
    [
        ([OWNED], "passed", f"{NUMBER} can send text messages"),
        ([OWNED | {"phone_number": NUMBER + "4"}, OWNED], "passed", "can send"),
        ([OWNED | {"capabilities": {"SMS": True}}], "passed", "can send"),
        ([], "failed", f"{NUMBER} is not a number of this Twilio account."),
        ([OWNED | {"phone_number": NUMBER + "4"}], "failed", "is not a number of this Twilio account."),
        ([OWNED | {"capabilities": {"sms": False, "voice": True}}], "failed", "cannot send text messages."),
        ([OWNED | {"capabilities": None}], "failed", "cannot send text messages."),
        (NOT_ALLOWED, "not_run", "may not read the account's numbers"),
        (error(403, 20003), "not_run", "may not read the account's numbers"),
        (["odd"], "failed", "expected form"),
        (answer(500, {}), "failed", "HTTP 500"),
    ],
)
def test_number(run: Run, numbers: object, state: str, words: str) -> None:
    report, _ = run("test", answers(numbers=numbers))
    assert (step(report, "Number").state, report.ok) == (state, state != "failed")
    assert words in step(report, "Number").detail


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/x",
        "https://api.twilio.com@elsewhere.example/x",
        "https://api.twilio.com.elsewhere.example/x",
        "https://api.twilio.com:8443/x",
        "http://api.twilio.com/x",
        "https://api.twilio.com:port/x",
    ],
)
def test_an_answer_cannot_send_the_credentials_elsewhere(run: Run, url: str) -> None:
    """The package asks whatever address an answer names as that of the next page, with the credentials."""
    meta = {"key": "incoming_phone_numbers", "next_page_url": url}
    page = answer(200, {"incoming_phone_numbers": [], "meta": meta})
    report, asked = run("test", answers(numbers=page))
    assert "expected form" in step(report, "Number").detail
    assert len(asked) == 2


def test_an_unknown_messaging_service_is_told_from_an_unknown_account(run: Run) -> None:
    report, _ = run("test", answers(service=error(404, 20404)), from_number=SERVICE)
    assert report.error
    assert (report.outcome, report.error.reason) == (Outcome.INVALID_REQUEST, "service_not_found")
    assert report.error.field == "from_number"


CODES = [
    (21211, Outcome.RECIPIENT_REJECTED, ""),
    (21614, Outcome.RECIPIENT_REJECTED, ""),
    (21610, Outcome.RECIPIENT_REJECTED, ""),
    (21608, Outcome.RECIPIENT_REJECTED, ""),
    (30004, Outcome.RECIPIENT_REJECTED, ""),
    (21212, Outcome.INVALID_REQUEST, "from_number"),
    (21606, Outcome.INVALID_REQUEST, "from_number"),
    (21703, Outcome.INVALID_REQUEST, "from_number"),
    (21617, Outcome.INVALID_REQUEST, ""),
    (30007, Outcome.INVALID_REQUEST, ""),
    (21408, Outcome.PERMISSION_MISSING, ""),
    (21612, Outcome.PERMISSION_MISSING, ""),
    (30034, Outcome.PERMISSION_MISSING, ""),
    (30002, Outcome.QUOTA_EXCEEDED, ""),
    (21611, Outcome.RATE_LIMITED, ""),
    (63038, Outcome.RATE_LIMITED, ""),
    (30008, Outcome.PROVIDER_ERROR, ""),
    (30999, Outcome.PROVIDER_ERROR, ""),
    (30410, Outcome.UNKNOWN_OUTCOME, ""),
    (21999, Outcome.INVALID_REQUEST, ""),
]


@pytest.mark.parametrize(("code", "outcome", "field"), CODES)
def test_codes_of_refused_messages(run: Run, code: int, outcome: Outcome, field: str) -> None:
    sent: SendOutcome
    sent, asked = run("send_sms", answers(send=error(400, code, "Said by Twilio")), TEXT)
    assert sent.error
    assert (sent.outcome, sent.error.code, sent.error.field) == (outcome, str(code), field)
    assert sent.error.said == "Said by Twilio"
    assert (sent.recipients[0].outcome, sent.recipients[0].code) == (outcome, str(code))
    assert len(asked) == 1


def test_opted_out_is_told_apart_from_a_wrong_number(run: Run) -> None:
    opted_out, _ = run("send_sms", answers(send=error(400, 21610)), TEXT)
    wrong, _ = run("send_sms", answers(send=error(400, 21211)), TEXT)
    assert (opted_out.error.reason, wrong.error.reason) == ("opted_out", "recipient_rejected")


@pytest.mark.parametrize(
    ("send", "outcome"),
    [
        (error(500, 20500), Outcome.UNKNOWN_OUTCOME),
        (error(503, 20503), Outcome.PROVIDER_ERROR),
        (error(429, 20429), Outcome.RATE_LIMITED),
        (CREATED | {"status": "accepted"}, Outcome.OK),
        (CREATED | {"sid": None}, Outcome.UNKNOWN_OUTCOME),
        (CREATED | {"status": "failed", "error_code": 30007, "error_message": "Filtered"}, Outcome.INVALID_REQUEST),
        (CREATED | {"status": "undelivered"}, Outcome.PROVIDER_ERROR),
        (CREATED | {"date_created": 5}, Outcome.UNKNOWN_OUTCOME),
    ],
)
def test_what_becomes_of_a_message(run: Run, send: object, outcome: Outcome) -> None:
    sent, _ = run("send_sms", answers(send=send), TEXT)
    assert sent.outcome is outcome


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "0400 000 000"}, "not a number with + and country code"),
        ({"to": "+1555010012\n4"}, "not a number with + and country code"),
        ({"text": " \n"}, "it has no text"),
        ({"text": "x" * 1601}, "longer than 1,600 characters"),
    ],
)
def test_a_message_that_cannot_be_sent_is_not_tried(run: Run, changes: dict[str, str], words: str) -> None:
    sent, asked = run("send_sms", answers(), replace(TEXT, **changes))
    assert asked == []
    assert sent.error
    assert (sent.outcome, sent.error.reason) == (Outcome.INVALID_REQUEST, "message_invalid")
    assert words in sent.error.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_sid", "SK" + "0" * 32),
        ("account_sid", "AC" + "0" * 31),
        ("account_sid", "AC" + "g" * 32),
        ("from_number", "0400000000"),
        ("from_number", "+0400000000"),
        ("from_number", "Northline"),
        ("from_number", "+1 555 0100"),
        ("auth_token", "with space"),
    ],
)
def test_settings_that_are_refused(field: str, value: str) -> None:
    assert list(validate(TWILIO, CREDENTIALS | {field: value}).errors) == [field]
    assert validate(TWILIO, CREDENTIALS).ok
    assert validate(TWILIO, CREDENTIALS | {"from_number": SERVICE}).ok
