"""SendGrid as the sandbox plays it: keys and scopes, senders, and what it accepts as a mail."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from portal.sandbox import Sandbox
from portal.sandbox.apis.sendgrid import API_KEY, DOMAIN, READING_KEY, SENDER

Call = Callable[..., Any]
BASE = "https://api.sendgrid.com"
SEND = f"{BASE}/v3/mail/send"
WRONG = "The provided authorization grant is invalid, expired, or revoked"


def mail(**changes: object) -> dict[str, Any]:
    """Return a mail that is fine but for the changes; None takes a member away."""
    whole: dict[str, object] = {
        "personalizations": [{"to": [{"email": "dana@example.org", "name": "Dana"}]}],
        "from": {"email": f"noreply@{DOMAIN}", "name": "Northline"},
        "subject": "Grüße",
        "content": [{"type": "text/plain", "value": "Hallo"}, {"type": "text/html", "value": "<p>Hallo</p>"}],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def test_mail_lands_in_the_outbox(call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", SEND, bearer=API_KEY, json_body=mail(headers={"Message-ID": "<1@northline.example>"}))
    assert (answer.status, answer.text) == (202, "")
    assert len(answer.headers["X-Message-Id"]) == 22
    assert answer.headers["X-RateLimit-Limit"] is None
    (sent,) = sandbox.outbox
    assert (sent["channel"], sent["provider"], sent["to"]) == ("email", "sendgrid", ["dana@example.org"])
    assert (sent["from"], sent["from_header"]) == ("noreply@northline.example", "Northline <noreply@northline.example>")
    assert (sent["subject"], sent["text"], sent["html"]) == ("Grüße", "Hallo", "<p>Hallo</p>")
    assert (sent["message_id"], sent["provider_id"]) == ("<1@northline.example>", answer.headers["X-Message-Id"])


def test_each_personalization_is_a_mail(call: Call, sandbox: Sandbox) -> None:
    people = [
        {"to": [{"email": "a@example.org"}], "bcc": [{"email": "b@example.org"}], "subject": "Own"},
        {"to": [{"email": "c@example.org"}]},
    ]
    assert call("POST", SEND, bearer=API_KEY, json_body=mail(personalizations=people)).status == 202
    assert [(each["to"], each["to_header"], each["subject"]) for each in reversed(sandbox.outbox)] == [
        (["a@example.org", "b@example.org"], "a@example.org", "Own"),
        (["c@example.org"], "c@example.org", "Grüße"),
    ]


def test_trial_is_checked_and_not_sent(call: Call, sandbox: Sandbox) -> None:
    trial = {"sandbox_mode": {"enable": True}}
    assert call("POST", SEND, bearer=API_KEY, json_body=mail(mail_settings=trial)).status == 200
    assert call("POST", SEND, bearer=API_KEY, json_body=mail(mail_settings=trial, subject=None)).status == 400
    assert sandbox.outbox == []


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Permission denied, wrong credentials"),
        ({"bearer": "SG.wrong"}, WRONG),
        ({"bearer": f"{API_KEY}x"}, WRONG),
        ({"basic": ("apikey", API_KEY)}, WRONG),
        ({"bearer": "ü"}, WRONG),
    ],
)
def test_key_is_needed_and_checked(headers: dict[str, Any], message: str, call: Call, sandbox: Sandbox) -> None:
    for method, url in (("GET", f"{BASE}/v3/scopes"), ("POST", SEND)):
        answer = call(method, url, json_body=mail(), **headers)
        assert (answer.status, answer.headers["Content-Type"]) == (401, "application/json")
        assert answer.json == {"errors": [{"message": message, "field": None, "help": None}]}
    assert sandbox.outbox == []


def test_key_without_permission_to_send(call: Call, sandbox: Sandbox) -> None:
    assert "mail.send" not in call("GET", f"{BASE}/v3/scopes", bearer=READING_KEY).json["scopes"]
    answer = call("POST", SEND, bearer=READING_KEY, json_body=mail())
    assert (answer.status, answer.json["errors"][0]["message"]) == (403, "access forbidden")
    assert sandbox.outbox == []


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        (f"anybody@{DOMAIN}", 202),
        (SENDER.upper(), 202),
        ("pending@partner.example", 403),
        ("other@partner.example", 403),
        (f"x@sub.{DOMAIN}", 403),
        (f"x@not{DOMAIN}", 403),
    ],
)
def test_sender_must_be_verified(sender: str, status: int, call: Call) -> None:
    answer = call("POST", SEND, bearer=API_KEY, json_body=mail(**{"from": {"email": sender}}))
    assert answer.status == status
    if status == 403:
        assert answer.json["errors"][0]["field"] == "from"
        assert "does not match a verified Sender Identity" in answer.json["errors"][0]["message"]


ONE = {"to": [{"email": "dana@example.org"}]}
TEXT = {"type": "text/plain", "value": "Hallo"}
HTML = {"type": "text/html", "value": "<p>"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"personalizations": None}, ["personalizations"]),
        ({"personalizations": []}, ["personalizations"]),
        ({"personalizations": [ONE] * 1001}, ["personalizations"]),
        ({"personalizations": "dana"}, ["personalizations"]),
        ({"personalizations": ["dana"]}, ["personalizations.0"]),
        ({"personalizations": [ONE, {}]}, ["personalizations.1.to"]),
        ({"personalizations": [{"to": []}]}, ["personalizations.0.to"]),
        ({"personalizations": [{"to": ["dana@example.org"]}]}, ["personalizations.0.to.0"]),
        ({"personalizations": [{"to": [{"name": "Dana"}]}]}, ["personalizations.0.to.0.email"]),
        ({"personalizations": [{"to": [{"email": "dana"}]}]}, ["personalizations.0.to.0.email"]),
        ({"personalizations": [{"to": [{"email": 5}]}]}, ["personalizations.0.to.0.email"]),
        ({"personalizations": [{**ONE, "cc": [{"email": "DANA@example.org"}]}]}, ["personalizations.0"]),
        ({"personalizations": [{**ONE, "reply_to": {}}]}, ["personalizations.0.reply_to"]),
        ({"personalizations": [{**ONE, "headers": {"X-A": 1}}]}, ["personalizations.0.headers"]),
        ({"from": None}, ["from.email"]),
        ({"from": {}}, ["from.email"]),
        ({"from": "noreply@northline.example"}, ["from"]),
        ({"from": {"email": "noreply"}}, ["from.email"]),
        ({"from": {"email": "a@northline.example", "mail": "x"}}, ["from.mail"]),
        ({"reply_to": {"email": "nobody"}}, ["reply_to.email"]),
        ({"subject": None}, ["subject"]),
        ({"subject": ""}, ["subject"]),
        ({"content": None}, ["content"]),
        ({"content": []}, ["content"]),
        ({"content": [HTML, TEXT]}, ["content"]),
        ({"content": [TEXT, TEXT]}, ["content"]),
        ({"content": [{"type": "text/plain", "value": ""}]}, ["content.0.value"]),
        ({"content": [{"type": "text/plain"}]}, ["content.0.value"]),
        ({"content": [{"value": "Hallo"}]}, ["content.0.type"]),
        ({"attachments": [{"content": "aGk="}]}, ["attachments.0.filename"]),
        ({"headers": {"Reply-To": "x@example.org"}}, ["headers"]),
        ({"custom_args": {"a": 1}}, ["custom_args"]),
        ({"categories": ["a"] * 11}, ["categories"]),
        ({"send_at": "soon"}, ["send_at"]),
        ({"send_at": True}, ["send_at"]),
        ({"mail_settings": {"sandbox_mode": True}}, ["mail_settings.sandbox_mode"]),
        ({"mail_settings": {"trial": {}}}, ["mail_settings.trial"]),
        ({"to": [], "form": {}}, ["to", "form"]),
    ],
)
def test_bad_mail_is_refused_with_the_place(
    changes: dict[str, object], fields: list[str], call: Call, sandbox: Sandbox
) -> None:
    answer = call("POST", SEND, bearer=API_KEY, json_body=mail(**changes))
    assert answer.status == 400
    assert [error["field"] for error in answer.json["errors"]] == fields
    assert all(error["message"] and error["help"].startswith("http") for error in answer.json["errors"])
    assert sandbox.outbox == []


def test_template_needs_neither_subject_nor_content(call: Call) -> None:
    template = mail(subject=None, content=None, template_id="d-1")
    assert call("POST", SEND, bearer=API_KEY, json_body=template).status == 202


def test_body_that_is_no_mail(call: Call) -> None:
    assert call("POST", SEND, bearer=API_KEY, form={"to": "x"}).status == 400
    answer = call("POST", SEND, bearer=API_KEY, json_body=["no mail"])
    assert (answer.status, answer.json["errors"][0]) == (400, {"message": "Bad Request", "field": None, "help": None})


def test_senders_domains_and_account(call: Call) -> None:
    senders = call("GET", f"{BASE}/v3/verified_senders", bearer=API_KEY).json["results"]
    assert [(each["from_email"], each["verified"]) for each in senders] == [
        (SENDER, True),
        ("pending@partner.example", False),
    ]
    for query, ids in (("limit=1", [1]), ("limit=1&lastSeenID=1", [2]), ("lastSeenID=2", [])):
        page = call("GET", f"{BASE}/v3/verified_senders?{query}", bearer=API_KEY).json["results"]
        assert [each["id"] for each in page] == ids
    domains = call("GET", f"{BASE}/v3/whitelabel/domains", bearer=API_KEY).json
    assert [(each["domain"], each["valid"]) for each in domains] == [(DOMAIN, True), ("new.example", False)]
    one = call("GET", f"{BASE}/v3/whitelabel/domains?domain=new.example", bearer=API_KEY).json
    assert [each["domain"] for each in one] == ["new.example"]
    assert call("GET", f"{BASE}/v3/user/account", bearer=API_KEY).json["type"] == "paid"


def test_calls_tell_the_rate_limit(call: Call) -> None:
    answer = call("GET", "https://api.eu.sendgrid.com/v3/scopes", bearer=API_KEY)
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("600", "599")
    assert int(answer.headers["X-RateLimit-Reset"]) % 60 == 0


def test_answer_must_be_accepted(call: Call) -> None:
    assert call("GET", f"{BASE}/v3/scopes", bearer=API_KEY, Accept="text/html").status == 406
    assert call("GET", f"{BASE}/v3/scopes", bearer=API_KEY, Accept="*/*").status == 200


def test_unknown_place_and_method(call: Call) -> None:
    for method, path, status, words in (
        ("GET", "/v3/nothing", 404, "not found"),
        ("DELETE", "/v3/scopes", 405, "method not allowed"),
    ):
        answer = call(method, BASE + path, bearer=API_KEY)
        assert (answer.status, answer.json["errors"][0]["message"]) == (status, words)


def test_key_is_made_used_and_deleted(call: Call, sandbox: Sandbox) -> None:
    keys = f"{BASE}/v3/api_keys"
    made = call("POST", keys, bearer=API_KEY, json_body={"name": "Portal", "scopes": ["mail.send"]})
    assert (made.status, made.json["name"], made.json["scopes"]) == (201, "Portal", ["mail.send"])
    key, key_id = made.json["api_key"], made.json["api_key_id"]
    assert key.startswith(f"SG.{key_id}.")
    assert len(key) == len(API_KEY) == 69
    assert call("POST", SEND, bearer=key, json_body=mail()).status == 202
    assert call("POST", keys, bearer=key, json_body={"name": "More"}).status == 403
    assert key_id in [each["api_key_id"] for each in call("GET", keys, bearer=API_KEY).json["result"]]
    assert call("DELETE", f"{keys}/{key_id}", bearer=API_KEY).status == 204
    assert call("DELETE", f"{keys}/{key_id}", bearer=API_KEY).status == 404
    assert call("POST", SEND, bearer=key, json_body=mail()).status == 401
    call("DELETE", f"{keys}/sandbox-key-that-sends", bearer=API_KEY)
    assert call("GET", f"{BASE}/v3/scopes", bearer=API_KEY).status == 401
    sandbox.reset()
    assert call("GET", f"{BASE}/v3/scopes", bearer=API_KEY).status == 200


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "x", "scopes": ["everything"]}, ["x"]])
def test_bad_key_is_not_made(body: object, call: Call) -> None:
    assert call("POST", f"{BASE}/v3/api_keys", bearer=API_KEY, json_body=body).status == 400


@pytest.mark.parametrize("mode", ["bad_credentials", "revoked"])
def test_refused_login_of_a_fault(mode: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode=mode)
    answer = call("POST", SEND, bearer=API_KEY, json_body=mail())
    assert (answer.status, answer.json["errors"][0]["message"]) == (401, WRONG)
    assert sandbox.outbox == []


def test_rate_limit_says_when_it_ends(call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode="rate_limit")
    answer = call("POST", SEND, bearer=API_KEY, json_body=mail())
    assert (answer.status, answer.json["errors"][0]["message"]) == (429, "too many requests")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert 0 <= int(answer.headers["X-RateLimit-Reset"]) - int(time.time()) <= 60
    assert answer.headers["Retry-After"] is None


def test_malformed_answer_to_a_mail_comes_after_it_was_taken(call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode="malformed")
    assert call("POST", SEND, bearer=API_KEY, json_body=mail()).text.startswith("<html>")
    assert len(sandbox.outbox) == 1
