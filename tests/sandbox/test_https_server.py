"""The sandbox's HTTPS server: hosts, dialogue, faults that every API has, and an end that leaves nothing behind."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPSConnection, RemoteDisconnected
from typing import Any

import pytest

from portal.providers.network import SandboxNetwork
from portal.providers.sandboxed import sandbox_context
from portal.sandbox import Sandbox
from portal.sandbox.apis.sendgrid import API_KEY
from portal.sandbox.apis.twilio import ACCOUNT_SID, AUTH_TOKEN

Call = Callable[..., Any]
Dial = Callable[[str], HTTPSConnection]
SCOPES = "https://api.sendgrid.com/v3/scopes"
ACCOUNT = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}.json"
LOGINS: Mapping[str, Any] = {
    SCOPES: {"bearer": API_KEY},
    ACCOUNT: {"basic": (ACCOUNT_SID, AUTH_TOKEN)},
}
SLUGS = {SCOPES: "sendgrid", ACCOUNT: "twilio"}


def until(condition: Callable[[], object]) -> None:
    while not condition():
        threading.Event().wait(0.005)


def test_network_of_the_sandbox_leads_https_to_it(sandbox: Sandbox) -> None:
    context = sandbox_context(sandbox.url)
    assert isinstance(context.network, SandboxNetwork)
    (address,) = context.network.resolve("api.twilio.com", 443, 1)
    assert (str(address.ip), address.port, address.host) == ("127.0.0.1", sandbox.https_port, "api.twilio.com")
    sock, _ = context.network.connect([address], 5)
    trust = ssl.create_default_context(cadata=context.extra_ca_pem)
    with trust.wrap_socket(sock, server_hostname="api.twilio.com") as connection:
        assert connection.version() == "TLSv1.3"


def test_host_that_nobody_plays_is_said(call: Call, sandbox: Sandbox) -> None:
    answer = call("GET", "https://api.example.com/v3/scopes", bearer=API_KEY)
    assert answer.status == 421
    assert answer.json["detail"].endswith("not “api.example.com”.")
    assert "api.sendgrid.com" in answer.json["detail"]
    assert sandbox.requests == []


def test_connection_is_kept_for_more_requests(dial: Dial) -> None:
    connection = dial("api.sendgrid.com")
    socks = set()
    for _ in range(3):
        connection.request("GET", "/v3/scopes", headers={"Accept": "*/*", "Authorization": f"Bearer {API_KEY}"})
        answer = connection.getresponse()
        assert (answer.status, "mail.send" in json.loads(answer.read())["scopes"]) == (200, True)
        socks.add(connection.sock)
    assert len(socks) == 1


def test_request_is_remembered_without_secrets(call: Call, sandbox: Sandbox) -> None:
    call("POST", "https://api.sendgrid.com/v3/mail/send?a=1", bearer=API_KEY, json_body={"x": [{"password": "open"}]})
    call("POST", ACCOUNT, form={"To": "+1", "client_secret": "sesame"}, basic=(ACCOUNT_SID, AUTH_TOKEN))
    by_form, by_json = sandbox.requests
    assert (by_json["provider"], by_json["method"], by_json["host"]) == ("sendgrid", "POST", "api.sendgrid.com")
    assert (by_json["path"], by_json["query"], by_json["status"]) == ("/v3/mail/send", {"a": ["1"]}, 400)
    assert by_json["body"] == {"x": [{"password": "(not kept)"}]}
    assert by_form["body"] == {"To": ["+1"], "client_secret": "(not kept)"}
    remembered = json.dumps(sandbox.requests)
    for secret in (API_KEY, AUTH_TOKEN, "sesame", "open", "Basic ", "Bearer "):
        assert secret not in remembered


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Length: 99999999999", 413),
        ("Content-Length: many", 411),
        ("Content-Length: -1", 411),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_body_of_no_sound_length_is_refused(head: str, status: int, dial: Dial) -> None:
    connection = dial("api.sendgrid.com")
    connection.connect()
    connection.sock.sendall(f"POST /v3/mail/send HTTP/1.1\r\nHost: api.sendgrid.com\r\n{head}\r\n\r\n".encode())
    assert connection.sock.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("url", [SCOPES, ACCOUNT])
@pytest.mark.parametrize("mode", ["rate_limit", "error_500", "bad_credentials", "revoked"])
def test_fault_ends_after_so_many_times(mode: str, url: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.fault(SLUGS[url], mode=mode, times=1)
    expected = {"rate_limit": 429, "error_500": 500}.get(mode, 401)
    assert call("GET", url, **LOGINS[url]).status == expected
    assert call("GET", url, **LOGINS[url]).status == 200
    assert [(entry["fault"], entry["status"]) for entry in sandbox.requests] == [("none", 200), (mode, expected)]


def test_fault_hits_its_own_provider_alone(call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode="error_500")
    assert call("GET", ACCOUNT, **LOGINS[ACCOUNT]).status == 200


@pytest.mark.parametrize("url", [SCOPES, ACCOUNT])
def test_malformed_json_ends_in_the_middle(url: str, call: Call, sandbox: Sandbox) -> None:
    whole = call("GET", url, **LOGINS[url])
    sandbox.fault(SLUGS[url], mode="malformed")
    cut = call("GET", url, **LOGINS[url])
    assert (cut.status, cut.headers["Content-Type"]) == (200, "application/json")
    assert whole.text.startswith(cut.text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.text)


def test_malformed_answer_without_a_body_is_a_page(call: Call, sandbox: Sandbox) -> None:
    made = call("POST", "https://api.sendgrid.com/v3/api_keys", bearer=API_KEY, json_body={"name": "New"})
    sandbox.fault("sendgrid", mode="malformed")
    answer = call("DELETE", f"https://api.sendgrid.com/v3/api_keys/{made.json['api_key_id']}", bearer=API_KEY)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<html>")


def test_slow_answer_comes_late_and_whole(call: Call, sandbox: Sandbox) -> None:
    sandbox.fault("twilio", mode="slow", delay_ms=80)
    began = time.monotonic()
    assert call("GET", ACCOUNT, **LOGINS[ACCOUNT]).json["status"] == "active"
    assert time.monotonic() - began >= 0.08


@pytest.mark.parametrize("how", ["reset", "another fault", "delay"])
def test_hanging_request_is_let_go_without_an_answer(how: str, dial: Dial, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode="timeout", delay_ms=50 if how == "delay" else None)
    connection = dial("api.sendgrid.com")
    connection.request("GET", "/v3/scopes")
    until(lambda: sandbox._apis._pauses._wakers or how == "delay")
    if how == "reset":
        sandbox.reset()
    elif how == "another fault":
        sandbox.fault("sendgrid", mode="none")
    with pytest.raises(RemoteDisconnected):
        connection.getresponse()


@pytest.mark.timeout(20)
def test_client_that_leaves_frees_its_thread(dial: Dial, sandbox: Sandbox) -> None:
    sandbox.fault("sendgrid", mode="timeout")
    connection = dial("api.sendgrid.com")
    connection.request("GET", "/v3/scopes")
    until(lambda: sandbox._apis._pauses._wakers)
    connection.close()
    until(lambda: not sandbox._apis._pauses._wakers)


@pytest.mark.timeout(20)
def test_more_clients_than_threads_are_served_in_turn(sandbox: Sandbox, call: Call) -> None:
    idle = [socket.create_connection(("127.0.0.1", sandbox.https_port)) for _ in range(40)]
    try:
        until(lambda: len(sandbox._apis._server._connections) == 40)
    finally:
        for each in idle:
            each.close()
    assert call("GET", SCOPES, **LOGINS[SCOPES]).status == 200


def test_strangers_without_tls_are_turned_away(sandbox: Sandbox, call: Call) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.https_port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: api.sendgrid.com\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not connection.recv(1000).startswith(b"HTTP/")
    assert call("GET", SCOPES, **LOGINS[SCOPES]).status == 200


def test_stop_ends_hanging_and_silent_clients_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start(port=0, smtp_port=0)
    sandbox.fault("sendgrid", mode="timeout")
    trust = ssl.create_default_context(cadata=sandbox.ca_pem)
    with (
        socket.create_connection(("127.0.0.1", sandbox.https_port), timeout=10) as silent,
        socket.create_connection(("127.0.0.1", sandbox.https_port), timeout=10) as raw,
        trust.wrap_socket(raw, server_hostname="api.sendgrid.com") as hanging,
    ):
        hanging.sendall(b"GET /v3/scopes HTTP/1.1\r\nHost: api.sendgrid.com\r\n\r\n")
        until(lambda: sandbox._apis._pauses._wakers)
        sandbox.stop()
        assert hanging.recv(100) == b""
        assert silent.recv(100) == b""
    assert set(threading.enumerate()) <= before
    sandbox.reset()  # harmless afterwards
