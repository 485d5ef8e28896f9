"""The sandbox's own pages, over HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest

from portal.providers.base import OutgoingEmail, Value
from portal.providers.network import NoSandbox
from portal.providers.sandboxed import sandbox_context
from portal.providers.smtp import SMTP
from portal.sandbox import PASSWORD, Sandbox
from portal.sandbox.apis.sendgrid import API_KEY
from portal.sandbox.apis.slack import HOOK
from portal.sandbox.apis.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER

Make = Callable[..., dict[str, Value]]


def ask(sandbox: Sandbox, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str, str]:
    """Return status, content type and text of an answer."""
    connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    try:
        content = body if isinstance(body, str) else None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def listed(sandbox: Sandbox, path: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = json.loads(ask(sandbox, "GET", path)[2])["items"]
    return items


def test_fault_is_put_shown_and_taken_away(sandbox: Sandbox) -> None:
    fault = {"mode": "slow", "delay_ms": 250, "times": 3}
    status, _, text = ask(sandbox, "PUT", "/_sandbox/faults/smtp", fault)
    assert (status, json.loads(text)) == (200, fault)
    assert json.loads(ask(sandbox, "GET", "/_sandbox/faults")[2])["smtp"] == fault
    assert ask(sandbox, "PUT", "/_sandbox/faults/smtp", {"mode": "none"})[0] == 200
    assert sandbox.state.take_fault("smtp").mode == "none"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mode": "explode"},
        {"mode": "gone"},
        {"mode": None},
        {"mode": ["timeout"]},
        {"mode": "slow", "delay_ms": -1},
        {"mode": "slow", "delay_ms": 10**9},
        {"mode": "slow", "delay_ms": "5"},
        {"mode": "slow", "delay_ms": True},
        {"mode": "slow", "times": 0},
        {"mode": "slow", "times": 1.5},
        {"mode": "slow", "unknown": 1},
        [],
        "no json",
        None,
    ],
)
def test_bad_fault_is_refused_with_a_sentence(body: object, sandbox: Sandbox) -> None:
    status, kind, text = ask(sandbox, "PUT", "/_sandbox/faults/smtp", body)
    assert (status, kind) == (422, "application/problem+json")
    assert json.loads(text)["detail"].endswith(".")
    assert sandbox.state.faults()["smtp"].mode == "none"


def test_unknown_provider_and_path(sandbox: Sandbox) -> None:
    assert ask(sandbox, "PUT", "/_sandbox/faults/nobody", {"mode": "none"})[0] == 404
    assert ask(sandbox, "GET", "/_sandbox/nothing")[0] == 404
    assert ask(sandbox, "POST", "/_sandbox/state")[0] == 405


def test_outbox_and_requests_are_listed_filtered_and_forgotten(sandbox: Sandbox, credentials: Make) -> None:
    mail = OutgoingEmail(to=("dana@example.org",), subject="One", text="t")
    assert SMTP.send_email(credentials(), sandbox_context(sandbox.url), mail).ok
    assert [item["subject"] for item in listed(sandbox, "/_sandbox/outbox?channel=email")] == ["One"]
    assert listed(sandbox, "/_sandbox/outbox?channel=sms") == []
    assert len(listed(sandbox, "/_sandbox/requests?provider=smtp")) == 1
    assert listed(sandbox, "/_sandbox/requests?provider=twilio") == []
    assert ask(sandbox, "DELETE", "/_sandbox/state") == (204, "text/html; charset=utf-8", "")
    assert listed(sandbox, "/_sandbox/outbox") == listed(sandbox, "/_sandbox/requests") == []


def test_page_shows_mail_as_text_only(sandbox: Sandbox, credentials: Make) -> None:
    evil = "<script>alert(1)</script>"
    mail = OutgoingEmail(to=("dana@example.org",), subject=evil, text=evil, html=evil)
    assert SMTP.send_email(credentials(from_name=evil), sandbox_context(sandbox.url), mail).ok
    sandbox.fault("smtp", mode="slow")
    status, _, page = ask(sandbox, "GET", "/")
    assert status == 200
    assert evil not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "Fault on for smtp: slow" in page


def test_page_shows_text_messages_and_what_is_accepted(sandbox: Sandbox, call: Callable[..., Any]) -> None:
    form = {"To": "+61491570156", "From": FROM_NUMBER, "Body": "<b>Shift</b>"}
    url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    sid = call("POST", url, form=form, basic=(ACCOUNT_SID, AUTH_TOKEN)).json["sid"]
    page = ask(sandbox, "GET", "/")[2]
    for words in ("Text message to +61491570156", FROM_NUMBER, sid, "&lt;b&gt;Shift&lt;/b&gt;", API_KEY, AUTH_TOKEN):
        assert words in page
    assert [item["sid"] for item in listed(sandbox, "/_sandbox/outbox?channel=sms")] == [sid]
    assert listed(sandbox, "/_sandbox/outbox?channel=email") == []


def test_page_shows_chat_messages_as_text(sandbox: Sandbox, call: Callable[..., Any]) -> None:
    title = {"type": "header", "text": {"type": "plain_text", "text": "&lt;b&gt;Down&lt;/b&gt;"}}
    facts = {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Impact*\n<i>none</i>"}]}
    assert call("POST", HOOK, json_body={"blocks": [title, facts]}).status == 200
    page = ask(sandbox, "GET", "/")[2]
    for words in ("<h2>&lt;b&gt;Down&lt;/b&gt;</h2>", "#alerts", "Impact", "&lt;i&gt;none&lt;/i&gt;"):
        assert words in page
    assert len(listed(sandbox, "/_sandbox/outbox?channel=chat")) == 1


def test_info_tells_ports_and_authority(sandbox: Sandbox) -> None:
    info = json.loads(ask(sandbox, "GET", "/_sandbox/info")[2])
    assert info["smtp"] == {"host": "127.0.0.1", "port": sandbox.smtp_port, "tls_port": sandbox.smtp_tls_port}
    assert info["ca_pem"] == sandbox.ca_pem
    assert "PRIVATE" not in info["ca_pem"]
    assert ask(sandbox, "GET", "/_sandbox/ca.pem")[2] == sandbox.ca_pem
    assert (info["https"]["host"], info["https"]["port"]) == ("127.0.0.1", sandbox.https_port)
    assert "api.twilio.com" in info["https"]["plays"]["twilio"]
    assert info["accounts"]["smtp"]["password"] == PASSWORD
    assert (info["accounts"]["sendgrid"]["api_key"], info["accounts"]["twilio"]["auth_token"]) == (API_KEY, AUTH_TOKEN)


def test_every_provider_is_played_and_can_be_made_to_fail(sandbox: Sandbox) -> None:
    faults = json.loads(ask(sandbox, "GET", "/_sandbox/faults")[2])
    assert set(faults) == {"smtp", "sendgrid", "twilio", "slack", "teams", "webhooks"}
    for provider in faults:
        assert ask(sandbox, "PUT", f"/_sandbox/faults/{provider}", {"mode": "revoked"})[0] == 200
    assert {fault.mode for fault in sandbox.state.faults().values()} == {"revoked"}


def test_strangers_cannot_reach_it_by_another_name(sandbox: Sandbox) -> None:
    assert ask(sandbox, "GET", "/_sandbox/outbox", None, Host="evil.example.com")[0] == 400
    assert ask(sandbox, "GET", "/_sandbox/outbox", None, Host=f"localhost:{sandbox.port}")[0] == 200


def test_large_body_is_refused(sandbox: Sandbox) -> None:
    assert ask(sandbox, "PUT", "/_sandbox/faults/smtp", "x" * 100_000)[0] in (413, 422)


def test_command_serves_until_it_is_told_to_end() -> None:
    code = "from portal.sandbox import serve; serve(0, 0)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        url = line.removeprefix("Sandbox on ").split(",")[0]
        assert not isinstance(sandbox_context(url).network, NoSandbox)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
