"""Teams cannot be checked without posting: what becomes of a message says whether its workflow is there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.database import reading
from portal.health import checks
from portal.health.models import HealthLog
from portal.integrations.models import CheckKind, Integration
from portal.messaging import Channel
from portal.providers.base import Outcome, Report
from portal.providers.teams import TEAMS
from tests.alerts.kit import look, only
from tests.messaging.kit import NOW, SENT, Post, ended
from tests.support.integrations import load

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
DEAD = ended(Outcome.AUTH_REJECTED, "not_found")


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def check(app: Flask, row: Integration, kind: CheckKind) -> None:
    with app.app_context():
        claim = checks.claim_one(row.id, kind=kind, asked_by="")
        assert claim is not None
        checks.run(claim)


def test_a_dead_workflow_is_an_outage_until_a_message_is_taken(
    app: Flask, post: Post, time: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [DEAD, DEAD, SENT, SENT, DEAD]
    monkeypatch.setattr(type(TEAMS), "send_chat", lambda *_: answers.pop(0))
    passes = Report(steps=(), outcome=Outcome.OK, error=None, response_time_ms=3)
    monkeypatch.setattr(type(TEAMS), "probe", lambda *_: passes)
    teams = post.carrier("Ops", provider="teams", type="chat", capabilities=["chat"], config={})

    def row() -> Integration:
        return load(app, teams)

    first, _second = (post.put(channel=Channel.CHAT, pinned=teams) for _ in range(2))
    post.work()
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(HealthLog)) == 1, "many at once are one outage"
    assert (row().status, row().condition, row().error_message) == ("error", "reauth", "It said login refused.")
    look(app)
    assert (only(app).integration_id, only(app).resolved_at) == (teams, None)

    check(app, row(), CheckKind.SCHEDULED)
    assert (row().status, row().error_class, row().last_sync_ok) == ("error", "auth_rejected", False)
    assert row().last_health_check_status == "success", "the connection is fine"

    time.shift(timedelta(seconds=30))
    post.work()
    assert (post.message(first).status, row().status, row().error_class) == ("sent", "active", None)
    look(app)
    assert only(app).resolution == "recovered"

    post.put(channel=Channel.CHAT, pinned=teams)
    post.work()
    assert row().status == "error"
    check(app, row(), CheckKind.MANUAL)
    assert row().status == "active", "who asks for a check says that it is mended; the next message tells"


def test_where_checks_prove_something_they_decide(app: Flask, post: Post) -> None:
    carrier = post.carrier("a")
    post.answers["a"] = DEAD
    post.put()
    post.work()
    assert (load(app, carrier).status, load(app, carrier).next_check_at) == ("active", NOW)
