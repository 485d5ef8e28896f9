"""Whatever is sent to an endpoint of the document, right or nearly right, it answers as described and never fails."""

import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.conftest import DOCUMENT, Caller, make_token
from tests.api.generating import TEXTS, nearly
from tests.api.things import make_things
from tests.support.integrations import Mail
from tests.support.people import Team

EXAMPLES = 40
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ENDPOINTS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def values_of(operation: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return parameters and bodies for an endpoint; each is there or not."""
    query = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
    parameters = {name: nearly(schema, DOCUMENT) for name, schema in query.items()}
    parts = {
        "query": st.fixed_dictionaries({}, optional={**parameters, "surplus": TEXTS}) if query else st.just({}),
        "exists": st.sampled_from([True, True, True, False]),
    }
    if "requestBody" in operation:
        parts["body"] = nearly(operation["requestBody"]["content"]["application/json"]["schema"], DOCUMENT)
    return st.fixed_dictionaries(parts)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_it_answers_as_described(app: Flask, team: Team, mail: Mail, name: str) -> None:
    method, path, operation = ENDPOINTS[name]
    names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
    things = make_things(app, team.admin)
    api = Caller(app, token=make_token(app, team.admin, scopes=["admin", "events:write"]), root="")

    @SETTINGS
    @given(values_of(operation))
    def call(sent: dict[str, Any]) -> None:
        if method == "DELETE":
            things.renew()
        ids = things.ids(names) if sent["exists"] else {each: uuid.uuid4() for each in names}
        address = path.format(**ids)
        query = urlencode({name: _plain(value) for name, value in sent["query"].items()})
        answer = api(method, f"{address}?{query}" if query else address, sent.get("body"))
        assert answer.status_code < 500

    call()


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
