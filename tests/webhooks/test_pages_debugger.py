"""The debugger: what is sent, what came back, signatures verified; the secret, shown to whoever confirmed."""

import html
import json
import re
import shlex
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.audit.models import AuditEntry
from portal.database import reading, unit_of_work
from portal.security.webhook_signatures import body_hash, key_of, sign
from portal.webhooks import run_job, samples, service, testing
from portal.webhooks.errors import WebhooksError
from portal.webhooks.models import Webhook
from tests.support.people import PASSWORD, Browser, Team, words
from tests.support.webhooks import make_delivery, make_webhook, stored_webhook
from tests.webhooks.kit import Receiver, deliveries, reply

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
LIST = "/admin/webhooks"
SAMPLE = {"event_type": "job.created", "data": '{"id": "job_1", "rate": 58.5, "title": "Ümläut \\u003cb>"}'}


def secret_of(app: Flask, webhook_id: uuid.UUID) -> str:
    with app.app_context(), reading() as session:
        return service.signing_secrets(session.get_one(Webhook, webhook_id), clock.now())[0]


def actions(app: Flask) -> list[str]:
    with app.app_context(), reading() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every test that would have been sent; none can be."""
    asked: list[dict[str, Any]] = []

    def send(**values: Any) -> uuid.UUID:
        asked.append(values)
        raise WebhooksError("Nothing is sent here.")

    monkeypatch.setattr(testing, "send_test", send)
    return asked


def test_a_test_shows_the_request_as_it_went_out_and_the_answer(app: Flask, team: Team, admin: Browser) -> None:
    with Receiver(answer=lambda handler: reply(handler, 202, b'{"ok": 1}', X_Trace="t-9")).serving() as receiver:
        url = f"{receiver.url}/in?a='b'"
        made = make_webhook(app, team.admin, url=url, custom_headers={"Authorization": "Bearer hush"})
        answer = admin.post(f"{LIST}/{made}/test", SAMPLE, target="bench")
        [got] = receiver.got
    assert answer.status_code == 200
    text = words(answer)
    assert "202 Accepted" in text
    assert f"POST {url}" in text
    assert got.headers["webhook-signature"] in text
    assert "Bearer hush" not in answer.text
    assert "deliveries-changed" in json.loads(answer.headers["HX-Trigger"])
    here = answer.headers["HX-Replace-Url"]
    came_back = words(admin.get(f"{here}&part=response", target="result"))
    assert "x-trace: t-9" in came_back
    assert '"ok" : 1' in came_back
    assert "<html" in admin.get(here).text, "the address shows the same result after a reload"
    [curl] = re.findall(r'data-copy-text="(curl [^"]+)"', answer.text)
    command = shlex.split(html.unescape(curl).replace("\\\n", " "))
    assert command[:4] == ["curl", "-X", "POST", url]
    assert command[-1].encode() == got.body


def test_a_test_without_script_leads_to_the_result(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(
        app, team.admin, made, attempts=1, status="failed", due_at=None, error_class="http_500", response_status=500
    )
    monkeypatch.setattr(testing, "send_test", lambda **_: delivery)
    answer = admin.post(f"{LIST}/{made}/test", SAMPLE)
    assert answer.headers["Location"] == f"{LIST}/{made}?delivery={delivery}#result"
    assert "500 Internal Server Error" in words(admin.get(f"{LIST}/{made}?delivery={delivery}"))


@pytest.mark.parametrize("data", ["", "{", "NaN", '{"a": Infinity}', '"\\ud800"', "[" * 100_000, "1" * 5000])
def test_a_sample_that_is_no_json_is_refused_in_place(
    team: Team, admin: Browser, app: Flask, sent: list[dict[str, Any]], data: str
) -> None:
    made = make_webhook(app, team.admin)
    answer = admin.post(f"{LIST}/{made}/test", {"event_type": "job.created", "data": data}, target="bench")
    assert answer.status_code == 422
    assert "This is no JSON" in words(answer)
    assert sent == []


def test_what_keeps_a_test_from_being_sent_is_said(
    app: Flask, team: Team, admin: Browser, sent: list[dict[str, Any]]
) -> None:
    made = make_webhook(app, team.admin)
    answer = admin.post(f"{LIST}/{made}/test", SAMPLE, target="bench")
    assert answer.status_code == 422
    assert "Not sent Nothing is sent here." in words(answer)
    assert "Ümläut" in words(answer), "the edited sample is kept"
    assert sent[0]["data"] == json.loads(SAMPLE["data"])


def test_each_event_type_has_its_sample(app: Flask, team: Team, admin: Browser, sent: list[dict[str, Any]]) -> None:
    made = make_webhook(app, team.admin, events=["job.created", "submission.placed"])
    page = admin.get(f"{LIST}/{made}").text.partition('name="type"')[0]
    assert re.findall(r'<option value="([^"]+)"', page) == ["job.created", "submission.placed"]
    part = admin.get(f"{LIST}/{made}?event_type=submission.placed", target="sample")
    assert '"sub_519"' in html.unescape(part.text)
    assert "<html" not in part.text
    reset = admin.post(f"{LIST}/{made}/test", {**SAMPLE, "event_type": "submission.placed", "intent": "sample"})
    assert '"sub_519"' in html.unescape(reset.text)
    assert sent == []


def test_a_delivery_of_another_webhook_is_not_shown_here(app: Flask, team: Team, admin: Browser) -> None:
    first = make_webhook(app, team.admin, "First")
    delivery = make_delivery(app, team.admin, first, attempts=1, status="failed", due_at=None, error_class="timeout")
    other = make_webhook(app, team.admin, "Second")
    for chosen in (str(delivery), "nonsense", str(uuid.uuid4())):
        assert "No delivery chosen" in words(admin.get(f"{LIST}/{other}?delivery={chosen}"))


def test_the_history_groups_attempts_under_their_delivery_and_stays_live(
    app: Flask, team: Team, admin: Browser
) -> None:
    made = make_webhook(app, team.admin)
    make_delivery(
        app, team.admin, made, attempts=2, status="success", due_at=None, response_status=200, duration_ms=298
    )
    part = admin.get(f"{LIST}/{made}", target="history")
    text = words(part)
    assert re.search(r"job\.created 2 attempts 200 OK 298 ms", text)
    assert re.search(r"Attempt 1 500 .*12 ms.*Attempt 2 500", text)
    assert "every 10s" in part.text
    make_delivery(app, team.admin, made)
    assert "every 2s" in admin.get(f"{LIST}/{made}", target="history").text, "what waits is watched closely"


def test_what_failed_is_replayed_from_the_history(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    make_delivery(app, team.admin, made, attempts=1, status="dlq", due_at=None, error_class="timeout")
    answer = admin.post(f"{LIST}/{made}/replay", htmx=True)
    told = json.loads(answer.headers["HX-Trigger"])
    assert (told["toast"]["title"], "runs-changed" in told) == ("Replaying 1 failed delivery.", True)
    with app.app_context():
        assert run_job.work_off() == 1
    again = admin.post(f"{LIST}/{made}/replay", htmx=True)
    assert json.loads(again.headers["HX-Trigger"])["toast"]["title"] == "Nothing failed in this time."


def test_a_failing_and_a_disabled_webhook_say_so(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    with app.app_context(), unit_of_work() as session:
        session.get_one(Webhook, made).failing_since = datetime(2026, 3, 1, 8, tzinfo=UTC)
    for page in (LIST, f"{LIST}/{made}", f"{LIST}/{made}/edit"):
        with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False):
            admin.sign_in(team.admin)
            said = "Failing since 1 Mar 2026, 08:00:00 ; unless a delivery succeeds before 6 Mar 2026, 08:00:00 , it"
            assert said in words(admin.get(page)), page
        with time_machine.travel(datetime(2026, 3, 7, 9, tzinfo=UTC), tick=False):
            admin.sign_in(team.admin)
            said = "Failing since 1 Mar 2026, 08:00:00 ; the next failed delivery disables it."
            assert said in words(admin.get(page)), page
    admin.sign_in(team.admin)
    with app.app_context(), unit_of_work():
        webhook = service.get(organization_id=team.organization_id, webhook_id=made)
        service.set_active(webhook=webhook, active=False, reason="It failed for 5 days.")
    assert "Disabled It failed for 5 days." in words(admin.get(f"{LIST}/{made}"))


# ---- Verifying


def signed(secret: str, body: str, at: datetime) -> dict[str, str]:
    stamp = int(at.timestamp())
    signature = sign([key_of(secret)], message_id="evt_1", timestamp=stamp, body=body.encode())
    return {"body": body, "signature": signature, "message_id": "evt_1", "timestamp": str(stamp)}


Change = Callable[[dict[str, str]], dict[str, str]]
CHANGES: dict[str, tuple[Change, str]] = {
    "as sent": (lambda given: given, "Matches. The portal signed this body, id and time"),
    "one of several": (lambda given: given | {"signature": f"v1,AAAA {given['signature']}"}, "Matches."),
    "another body": (lambda given: given | {"body": given["body"] + " "}, "Does not match."),
    "another id": (lambda given: given | {"message_id": "evt_2"}, "Does not match."),
    "another time": (lambda given: given | {"timestamp": str(int(given["timestamp"]) + 1)}, "Does not match."),
    "no time": (lambda given: given | {"timestamp": ""}, "also covers webhook-id and webhook-timestamp"),
    "a time in other digits": (lambda given: given | {"timestamp": "١٢"}, "also covers webhook-id"),
    "no signature": (lambda given: given | {"signature": " "}, "Paste the header"),
    "half a surrogate pair": (lambda given: given | {"signature": "sha256=ÿ"}, "Does not match."),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_signature_is_verified(app: Flask, team: Team, admin: Browser, case: str) -> None:
    made = make_webhook(app, team.admin)
    change, said = CHANGES[case]
    given = change(signed(secret_of(app, made), '{"id":"evt_1","ü":1}', clock.now()))
    answer = admin.post(f"{LIST}/{made}/verify", given, target="verify")
    assert answer.status_code == 200
    assert said in words(answer)


def test_the_plain_signature_and_lines_as_a_form_sends_them_are_verified(
    app: Flask, team: Team, admin: Browser
) -> None:
    made = make_webhook(app, team.admin)
    body = '{\n  "id": 1\n}'
    signature = body_hash(secret_of(app, made).encode(), body.encode())
    given = {"body": body.replace("\n", "\r\n"), "signature": signature}
    assert "Matches." in words(admin.post(f"{LIST}/{made}/verify", given))
    assert "Does not match." in words(admin.post(f"{LIST}/{made}/verify", given | {"body": "{}"}))


def test_an_old_signature_and_the_secret_before_are_told_apart(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    given = signed(secret_of(app, made), "{}", clock.now() - timedelta(minutes=6))
    assert "more than five minutes old" in words(admin.post(f"{LIST}/{made}/verify", given))
    with app.app_context(), unit_of_work():
        service.rotate(webhook=service.get(organization_id=team.organization_id, webhook_id=made))
    assert "Matches the secret before this one." in words(admin.post(f"{LIST}/{made}/verify", given))


def test_the_samples_are_shown_one_language_at_a_time(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    for name, (language, code) in samples.SAMPLES.items():
        part = admin.get(f"{LIST}/{made}?code={name}", target="samples")
        assert f"Verify in {language}" in words(part)
        assert code.strip() in html.unescape(part.text)


# ---- Secret


def test_the_secret_is_shown_to_whoever_confirmed_and_the_trail_says_so(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    path, secret = f"{LIST}/{made}/secret", secret_of(app, made)
    admin.forget_confirmation()
    assert 'name="confirm_access"' in admin.get(path, target="drawer-host").text
    for answer in ({}, {"confirm_access": "wrong"}):
        refused = admin.post(path, {"intent": "reveal", **answer}, target="drawer-host")
        assert refused.status_code == 422
        assert secret not in html.unescape(refused.text)
    assert "webhook.secret_revealed" not in actions(app)
    shown = admin.post(path, {"intent": "reveal", "confirm_access": PASSWORD}, target="drawer-host")
    assert secret in html.unescape(shown.text)
    assert actions(app)[-1] == "webhook.secret_revealed"
    assert 'name="confirm_access"' not in admin.get(path).text, "it counts for ten minutes"


@pytest.mark.parametrize(("overlap", "hours"), [("24", 24), ("0", 0), ("168", 168), ("99999", 24), ("", 24)])
def test_a_regenerated_secret_is_shown_and_the_one_before_signs_on(
    app: Flask, team: Team, admin: Browser, overlap: str, hours: int
) -> None:
    made = make_webhook(app, team.admin)
    before = secret_of(app, made)
    with time_machine.travel(clock.now(), tick=False):
        answer = admin.post(f"{LIST}/{made}/secret", {"intent": "rotate", "overlap": overlap}, target="drawer-host")
        after, stored = secret_of(app, made), stored_webhook(app, made)
        assert stored.previous_until == (clock.now() + timedelta(hours=hours) if hours else None)
    assert after != before
    assert after in html.unescape(answer.text)
    assert ("signs too until" in words(answer)) == bool(hours)
    assert actions(app)[-1] == "webhook.secret_rotated"


def test_opening_the_drawer_shows_and_records_nothing(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    before = actions(app)
    text = html.unescape(admin.get(f"{LIST}/{made}/secret").text)
    assert secret_of(app, made) not in text
    assert stored_webhook(app, made).secret_masked in text
    assert actions(app) == before


@pytest.mark.parametrize(
    ("status", "wish", "warned"), [(410, "", True), (403, "Disable", True), (403, "abort-message", False)]
)
def test_a_test_disables_nothing_and_says_what_the_answer_would_do(
    team: Team, admin: Browser, status: int, wish: str, warned: bool
) -> None:
    with Receiver(answer=lambda handler: reply(handler, status, webhook_delivery=wish)).serving() as receiver:
        made = make_webhook(admin.app, team.admin, url=receiver.url)
        admin.post(f"{LIST}/{made}/test", SAMPLE, target="bench")
    delivery = deliveries(admin.app)[-1].id
    said = words(admin.get(f"{LIST}/{made}?delivery={delivery}&part=response"))
    assert ("A test changes nothing, but this answer to an event disables the webhook." in said) is warned
    row = stored_webhook(admin.app, made)
    assert (row.status, row.failing_since) == ("active", None)
