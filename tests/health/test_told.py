"""What the portal tells others of its integrations: each outage once, its end once, with the change or not at all."""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal import clock
from portal.database import unit_of_work
from portal.health import checks, recording
from portal.integrations import announcing, drafts, service
from portal.integrations.models import Condition, Integration, Status
from portal.providers import catalogue
from portal.providers.base import Outcome, Report
from portal.webhooks import events as accepting
from portal.webhooks.event_catalogue import BY_NAME
from portal.webhooks.models import Event
from tests.support.integrations import CONFIG, Mail, load, logs, make_integration, passed, refused, unverified
from tests.support.people import Team
from tests.support.webhooks import make_webhook, stored_deliveries, stored_events

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
ERROR, REAUTH, RECOVERED = "integration.error", "integration.reauth_required", "integration.recovered"


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def check(app: Flask, mail: Mail, integration: uuid.UUID, *reports: Report) -> None:
    """Let checks find these, one after the other."""
    for report in reports:
        mail.report = report
        with app.app_context():
            with unit_of_work() as session:
                session.get_one(Integration, integration).next_check_at = clock.now()
            [claim] = checks.claim_due(1)
            checks.run(claim)


def change(app: Flask, integration: uuid.UUID, do: Callable[..., Any], **more: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        do(integration=session.get_one(Integration, integration), **more)


def save(app: Flask, integration: uuid.UUID, *, verified: bool) -> None:
    """Save new values over it, as the drawer does."""
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Integration, integration)
        raw = {**{name: str(value) for name, value in CONFIG.items()}, "host": "mail2.example.com"}
        submission = drafts.Submission(
            name=row.name, raw=raw, verbs={"password": "keep"}, limits={}, sandbox=False, person=True
        )
        draft = drafts.check(catalogue.get("smtp"), submission, row)
        service.update(integration=row, draft=draft, verified=verified)


def told(app: Flask) -> list[str]:
    return [each.event_type for each in stored_events(app)]


def data_of(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.body)["data"]
    return found


def shape(value: object) -> object:
    """Return what a value is made of: names, and kinds of values."""
    return {name: shape(each) for name, each in value.items()} if isinstance(value, dict) else type(value)


def test_an_outage_is_told_once_and_its_end_once(
    app: Flask, team: Team, mail: Mail, time: time_machine.Traveller
) -> None:
    make_webhook(app, team.admin)
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused())
    assert told(app) == [], "one failure only asks for a second look"
    time.shift(timedelta(seconds=30))
    check(app, mail, integration, refused(), refused(Outcome.TIMEOUT), refused(), refused(Outcome.RATE_LIMITED))
    assert told(app) == [ERROR, REAUTH], "told once, whatever the checks find after"
    time.shift(timedelta(seconds=510))
    check(app, mail, integration, passed(), passed())
    error, reauth, recovered = stored_events(app)
    about = {"id": str(integration), "name": "Email relay", "provider": "smtp", "type": "email"}
    words = {
        "class": "auth_rejected", "title": "login failed", "message": "The server refused the login.",
        "hint": "Check user name and password.", "code": "535 5.7.8",
    }  # fmt: skip
    since = "2025-11-21T09:00:00.000Z"
    assert data_of(error) == {"integration": about, "sandbox": False, "error": words, "since": since}
    assert data_of(reauth) == data_of(error)
    assert data_of(recovered) == {"integration": about, "sandbox": False, "since": since, "down_for_seconds": 540}
    assert {each.source for each in (error, reauth, recovered)} == {"portal"}
    assert [each.event_type for each in stored_deliveries(app)] == [ERROR, REAUTH, RECOVERED]
    check(app, mail, integration, refused(), refused())
    assert told(app)[3:] == [ERROR, REAUTH], "the next outage is another one"


@SQLITE
def test_what_is_told_looks_like_the_samples(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused(), refused(), passed())
    for each in stored_events(app):
        assert shape(data_of(each)) == shape(dict(BY_NAME[each.event_type].sample)), each.event_type


@SQLITE
def test_one_that_never_worked_has_no_outage(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, **unverified())
    check(app, mail, integration, refused(), refused(), refused(), passed())
    assert load(app, integration).status == Status.ACTIVE
    assert told(app) == []


@SQLITE
def test_new_values_that_pass_a_test_end_an_outage(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused(Outcome.TIMEOUT), refused(Outcome.TIMEOUT))
    save(app, integration, verified=True)
    assert told(app) == [ERROR, RECOVERED]
    check(app, mail, integration, passed())
    assert told(app) == [ERROR, RECOVERED]


@SQLITE
def test_an_outage_goes_on_while_new_values_are_unverified(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused(Outcome.TIMEOUT), refused(Outcome.TIMEOUT))
    save(app, integration, verified=False)
    assert load(app, integration).condition == Condition.UNVERIFIED
    check(app, mail, integration, refused(), refused())
    assert told(app) == [ERROR]
    check(app, mail, integration, passed())
    assert told(app) == [ERROR, RECOVERED], "who was told of the outage is told of its end"


@SQLITE
def test_a_switch_in_the_middle_of_an_outage_tells_nothing(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused(Outcome.TIMEOUT), refused(Outcome.TIMEOUT))
    change(app, integration, service.set_enabled, enabled=False)
    change(app, integration, service.set_enabled, enabled=True)
    check(app, mail, integration, refused(Outcome.TIMEOUT))
    assert told(app) == [ERROR]
    change(app, integration, service.set_enabled, enabled=False)
    save(app, integration, verified=True)
    assert told(app) == [ERROR], "it is off"
    change(app, integration, service.set_enabled, enabled=True)
    assert told(app) == [ERROR, RECOVERED]


@SQLITE
def test_sandboxed_ones_are_told_and_say_so(app: Flask, team: Team, mail: Mail) -> None:
    integration = make_integration(app, team.admin, status=Status.ERROR, sandbox=True, outage_since=START)
    change(app, integration, lambda integration: service._verdict(integration, verified=True, now=clock.now()))
    [event] = stored_events(app)
    assert data_of(event)["sandbox"] is True


def test_the_change_and_what_is_told_of_it_are_one(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused())

    def fail(integration: Integration) -> None:
        announcing.announce(integration)
        raise RuntimeError("the portal fails in the middle")

    monkeypatch.setattr(recording, "announce", fail)
    with pytest.raises(RuntimeError):
        check(app, mail, integration, refused())
    assert (told(app), load(app, integration).outage_since) == ([], None)


def test_an_event_that_cannot_be_accepted_stands_in_nobodys_way(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "LARGEST", 20)
    integration = make_integration(app, team.admin)
    with caplog.at_level(logging.ERROR, logger="portal.webhooks"):
        check(app, mail, integration, refused(Outcome.TIMEOUT), refused(Outcome.TIMEOUT))
    assert load(app, integration).status == Status.ERROR
    assert len(logs(app)) == 2
    assert told(app) == []
    assert "integration.error could not be sent as an event" in caplog.text


@SQLITE
def test_texts_of_others_are_cut_and_hold_no_secret(app: Flask, team: Team, mail: Mail) -> None:
    key = "SG." + "a" * 22 + "." + "b" * 43
    integration = make_integration(app, team.admin, name="Relay \u202e\x07 <b>")
    report = refused(title=f"refused {key} " + "é" * 5000)
    check(app, mail, integration, report, report)
    error = data_of(stored_events(app)[0])
    assert error["integration"]["name"] == "Relay  <b>"
    assert error["error"]["title"].startswith("refused [redacted] é")
    assert key not in str(error)
    assert len(error["error"]["title"]) <= 100


@SQLITE
def test_a_check_that_changes_nothing_asks_nothing_of_webhooks(
    app: Flask, team: Team, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = make_integration(app, team.admin)
    check(app, mail, integration, refused(), refused())
    asked: list[str] = []
    accept = accepting.accept

    def noted(**wanted: Any) -> Any:
        asked.append("accept")
        return accept(**wanted)

    monkeypatch.setattr(accepting, "accept", noted)
    check(app, mail, integration, refused(), refused(Outcome.TIMEOUT))
    assert asked == []
    check(app, mail, integration, passed())
    assert asked == ["accept"]
