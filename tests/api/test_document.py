"""The OpenAPI document and its page: valid, complete, made from the providers' declarations."""

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from portal.api import document
from portal.api.declaring import OPERATIONS
from portal.providers import catalogue
from portal.providers.base import Field, FieldKind, Provider
from tests.api.conftest import DOCUMENT, Caller, make_token, smtp
from tests.support.people import Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)

CONTRACT = {
    "GET /api/admin/integrations", "POST /api/admin/integrations", "GET /api/admin/providers",
    "GET /api/admin/integrations/{integration_id}", "PATCH /api/admin/integrations/{integration_id}",
    "DELETE /api/admin/integrations/{integration_id}", "GET /api/admin/integrations/stats",
    "GET /api/admin/integrations/alerts", "POST /api/admin/integrations/test",
    "POST /api/admin/integrations/{integration_id}/test", "POST /api/admin/integrations/{integration_id}/health-check",
    "POST /api/admin/integrations/health-check-all", "GET /api/admin/integrations/{integration_id}/health-logs",
    "GET /api/admin/integrations/{integration_id}/metrics", "GET /api/admin/audit", "GET /api/admin/credential-access",
    "GET /api/admin/webhooks", "POST /api/admin/webhooks", "GET /api/admin/webhooks/{webhook_id}",
    "PATCH /api/admin/webhooks/{webhook_id}", "DELETE /api/admin/webhooks/{webhook_id}",
    "POST /api/admin/webhooks/{webhook_id}/secret/reveal", "POST /api/admin/webhooks/{webhook_id}/secret/rotate",
    "POST /api/admin/webhooks/{webhook_id}/test", "GET /api/admin/webhooks/{webhook_id}/deliveries",
    "POST /api/admin/webhooks/{webhook_id}/replay", "GET /api/admin/deliveries",
    "GET /api/admin/deliveries/{delivery_id}", "POST /api/admin/deliveries/{delivery_id}/replay",
    "GET /api/admin/retry-config", "PUT /api/admin/retry-config", "GET /api/admin/dlq",
    "POST /api/admin/dlq/{delivery_id}/retry", "DELETE /api/admin/dlq/{delivery_id}", "POST /api/admin/dlq/retry",
    "GET /api/admin/event-types", "POST /api/admin/event-types", "PATCH /api/admin/event-types/{name}",
    "DELETE /api/admin/event-types/{name}", "POST /api/v1/events", "POST /api/v1/events/batch",
}  # fmt: skip
"""Endpoints that other programs rely on."""


def is_valid(name: str, value: Any) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return Draft202012Validator(schema).is_valid(value)


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_endpoint_is_named_differently() -> None:
    names = [each.summary for each in OPERATIONS]
    assert sorted(set(names)) == sorted(names)


def test_every_endpoint_of_the_contract_is_described() -> None:
    found = {f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert found >= CONTRACT
    for each in OPERATIONS:
        found = DOCUMENT["paths"][each.url][each.method.lower()]
        ways = [way for option in found["security"] for way in option]
        assert found["summary"]
        assert ways == ["session"] * (each.sessions and not each.tokens) or ways[0] == "token"
        assert ("session" in ways) == each.url.startswith("/api/admin")


@SQLITE
def test_every_route_below_api_admin_stands_in_the_document(app: Flask) -> None:
    described = {f"api.{each.name}" for each in OPERATIONS}
    routed = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert routed == described | {"api.openapi", "api.docs"}


def test_credentials_come_from_the_providers_fields() -> None:
    fields = DOCUMENT["components"]["schemas"]["smtpCredentials"]["properties"]
    assert fields["password"]["writeOnly"] is True
    assert fields["port"]["type"] == ["integer", "null"]
    assert (fields["port"]["minimum"], fields["port"]["maximum"]) == (1, 65535)
    assert DOCUMENT["components"]["schemas"]["smtpCredentials"]["required"] == ["from_email"]
    assert is_valid("smtpChanges", {"port": 25})
    assert is_valid("smtpIntegration", {"provider": "smtp", "credentials": smtp()})
    assert not is_valid("smtpIntegration", {"provider": "smtp", "credentials": smtp(port="587")})
    assert not is_valid("smtpIntegration", {"provider": "smtp", "credentials": smtp(from_email=None)})
    assert not is_valid("smtpIntegration", {"provider": "sendgrid", "credentials": {}})
    assert not is_valid("smtpIntegration", {"provider": "smtp", "credentials": smtp(pasword="x")})


@SQLITE
def test_a_made_up_provider_is_in_the_api_and_its_document_at_once(
    app: Flask, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Field(name="api_key", label="API key", kind=FieldKind.SECRET, required=True, pattern="pg-[0-9]+")
    loud = Field(name="loud", label="Loud", kind=FieldKind.SWITCH)
    pigeon: Provider = replace(catalogue.get("smtp"), slug="pigeon", name="Pigeon", fields=(key, loud))
    everybody = (*catalogue.all(), pigeon)
    monkeypatch.setattr(catalogue, "all", lambda: everybody)
    monkeypatch.setattr(catalogue, "get", lambda slug: next(each for each in everybody if each.slug == slug))
    built = document.build()
    properties = built["components"]["schemas"]["pigeonCredentials"]["properties"]
    assert properties["api_key"]["pattern"] == "^(?:pg-[0-9]+)?$"
    assert {"$ref": "#/components/schemas/pigeonIntegration"} in built["paths"]["/api/admin/integrations"]["post"][
        "requestBody"
    ]["content"]["application/json"]["schema"]["oneOf"]
    body = {"provider": "pigeon", "credentials": {"api_key": "nonsense", "loud": "yes"}}
    assert set(api.refused("POST", "/integrations", body)) == {"credentials.loud"}
    assert set(api.refused("POST", "/integrations", {**body, "credentials": {"api_key": "x"}})) == {
        "credentials.api_key"
    }
    assert api.refused("POST", "/integrations/test", {"provider": "pigeon", "credentials": {"host": "x"}}) == {
        "credentials.host": "There is no such field."
    }


@SQLITE
def test_the_document_is_served_as_it_is_built(app: Flask, admin: Browser) -> None:
    answer = admin.get("/api/openapi.json")
    assert answer.mimetype == "application/json"
    assert json.loads(answer.text) == json.loads(json.dumps(DOCUMENT))


@SQLITE
def test_the_page_shows_every_endpoint_with_a_curl_command(app: Flask, admin: Browser) -> None:
    answer = admin.get("/api/docs")
    text = words(answer)
    for each in OPERATIONS:
        assert f"{each.method} {each.url}" in text
        assert f'id="{each.name.replace("_", "-")}"' in answer.text
    ids = re.findall(r' id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    assert not [each for each in ids if " " in each]
    assert {link.partition("#")[2] for link in re.findall(r'href="(#[^"]+)"', answer.text)} <= set(ids)
    assert 'curl -X DELETE "http://localhost/api/admin/integrations/{integration_id}"' in html.unescape(answer.text)
    assert "style=" not in answer.text, "nothing that the content policy would refuse"


@SQLITE
def test_examples_of_bodies_are_what_the_api_takes(app: Flask, team: Team, mail: object) -> None:
    call = Caller(app, token=make_token(app, team.admin, scopes=["admin", "events:write"]), root="")
    for each in OPERATIONS:
        if each.body and not each.path_names:
            assert call(each.method, each.url, dict(each.body.example)).status_code < 300, each.name
