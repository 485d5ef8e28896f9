"""Create or overwrite, on both databases: by provider, by name, and by many at the same time."""

import threading
import uuid
from typing import Any

from flask import Flask

from tests.api.conftest import Caller, Reply, make_token, smtp, wanted
from tests.support.integrations import all_integrations, make_integration, stored_secrets, trail
from tests.support.people import Team, make_team

CALLERS = 6


def at_once(app: Flask, token: str, bodies: list[dict[str, Any]]) -> list[Reply]:
    """Send all bodies at the same moment, each from a thread of its own; the answers come as they arrived."""
    start, answers = threading.Barrier(len(bodies)), list[Reply]()

    def send(body: dict[str, Any]) -> None:
        api = Caller(app, token=token)
        start.wait(10)
        answers.append(api("POST", "/integrations", body))

    threads = [threading.Thread(target=send, args=(each,)) for each in bodies]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    return answers


def test_concurrent_calls_for_one_provider_end_in_one_row(app: Flask, team: Team) -> None:
    bodies = [wanted(credentials=smtp(host=f"mail{number}.example.com")) for number in range(CALLERS)]
    answers = at_once(app, make_token(app, team.admin), bodies)
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [201]
    (row,) = all_integrations(app)
    assert {each.json["id"] for each in answers} == {str(row.id)}
    assert len(trail(app, "integration.created")) == 1
    assert len(trail(app, "integration.changed")) == CALLERS - 1


def test_concurrent_calls_for_one_name_end_in_one_row(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, "First")
    bodies = [wanted(name=name) for name in ("Second", "SECOND", " second ", "Second")]
    answers = at_once(app, make_token(app, team.admin), bodies)
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 201]
    assert len(all_integrations(app)) == 2


def test_the_name_decides_where_there_are_several(app: Flask, team: Team, api: Caller) -> None:
    first = make_integration(app, team.admin, "First")
    assert api("POST", "/integrations", wanted(name="Second")).status_code == 201, "another name adds one"
    second = next(each.id for each in all_integrations(app) if each.id != first)

    answer = api("POST", "/integrations", wanted(credentials=smtp(password="new and different")))
    assert (answer.status_code, answer.json["title"]) == (409, "Several integrations of this provider")
    assert answer.json["integrations"] == [
        {"id": str(first), "name": "First"}, {"id": str(second), "name": "Second"},
    ]  # fmt: skip

    sent = wanted(name="second", credentials=smtp(password="new and different"))
    answer = api("POST", "/integrations", sent)
    assert (answer.status_code, answer.json["id"], answer.json["name"]) == (200, str(second), "Second")
    assert stored_secrets(app, second)["password"] == "new and different"
    assert stored_secrets(app, first)["password"] != "new and different"


def test_a_deleted_integration_is_not_overwritten(app: Flask, team: Team, api: Caller) -> None:
    gone = make_integration(app, team.admin)
    api("DELETE", f"/integrations/{gone}")
    answer = api("POST", "/integrations", wanted())
    assert answer.status_code == 201
    assert uuid.UUID(answer.json["id"]) != gone


def test_another_organizations_integration_is_not_overwritten(app: Flask, team: Team, api: Caller) -> None:
    theirs = make_integration(app, make_team(app, "Southgate").admin)
    assert api("POST", "/integrations", wanted()).status_code == 201
    assert stored_secrets(app, theirs)["password"] != smtp()["password"]


def test_the_same_values_again_change_nothing(app: Flask, team: Team, api: Caller) -> None:
    relay = make_integration(app, team.admin)
    sent = wanted(credentials=smtp(password=...))
    assert api("POST", "/integrations", sent).json["condition"] is None, "it was verified, and still is"
    assert api("POST", "/integrations", sent).json["id"] == str(relay)
    assert [each.action for each in trail(app) if each.target_type == "integration"] == []
