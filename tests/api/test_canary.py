"""No secret leaves by any endpoint or error, nor into the log."""

import logging
import uuid
from typing import Any

import pytest
from flask import Flask

from portal.api.declaring import OPERATIONS
from portal.database import unit_of_work
from portal.webhooks import service
from tests.api.conftest import Caller, make_token, smtp, wanted
from tests.api.things import NOBODY_LISTENS, in_order, make_things
from tests.support.integrations import CANARY, Mail, refused
from tests.support.people import Team
from tests.support.webhooks import make_webhook

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
TYPED = "tYpEd-5e2c/pässword 1b88f0"
"""A password that is sent and refused, or never stored."""

HEADER = "hEaDeR-77c1e0b2"
SENT: list[dict[str, Any]] = [
    wanted(credentials=smtp(password=TYPED), name="Second"),
    wanted(credentials=smtp(password=TYPED, port="x")),
    wanted(credentials=smtp(password=[TYPED])),
    wanted(credentials=smtp(password={"value": TYPED})),
    wanted(credentials=smtp(host=TYPED)),
    wanted(credentials=TYPED),
    wanted(provider=TYPED),
    wanted(enabled=TYPED),
    wanted(password=TYPED),
    wanted(credentials=smtp(password=TYPED, security=TYPED)),
    {"provider": "smtp", "credentials": smtp(password=TYPED)},
    {"credentials": {"password": TYPED, "port": 0}},
    {"credentials": {"password": TYPED}},
    {"custom_headers": {"X-Api-Key": TYPED}, "surplus": 1},
    {"custom_headers": {"X-Other": TYPED}},
    {"event_type": "job.created", "data": {}},
]


def test_secrets_stay_inside(app: Flask, team: Team, api: Caller, mail: Mail, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = make_token(app, team.admin)
    call = Caller(app, token=token)
    seen: list[str] = []
    mail.report = refused(said=f"rejected {CANARY[:3]}")
    things = make_things(app, team.admin)
    webhook, secret = private_webhook(app, team)
    things.webhook = webhook
    call.root = ""
    for operation in in_order(OPERATIONS):
        if operation.name == "rotate_webhook_secret":
            continue  # it shows the new one, and nothing else
        for body in SENT if operation.body else [None]:
            answer = call(operation.method, things.address(operation), body)
            seen.append(answer.text + str(answer.headers))
    call.root = "/api/admin"
    seen.append(call("POST", "/integrations", data=f'{{"password": "{TYPED}"', content_type="application/json").text)
    seen.append(call("POST", f"/{TYPED}").text)
    leaks = [each for each in (CANARY, TYPED, token, secret, HEADER) for text in [*seen, caplog.text] if each in text]
    assert leaks == []
    assert any(f"••••{CANARY[-4:]}" in text for text in seen), "masks were among the answers"


def private_webhook(app: Flask, team: Team) -> tuple[uuid.UUID, str]:
    """Make a webhook with a secret header; return it with its signing secret."""
    made = make_webhook(app, team.admin, url=NOBODY_LISTENS, custom_headers={"X-Api-Key": HEADER})
    with app.app_context(), unit_of_work():
        return made, service.reveal(webhook=service.get(organization_id=team.organization_id, webhook_id=made))


def test_an_error_inside_the_portal_says_nothing_but_its_id(
    app: Flask, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError(TYPED)

    monkeypatch.setattr("portal.integrations.upsert.put", broken)
    monkeypatch.setitem(app.config, "TESTING", False)
    response = api.client.post(
        "/api/admin/integrations", json=wanted(credentials=smtp(password=TYPED)), headers=api.headers
    )
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert TYPED not in response.text
    assert response.get_json()["request_id"]
