"""Twilio as the sandbox plays it: accounts, numbers, messages, and the numbers that answer with an error."""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from portal.sandbox import Sandbox
from portal.sandbox.apis.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, SUSPENDED_SID
from portal.sandbox.apis.twilio_messages import SERVICE_SID, segments

Call = Callable[..., Any]
HOME = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}"
MESSAGES = f"{HOME}/Messages.json"
LOGIN = (ACCOUNT_SID, AUTH_TOKEN)
TO = "+61491570156"


def form(**changes: object) -> dict[str, object]:
    """Return a message that is fine but for the changes; None takes a parameter away."""
    whole: dict[str, object] = {"To": TO, "From": FROM_NUMBER, "Body": "Shift moved to 9 am", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def test_message_is_taken_found_again_and_in_the_outbox(call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", MESSAGES, basic=LOGIN, form=form())
    made = answer.json
    assert (answer.status, made["status"], made["direction"]) == (201, "queued", "outbound-api")
    assert re.fullmatch("SM[0-9a-f]{32}", made["sid"])
    assert (made["to"], made["from"], made["body"]) == (TO, FROM_NUMBER, "Shift moved to 9 am")
    assert (made["num_segments"], made["num_media"], made["price"], made["date_sent"]) == ("1", "0", None, None)
    assert (made["error_code"], made["account_sid"]) == (None, ACCOUNT_SID)
    assert made["uri"] == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{made['sid']}.json"
    assert parsedate_to_datetime(made["date_created"]).utcoffset() is not None
    assert re.fullmatch("RQ[0-9a-f]{32}", answer.headers["Twilio-Request-Id"])
    (sent,) = sandbox.outbox
    assert (sent["channel"], sent["provider"], sent["sid"]) == ("sms", "twilio", made["sid"])
    assert (sent["to"], sent["from"], sent["text"]) == (TO, FROM_NUMBER, "Shift moved to 9 am")
    later = call("GET", f"https://api.twilio.com{made['uri']}", basic=LOGIN).json
    assert (later["sid"], later["status"], later["price"]) == (made["sid"], "delivered", "-0.05150")
    assert later["date_sent"]


def test_message_through_a_messaging_service(call: Call) -> None:
    made = call("POST", MESSAGES, basic=LOGIN, form=form(From=None, MessagingServiceSid=SERVICE_SID)).json
    assert (made["status"], made["from"], made["messaging_service_sid"]) == ("accepted", None, SERVICE_SID)
    services = "https://messaging.twilio.com/v1/Services"
    assert [each["sid"] for each in call("GET", services, basic=LOGIN).json["services"]] == [SERVICE_SID]
    assert call("GET", f"{services}/{SERVICE_SID}", basic=LOGIN).json["friendly_name"]
    assert call("GET", f"{services}/MG1", basic=LOGIN).json["code"] == 20404


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"To": None}, 400, 21604),
        ({"To": " "}, 400, 21604),
        ({"From": None}, 400, 21603),
        ({"Body": None}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"From": "+15005550001"}, 400, 21212),
        ({"From": "Northline"}, 400, 21212),
        ({"From": "+15005550007"}, 400, 21606),
        ({"From": "+61491570157"}, 400, 21606),
        ({"From": "+61255500010"}, 400, 21606),
        ({"From": "+15005550008"}, 400, 21611),
        ({"From": None, "MessagingServiceSid": "MG" + "0" * 32}, 404, 21701),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "0491570156"}, 400, 21211),
        ({"To": "+0491570156"}, 400, 21211),
        ({"To": "dana"}, 400, 21211),
        ({"To": "+15005550002"}, 400, 21612),
        ({"To": "+15005550003"}, 400, 21408),
        ({"To": "+61491570004"}, 400, 21610),
        ({"To": "+15005550008"}, 400, 21611),
        ({"To": "+15005550009"}, 400, 21614),
        ({"To": "+15005550429"}, 429, 20429),
        ({"To": "+15005550500"}, 500, 20500),
        ({"To": FROM_NUMBER}, 400, 21266),
        ({"StatusCallback": "nowhere"}, 400, 21609),
        ({"StatusCallback": "https://["}, 400, 21609),
    ],
)
def test_message_is_refused(changes: dict[str, object], status: int, code: int, call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", MESSAGES, basic=LOGIN, form=form(**changes))
    assert (answer.status, answer.json["code"], answer.json["status"]) == (status, code, status)
    assert answer.json["message"]
    assert answer.json["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert sandbox.outbox == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"Body": "x" * 1600}, "SM"),
        ({"From": "+15005550006"}, "SM"),
        ({"StatusCallback": "https://portal.example/hooks?r=1"}, "SM"),
        ({"Body": None, "MediaUrl": "https://portal.example/a.png"}, "MM"),
    ],
)
def test_message_is_taken(changes: dict[str, object], kind: str, call: Call) -> None:
    answer = call("POST", MESSAGES, basic=LOGIN, form=form(**changes))
    assert (answer.status, answer.json["sid"][:2]) == (201, kind)


def test_json_is_no_form(call: Call) -> None:
    assert call("POST", MESSAGES, basic=LOGIN, json_body=form()).json["code"] == 21604


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ü" * 160, 1),
        ("ł" * 70, 1),
        ("ł" * 71, 2),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
    ],
)
def test_segments(text: str, parts: int) -> None:
    assert segments(text) == parts


@pytest.mark.parametrize(
    ("login", "message", "detail"),
    [
        (None, "Authenticate", False),
        ((ACCOUNT_SID, "wrong"), "Authentication Error - invalid username", True),
        ((ACCOUNT_SID, "wröng"), "Authentication Error - invalid username", True),
        (("AC" + "1" * 32, AUTH_TOKEN), "Authentication Error - invalid username", True),
        ((SUSPENDED_SID, AUTH_TOKEN), "Authenticate", False),
    ],
)
def test_login_is_needed_and_checked(
    login: tuple[str, str] | None, message: str, detail: bool, call: Call, sandbox: Sandbox
) -> None:
    for method, url in (("GET", f"{HOME}.json"), ("POST", MESSAGES)):
        answer = call(method, url, basic=login, form=form())
        assert (answer.status, answer.json["code"], answer.json["message"]) == (401, 20003, message)
        assert ("detail" in answer.json) is detail
    assert sandbox.outbox == []


def test_account_and_the_suspended_one(call: Call) -> None:
    account = call("GET", f"{HOME}.json", basic=LOGIN).json
    assert (account["sid"], account["status"], account["type"]) == (ACCOUNT_SID, "active", "Full")
    home, login = HOME.replace(ACCOUNT_SID, SUSPENDED_SID), (SUSPENDED_SID, AUTH_TOKEN)
    assert call("GET", f"{home}.json", basic=login).json["status"] == "suspended"
    refused = call("POST", f"{home}/Messages.json", basic=login, form=form())
    assert (refused.status, refused.json["code"]) == (403, 20005)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["+61491570006", "+15005550006", "+61255500010"]),
        ("?PhoneNumber=%2B61491570006", ["+61491570006"]),
        ("?PhoneNumber=61*", ["+61491570006", "+61255500010"]),
        ("?PhoneNumber=%2B61491570157", []),
        ("?FriendlyName=Northline", ["+61491570006"]),
    ],
)
def test_owned_numbers(query: str, found: list[str], call: Call) -> None:
    answer = call("GET", f"{HOME}/IncomingPhoneNumbers.json{query}", basic=LOGIN).json
    numbers = answer["incoming_phone_numbers"]
    assert [each["phone_number"] for each in numbers] == found
    assert (answer["page"], answer["page_size"], answer["start"]) == (0, 50, 0)
    assert (answer["next_page_uri"], answer["previous_page_uri"]) == (None, None)
    assert all(re.fullmatch("PN[0-9a-f]{32}", each["sid"]) for each in numbers)
    assert [each["capabilities"]["sms"] for each in numbers] == [each != "+61255500010" for each in found]


def test_messages_are_listed_page_by_page(call: Call) -> None:
    for text in ("one", "two", "three"):
        call("POST", MESSAGES, basic=LOGIN, form=form(Body=text))
    call("POST", MESSAGES, basic=LOGIN, form=form(To="+61491570157"))
    first = call("GET", f"{MESSAGES}?To=%2B61491570156&PageSize=2", basic=LOGIN).json
    last = call("GET", f"https://api.twilio.com{first['next_page_uri']}", basic=LOGIN).json
    assert [[each["body"] for each in page["messages"]] for page in (first, last)] == [["three", "two"], ["one"]]
    assert (last["next_page_uri"], last["previous_page_uri"]) == (None, first["uri"])


def test_unknown_place_and_method(call: Call) -> None:
    for method, url, status, code in (
        ("GET", f"{HOME}/Messages/SM{'0' * 32}.json", 404, 20404),
        ("GET", f"{HOME}/Calls.json", 404, 20404),
        ("GET", f"{HOME}.json".replace("api.", "messaging."), 404, 20404),
        ("GET", f"https://api.twilio.com/v1/Services/{SERVICE_SID}", 404, 20404),
        ("DELETE", MESSAGES, 405, 20004),
    ):
        answer = call(method, url, basic=LOGIN)
        assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("bad_credentials", 401, 20003), ("revoked", 401, 20003), ("rate_limit", 429, 20429), ("error_500", 500, 20500)],
)
def test_fault(mode: str, status: int, code: int, call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("twilio", mode=mode)
    answer = call("POST", MESSAGES, basic=LOGIN, form=form())
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["Twilio-Request-Id"]
    assert sandbox.outbox == []
