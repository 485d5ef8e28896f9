"""No secret leaves by any endpoint or error, nor into the log."""

import logging
from typing import Any

import pytest
from flask import Flask

from portal.api.declaring import OPERATIONS
from tests.api.conftest import Caller, make_token, smtp, wanted
from tests.api.test_who import path_of
from tests.support.integrations import CANARY, Mail, make_integration, refused
from tests.support.people import Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
TYPED = "tYpEd-5e2c/pässword 1b88f0"
"""A password that is sent and refused, or never stored."""

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
]


def test_secrets_stay_inside(app: Flask, team: Team, api: Caller, mail: Mail, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = make_token(app, team.admin)
    call = Caller(app, token=token)
    seen: list[str] = []
    mail.report = refused(said=f"rejected {CANARY[:3]}")
    relay = make_integration(app, team.admin)
    for operation in sorted(OPERATIONS, key=lambda each: each.method == "DELETE"):
        for body in SENT if operation.body else [None]:
            answer = call(operation.method, path_of(operation, relay), body)
            seen.append(answer.text + str(answer.headers))
    seen.append(call("POST", "/integrations", data=f'{{"password": "{TYPED}"', content_type="application/json").text)
    seen.append(call("POST", f"/{TYPED}").text)
    leaks = [secret for secret in (CANARY, TYPED, token) for text in [*seen, caplog.text] if secret in text]
    assert leaks == []
    assert any(f"••••{CANARY[-4:]}" in text for text in seen), "masks were among the answers"


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
