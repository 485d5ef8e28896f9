"""The receiver of webhooks by itself: what it checks, what it keeps and shows, who may turn its dials."""

import hashlib
import hmac
import json
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest
from standardwebhooks.webhooks import Webhook as Standard
from werkzeug.wrappers import Response

from portal import clock
from portal.sandbox import Sandbox
from portal.sandbox.webhooks import inbox as inboxes
from portal.sandbox.webhooks.inbox import Inbox
from portal.sandbox.webhooks.signatures import Finding, check
from portal.sandbox.webserver import WebServer
from tests.sandbox.receiver_kit import ask, got, tell
from tests.webhooks.kit import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + b64encode(bytes(range(32))).decode()


def signed(body: bytes, secrets: tuple[str, ...] = (SECRET,), sent_at: int | None = None) -> dict[str, str]:
    """Return the headers of a request as the independent library signs it."""
    moment = clock.now() if sent_at is None else clock.now() + timedelta(seconds=sent_at)
    signatures = [Standard(each).sign(msg_id="evt_1", timestamp=moment, data=body.decode()) for each in secrets]
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
        "x-portal-signature": "sha256=" + hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest(),
    }


@pytest.mark.parametrize(
    ("changes", "signature", "refused"),
    [
        ({}, Finding.GOOD, False),
        ({"webhook-signature": "v1,AAAA v2,x"}, Finding.WRONG, True),
        ({"webhook-signature": ""}, Finding.MISSING, True),
        ({"webhook-timestamp": ""}, Finding.MISSING, True),
        ({"webhook-timestamp": "hello"}, Finding.WRONG, True),
        ({"webhook-id": "evt_2"}, Finding.WRONG, True),
        ({"x-portal-signature": "sha256=00"}, Finding.GOOD, True),
        ({"x-portal-signature": ""}, Finding.GOOD, True),
    ],
)
def test_each_part_counts(changes: Mapping[str, str], signature: Finding, refused: bool) -> None:
    found = check(SECRET, {**signed(b"{}"), **changes}, b"{}", now=time.time())
    assert (found.signature, found.refused) == (signature, refused)


@pytest.mark.parametrize(("seconds", "refused"), [(-302, True), (-298, False), (298, False), (302, True)])
def test_five_minutes_in_either_direction(seconds: int, refused: bool) -> None:
    found = check(SECRET, signed(b"{}", sent_at=seconds), b"{}", now=time.time())
    assert (found.signature is Finding.STALE, found.refused) == (refused, refused)


@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_old_and_new_secret_are_good_while_one_replaces_the_other(known: str) -> None:
    assert not check(known, signed(b"{}", (OTHER, SECRET)), b"{}", now=time.time()).refused


def test_without_a_secret_nothing_is_checked() -> None:
    assert not check("", {}, b"", now=time.time()).refused


def post(sandbox: Sandbox, name: str = "ats", body: bytes = b"{}", **headers: str) -> int:
    return ask(sandbox, "POST", f"/webhooks/{name}", body, **headers)[0]


def test_a_message_that_was_accepted_and_comes_again_stands_out(sandbox: Sandbox) -> None:
    tell(sandbox, mode="error_500", times=1)
    assert [post(sandbox, webhook_id="evt_1") for _ in range(3)] == [500, 200, 200]
    assert [(each["times"], each["accepted_before"]) for each in got(sandbox)] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    page = ask(sandbox, "GET", "/webhooks")[1]
    assert page.count("again, was accepted before") == 1
    assert "again, 2 times now" in page


def test_flaky_fails_every_third_time(sandbox: Sandbox) -> None:
    tell(sandbox, mode="flaky")
    assert [post(sandbox) for _ in range(6)] == [200, 200, 500, 200, 200, 500]


def test_status_of_choice_and_other_methods(sandbox: Sandbox) -> None:
    tell(sandbox, status=204)
    assert post(sandbox) == 204
    assert ask(sandbox, "GET", "/webhooks/ats")[0] == 405
    assert ask(sandbox, "POST", "/webhooks/a/b")[0] == 404


def test_what_hangs_goes_on_when_the_fault_is_taken_away(sandbox: Sandbox) -> None:
    tell(sandbox, mode="slow", delay_ms=60_000)
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(post(sandbox)))
    client.start()
    until(lambda: bool(sandbox.receiver._pauses._wakers))
    tell(sandbox, mode="none")
    client.join(10)
    assert answers == [200]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "MOST_BYTES", 300_000)
    numbers = iter(range(10_000))
    inbox = Inbox(lambda: next(numbers))
    inbox.tell("known", secret=SECRET)
    small: dict[str, Any] = {"body": "", "headers": {}, "webhook_id": ""}
    for _ in range(inboxes.MOST_KEPT + 50):
        inbox.receive("busy", "", small)
    assert sum(len(each["items"]) for each in inbox.endpoints()) < inboxes.MOST_KEPT
    for number in range(3 * inboxes.MOST_ENDPOINTS):
        inbox.receive(f"n{number}", "evt", {**small, "body": "x" * 100_000})
    names = [each["name"] for each in inbox.endpoints()]
    assert (len(names), "known" in names, "busy" in names) == (inboxes.MOST_ENDPOINTS, True, False)
    assert sum(len(each["body"]) for each in inbox.requests()) <= 300_000


def test_idle_connections_give_way_when_all_places_are_taken() -> None:
    server = WebServer(lambda *_: Response("ok"), most=2)
    port = server.start(0)
    connections = [HTTPConnection("127.0.0.1", port, timeout=5) for _ in range(4)]
    try:
        for each in connections:
            each.request("GET", "/")
            assert each.getresponse().read() == b"ok"
    finally:
        server.stop()
        for each in connections:
            each.close()


def test_newest_two_hundred_are_kept(sandbox: Sandbox) -> None:
    for number in range(inboxes.MOST_KEPT + 3):
        sandbox.receiver.inbox.receive("ats", f"e{number}", {"body": "", "headers": {}, "webhook_id": f"e{number}"})
    kept = [each["webhook_id"] for each in got(sandbox)]
    assert (len(kept), kept[0], kept[-1]) == (inboxes.MOST_KEPT, "e202", "e3")


def test_page_shows_hostile_requests_as_text_only(sandbox: Sandbox) -> None:
    evil = "<script>alert(1)</script>"
    post(sandbox, body=evil.encode(), X_Portal_Event=evil, webhook_id=evil, X_Odd="\"><img onerror='x'>")
    connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.request("GET", "/webhooks")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    assert evil not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") == 4  # event, its header, the id's header, body
    assert "'unsafe-inline'" not in (answer.getheader("Content-Security-Policy") or "'unsafe-inline'")


def test_requests_are_listed_beside_those_of_providers_and_forgotten(sandbox: Sandbox) -> None:
    post(sandbox, Authorization="Bearer open-sesame", webhook_id="evt_1")
    listed = json.loads(ask(sandbox, "GET", "/_sandbox/requests?provider=webhooks")[1])["items"]
    assert [(each["endpoint"], each["webhook_id"]) for each in listed] == [("ats", "evt_1")]
    assert "open-sesame" not in json.dumps(listed)
    assert len(json.loads(ask(sandbox, "GET", "/_sandbox/requests")[1])["items"]) == 1
    assert ask(sandbox, "DELETE", "/_sandbox/webhooks/ats")[0] == 204
    assert got(sandbox) == []
    assert ask(sandbox, "DELETE", "/_sandbox/state")[0] == 204
    assert json.loads(ask(sandbox, "GET", "/_sandbox/webhooks")[1]) == {"items": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"secret": "hunter2"},
        {"secret": 5},
        {"status": 99},
        {"status": True},
        {"mode": "explode"},
        {"mode": "gone", "times": 0},
        {"times": 3},
        {"mode": "gone", "other": 1},
    ],
)
def test_bad_wishes_are_refused_and_change_nothing(body: object, sandbox: Sandbox) -> None:
    status, text = ask(sandbox, "PUT", "/_sandbox/webhooks/ats", body)
    assert (status, json.loads(text)["detail"][-1:]) == (422, ".")
    assert json.loads(ask(sandbox, "GET", "/_sandbox/webhooks")[1]) == {"items": []}


def test_secret_is_told_and_never_shown(sandbox: Sandbox) -> None:
    tell(sandbox, secret=SECRET)
    for path in ("/webhooks", "/_sandbox/webhooks", "/_sandbox/webhooks/ats"):
        assert SECRET.removeprefix("whsec_") not in ask(sandbox, "GET", path)[1]
    assert json.loads(ask(sandbox, "GET", "/_sandbox/webhooks/ats")[1])["has_secret"] is True
    tell(sandbox, secret="")
    assert json.loads(ask(sandbox, "GET", "/_sandbox/webhooks/ats")[1])["has_secret"] is False


def press(sandbox: Sandbox, origin: str, **fields: str) -> int:
    form = urlencode(fields).encode()
    kind = "application/x-www-form-urlencoded"
    headers = {"Origin": origin} if origin else {}
    return ask(sandbox, "POST", "/webhooks", form, **headers, Content_Type=kind)[0]


def test_buttons_of_the_page_turn_the_dials(sandbox: Sandbox) -> None:
    assert press(sandbox, sandbox.url, endpoint="ats", mode="slow", delay_ms="250", times="") == 303
    assert sandbox.state.fault("webhooks/ats").as_dict() == {"mode": "slow", "delay_ms": 250, "times": None}
    assert press(sandbox, sandbox.url, endpoint="", mode="gone") == 303
    assert sandbox.state.fault("webhooks").mode == "gone"
    assert press(sandbox, sandbox.url, endpoint="ats", secret=f" {SECRET} ") == 303
    assert sandbox.receiver.inbox.about("ats") == (SECRET, 200)
    assert press(sandbox, sandbox.url, endpoint="ats", mode="slow", delay_ms="soon") == 422


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://127.0.0.1:1"])
def test_other_sites_do_not_press_them(origin: str, sandbox: Sandbox) -> None:
    assert press(sandbox, origin, endpoint="", mode="gone") == 403
    assert sandbox.state.fault("webhooks").mode == "none"
