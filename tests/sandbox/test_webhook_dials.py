"""The dials of the receiver of webhooks, seen by the portal that sends to it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

from portal import clock
from portal.database import unit_of_work
from portal.sandbox import Sandbox
from portal.security.webhook_signatures import new_secret
from portal.settings import Settings
from portal.webhooks import sending, service
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook, WebhookStatus
from portal.webhooks.testing import send_test
from tests.sandbox.receiver_kit import ask, got, tell
from tests.support.people import Team
from tests.webhooks.kit import attempts, deliveries, dispatching, emit, make_webhook, until, webhook

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


Send = Callable[..., Delivery]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs come at once."""
    monkeypatch.setattr(sending, "TIMEOUT", 0.5)


@pytest.fixture
def send(app: Flask, team: Team, sandbox: Sandbox) -> Send:
    """Sends a test to an endpoint that knows the secret, and returns the delivery."""

    def send(name: str = "ats", **hook: Any) -> Delivery:
        found, secret = make_webhook(app, team.organization_id, f"{sandbox.url}/webhooks/{name}", **hook)
        if name == "ats":
            tell(sandbox, secret=secret)
        with app.app_context():
            send_test(organization_id=team.organization_id, webhook_id=found, event_type="job.closed", data={"id": 7})
        return deliveries(app)[-1]

    return send


def test_what_the_portal_sends_is_good_to_all_three_verifiers(
    app: Flask, team: Team, sandbox: Sandbox, settings: Settings
) -> None:
    hook, secret = make_webhook(app, team.organization_id, f"{sandbox.url}/webhooks/ats", events=["job.created"])
    tell(sandbox, secret=secret)
    with app.app_context(), unit_of_work():
        service.rotate(webhook=service.get(organization_id=team.organization_id, webhook_id=hook))
    with dispatching(app, settings):
        emit(app, team.organization_id)
        until(lambda: all(each.status is DeliveryStatus.SUCCESS for each in deliveries(app)))
    (entry,) = got(sandbox)
    assert (entry["status"], entry["good"], entry["signature"], entry["body_hash"]) == (200, True, "good", "wrong")
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    assert Standard(secret).verify(entry["body"], headers)["data"] == {"number": 0}
    Svix(secret).verify(entry["body"], headers)
    assert (entry["event"], entry["attempt"], entry["webhook_id"]) == ("job.created", "1", headers["webhook-id"])


@pytest.mark.parametrize(
    ("mode", "status", "error"),
    [
        ("none", 200, None),
        ("slow", 200, None),
        ("malformed", 200, None),
        ("endless", 200, None),
        ("error_500", 500, "http_500"),
        ("unavailable", 503, "http_503"),
        ("rate_limit", 429, "http_429"),
        ("bad_credentials", 401, "http_401"),
        ("revoked", 403, "http_403"),
        ("gone", 410, "http_410"),
        ("disable", 403, "http_403"),
        ("abort_message", 422, "http_422"),
        ("redirect", 307, "http_307"),
        ("timeout", None, "timeout"),
        ("reset", None, "closed"),
        ("not_http", None, "not_http"),
    ],
)
def test_each_dial_does_to_a_delivery_what_it_says(  # noqa: PLR0917 - fixtures
    mode: str, status: int | None, error: str | None, app: Flask, send: Send, sandbox: Sandbox, quick: None
) -> None:
    tell(sandbox, mode=mode, delay_ms=50 if mode == "slow" else None)
    delivery = send()
    assert (delivery.response_status, delivery.error_class) == (status, error)
    assert [(each["fault"], each["status"], each["good"]) for each in got(sandbox)] == [(mode, status, True)]
    (attempt,) = attempts(app)
    assert attempt.timing.get("truncated", False) is (mode == "endless")
    assert not [each for each in sandbox.receiver.inbox.requests() if each["endpoint"] != "ats"]  # nobody was followed


def test_a_fault_of_all_endpoints_holds_where_an_endpoint_has_none_of_its_own(send: Send, sandbox: Sandbox) -> None:
    assert ask(sandbox, "PUT", "/_sandbox/faults/webhooks", {"mode": "unavailable", "times": 2})[0] == 200
    tell(sandbox, mode="gone", times=1)
    assert [send("ats").response_status, send("hr").response_status] == [410, 503]
    assert [send("hr").response_status, send("hr").response_status] == [503, 200]


def test_dispatcher_obeys_the_wishes_of_receivers(app: Flask, team: Team, sandbox: Sandbox, settings: Settings) -> None:
    modes: dict[str, dict[str, int]] = {"gone": {}, "disable": {}, "abort_message": {}}
    modes |= {"rate_limit": {"delay_ms": 120_000}, "error_500": {"times": 1}}
    hooks = {}
    for mode, more in modes.items():
        url = f"{sandbox.url}/webhooks/{mode}"
        hooks[mode], secret = make_webhook(app, team.organization_id, url, events=["job.created"])
        tell(sandbox, mode, secret=secret, mode=mode, **more)

    def stored(mode: str) -> tuple[Webhook, Delivery]:
        (delivery,) = [each for each in deliveries(app) if each.webhook_id == hooks[mode]]
        return webhook(app, hooks[mode]), delivery

    with dispatching(app, settings) as dispatcher:
        emit(app, team.organization_id)
        until(lambda: len(attempts(app)) == len(modes))
        with app.app_context(), unit_of_work() as session:
            again = update(Delivery).where(Delivery.webhook_id == hooks["error_500"])
            session.execute(again.values(due_at=clock.now()))
        dispatcher.wake()
        until(lambda: stored("error_500")[1].due_at is None)
    for mode in ("gone", "disable"):
        assert stored(mode)[0].status is WebhookStatus.DISABLED
    hook, delivery = stored("abort_message")
    assert (hook.status, delivery.status, delivery.attempt_number) == (WebhookStatus.ACTIVE, DeliveryStatus.FAILED, 1)
    pause = stored("rate_limit")[0].paused_until
    assert pause is not None
    assert timedelta(seconds=110) < pause - clock.now() <= timedelta(seconds=120)
    assert stored("error_500")[1].status is DeliveryStatus.SUCCESS
    assert [(each["attempt"], each["status"], each["times"]) for each in got(sandbox, "error_500")] == [
        ("2", 200, 2),
        ("1", 500, 1),
    ]


def test_another_secret_is_refused(send: Send, sandbox: Sandbox) -> None:
    tell(sandbox, "other", secret=new_secret())
    delivery = send("other")
    assert (delivery.status, delivery.response_status) == (DeliveryStatus.FAILED, 401)
    (entry,) = got(sandbox, "other")
    assert (entry["good"], entry["signature"], entry["body_hash"]) == (False, "wrong", "wrong")
