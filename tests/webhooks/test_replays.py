"""Sending again to one webhook: runs that outlive the process, events that it did not get, one event by hand."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from portal import clock
from portal.database import db, new_id, on_wake, reading, unit_of_work
from portal.webhooks import events, replay_queries, replays, run_job, runs, service
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.errors import InvalidError, NotFoundError
from portal.webhooks.models import Delivery, DeliveryStatus, Event, ReplayRun, WebhookStatus
from portal.webhooks.replay_queries import Range, Wanted
from tests.support.integrations import trail
from tests.support.people import Browser, Team, make_team, words
from tests.support.webhooks import (
    dead,
    make_delivery,
    make_webhook,
    send,
    stored_deliveries,
    stored_events,
    stored_webhook,
)

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def start(app: Flask, team: Team, webhook_id: uuid.UUID, wanted: Wanted = Wanted.FAILED, **more: Any) -> ReplayRun:
    """Ask for what came about since yesterday."""
    with app.app_context():
        values = {"since": clock.now() - timedelta(days=1), **more}
        values["since"] = values["since"].replace(second=0, microsecond=0)
        return replays.start(
            organization_id=team.organization_id, webhook_id=webhook_id, asked_by="Dana",
            wanted=Range(wanted=wanted, **values),
        )  # fmt: skip


def work(app: Flask, batches: int = 100) -> int:
    with app.app_context():
        return run_job.work_off(batches)


def run_of(app: Flask) -> ReplayRun:
    """Return the newest run."""
    with app.app_context(), reading() as session:
        return session.scalars(select(ReplayRun).order_by(ReplayRun.id.desc())).all()[0]


def got(app: Flask, webhook_id: uuid.UUID) -> list[str]:
    """Return the ids of the events that a webhook has deliveries of, in the order in which they are sent."""
    with app.app_context(), reading() as session:
        query = select(Event.event_id).join(Delivery, Delivery.event_row_id == Event.id)
        return list(session.scalars(query.where(Delivery.webhook_id == webhook_id).order_by(Delivery.id)))


def set_active(app: Flask, team: Team, webhook_id: uuid.UUID, active: bool) -> None:
    with app.app_context(), unit_of_work():
        found = service.get(organization_id=team.organization_id, webhook_id=webhook_id)
        service.set_active(webhook=found, active=active)


def test_a_run_that_is_killed_between_and_within_batches_sends_each_once(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    sent = [send(app, team.admin) for _ in range(5)]
    late = make_webhook(app, team.admin)
    assert start(app, team, late, Wanted.MISSING).total == 5
    assert work(app, 1) == 2
    assert got(app, late) == sent[:2], "the oldest first"
    go_on = runs._go_on

    def dies(*args: Any) -> int:
        go_on(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "_go_on", dies)
    with pytest.raises(KeyboardInterrupt):
        work(app)
    assert got(app, late) == sent[:2], "a batch is done as a whole or not at all"
    monkeypatch.setattr(runs, "_go_on", go_on)
    assert work(app) == 3
    assert got(app, late) == sent
    run = run_of(app)
    assert (run.done, run.total, run.state) == (5, 5, "finished")
    assert work(app) == 0
    [begun], [ended] = trail(app, "webhook.earlier_events_started"), trail(app, "webhook.earlier_events_finished")
    assert begun.after
    assert (begun.after["webhook"], begun.after["deliveries"], begun.after["status"]) == ("Payroll", 5, "missing")
    assert ended.after == {"webhook": "Payroll", "sent": 5, "of": 5}


def test_a_batch_that_another_process_did_meanwhile_is_left_to_it(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [send(app, team.admin) for _ in range(3)]
    late = make_webhook(app, team.admin)
    start(app, team, late, Wanted.MISSING)
    monkeypatch.setattr(runs, "BATCH", 1)
    find, others = replay_queries.missing, [1]

    def slow(*args: Any) -> runs.Found:
        found = find(*args)
        while others:
            others.pop()
            db.session.remove()
            run_job.work_off(1)
        return found

    works: Mapping[Any, Any] = {
        action: runs.Work(**{**vars(each), "find": slow}) if each.find is find else each
        for action, each in run_job.WORKS.items()
    }
    with app.app_context():
        assert runs.work_off(works, 1) == 0
    monkeypatch.undo()
    assert got(app, late) == sent[:1]
    work(app)
    assert got(app, late) == sent


def test_missing_is_what_it_wants_now_and_has_no_delivery_of(app: Flask, team: Team) -> None:
    """Added later, was off, changed since: whatever the reason was when the event came."""
    early = make_webhook(app, team.admin, "Early", events=["job.closed"])
    before = send(app, team.admin, data={"state": "NSW"})
    send(app, team.admin, data={"state": "VIC"})
    delivered = send(app, team.admin, "job.closed", {"state": "NSW"})
    set_active(app, team, early, False)
    while_off = send(app, team.admin, "job.closed", {"state": "NSW"})
    set_active(app, team, early, True)
    send(app, team.admin, "candidate.created", {"state": "NSW"})
    gone, test, old = (send(app, team.admin, data={"state": "NSW"}) for _ in range(3))
    other = make_team(app, "Southgate")
    send(app, other.admin, data={"state": "NSW"})
    with app.app_context(), unit_of_work() as session:
        found = service.get(organization_id=team.organization_id, webhook_id=early)
        found.events, found.filters = ["job.closed", "job.created"], {"state": "NSW"}
        session.execute(update(Event).where(Event.event_id == gone).values(body=b""))
        session.execute(update(Event).where(Event.event_id == test).values(source="test"))
        past = clock.now() - timedelta(days=2)
        session.execute(update(Event).where(Event.event_id == old).values(accepted_at=past))
    assert start(app, team, early, Wanted.MISSING, types=("job.closed",)).total == 1
    assert start(app, team, early, Wanted.MISSING).total == 2
    woken: list[bool] = []
    off = on_wake(events.WAKE, lambda: woken.append(True))
    assert work(app) == 2
    off()
    assert got(app, early) == [delivered, while_off, before], "what both runs cover is sent once, by the first"
    assert woken
    now = clock.now()
    for each in stored_deliveries(app)[-2:]:
        assert (each.status, each.attempt_number, each.lease_token) == ("pending", 0, None)
        assert each.due_at
        assert each.due_at <= now
        assert now - each.created_at < timedelta(minutes=1)


def test_looks_are_bounded_and_what_is_more_is_counted_before_it_is_sent(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LOOK", 2), ("BODIES", 1)):
        monkeypatch.setattr(replay_queries, name, value)
    for name, value in (("FIRST_LOOKS", 1), ("COUNTED", 2)):
        monkeypatch.setattr(runs, name, value)
    sent = [send(app, team.admin, data={"number": number % 2}) for number in range(7)]
    every, odd = make_webhook(app, team.admin, "Every"), make_webhook(app, team.admin, "Odd", filters={"number": 1})
    for made, expected in ((every, sent), (odd, sent[1::2])):
        run = start(app, team, made, Wanted.MISSING)
        assert (run.state, run.total < len(expected)) == ("counting", True)
        assert work(app, 1) == 0
        assert got(app, made) == [], "nothing is sent before all are counted"
        assert work(app) == len(expected)
        assert got(app, made) == expected
        run = run_of(app)
        assert (run.done, run.total, run.state) == (len(expected), len(expected), "finished")
    with app.app_context(), unit_of_work() as session:
        ends = (DeliveryStatus.FAILED, DeliveryStatus.DEAD, DeliveryStatus.SUCCESS)
        for number, each in enumerate(session.scalars(select(Delivery).where(Delivery.webhook_id == every))):
            each.status, each.due_at = ends[number % 3], None
    start(app, team, every)
    assert work(app) == 5
    assert [str(each.status) for each in stored_deliveries(app) if each.webhook_id == every].count("pending") == 5


def test_what_was_sent_again_meanwhile_is_left_alone_and_said(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    first, second, purged = (make_delivery(app, team.admin, made, **dead()) for _ in range(3))
    with app.app_context(), unit_of_work() as session:
        session.execute(
            update(Event).where(Event.id == session.get_one(Delivery, purged).event_row_id).values(body=b"")
        )
    assert start(app, team, made).total == 2
    token = new_id()
    lease = {"status": DeliveryStatus.PENDING, "lease_token": token, "due_at": clock.now() + timedelta(seconds=45)}
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).where(Delivery.id == first).values(**lease))
    assert work(app) == 1
    under_way, sent, old = stored_deliveries(app)
    assert old.status is DeliveryStatus.DEAD, "its body is gone: there is nothing to send"
    assert (under_way.id, under_way.lease_token, under_way.due_at) == (first, token, lease["due_at"])
    assert (sent.id, sent.status) == (second, DeliveryStatus.PENDING)
    page = words(admin.get(f"/admin/webhooks/{made}/deliveries"))
    assert "Replayed 1 of 2 failed deliveries 1 was sent again or under way already. Asked for by Dana" in page
    assert "Asked for by Dana" not in words(admin.get("/admin/dead-letters")), "these have runs of their own"


@pytest.mark.parametrize("what", ["disabled", "deleted"])
@pytest.mark.parametrize("wanted", [Wanted.FAILED, Wanted.MISSING])
def test_a_run_stops_with_its_webhook(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch, what: str, wanted: Wanted
) -> None:
    monkeypatch.setattr(runs, "BATCH", 1)
    send(app, team.admin)
    send(app, team.admin)
    made = make_webhook(app, team.admin)
    for _ in range(2):
        make_delivery(app, team.admin, made, **dead())
    assert start(app, team, made, wanted).total == 2
    assert work(app, 1) == 1
    if what == "disabled":
        set_active(app, team, made, False)
    else:
        with app.app_context(), unit_of_work():
            service.delete(webhook=service.get(organization_id=team.organization_id, webhook_id=made))
    before = [(each.id, each.status) for each in stored_deliveries(app)]
    assert work(app) == 0
    assert [(each.id, each.status) for each in stored_deliveries(app)] == before
    run = run_of(app)
    assert (run.state, run.stopped, run.done, run.total) == ("stopped", what, 1, 2)
    [ended] = [each for each in trail(app) if each.action.endswith("_finished")]
    assert ended.after
    assert ended.after["stopped"] == f"The webhook was {what}."


def test_what_cannot_start_says_why(app: Flask, team: Team) -> None:
    made = make_webhook(app, team.admin)
    make_delivery(app, team.admin, made, **dead())
    now = clock.now()
    with pytest.raises(InvalidError):
        start(app, team, made, since=now, until=now - timedelta(days=1))
    with pytest.raises(NotFoundError):
        start(app, make_team(app, "Southgate"), made)
    set_active(app, team, made, False)
    with pytest.raises(NotNowError, match="Payroll is disabled"):
        start(app, team, made)
    assert work(app) == 0


def send_one(app: Flask, team: Team, event_row_id: uuid.UUID, webhook_id: uuid.UUID) -> Delivery:
    with app.app_context(), unit_of_work():
        return replays.send_event(
            organization_id=team.organization_id, event_row_id=event_row_id, webhook_id=webhook_id
        )


def test_one_event_is_sent_to_a_webhook_that_did_not_get_it(app: Flask, team: Team) -> None:
    event_id = send(app, team.admin)
    [row] = stored_events(app)
    made = make_webhook(app, team.admin, events=["job.closed"])
    delivery = send_one(app, team, row.id, made)
    assert (delivery.webhook_id, delivery.status, delivery.attempt_number) == (made, "pending", 0)
    [entry] = trail(app, "webhook.event_sent")
    assert (entry.target_id, entry.after) == (str(delivery.id), {"event_id": event_id})
    with pytest.raises(NotNowError, match="on its way to Payroll"):
        send_one(app, team, row.id, made)
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).values(status=DeliveryStatus.SUCCESS, due_at=None))
    with pytest.raises(NotNowError, match="Replay that one"):
        send_one(app, team, row.id, made)
    other = make_team(app, "Southgate")
    theirs = make_webhook(app, other.admin)
    for organization, webhook_id in ((other, made), (other, theirs), (team, theirs), (team, uuid.uuid4())):
        with pytest.raises(NotFoundError):
            send_one(app, organization, row.id, webhook_id)
    assert len(stored_deliveries(app)) == 1


@SQLITE
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("disabled", "Payroll is disabled."),
        ("deleted", "Payroll was deleted."),
        ("purged", "not kept any more"),
        ("test", "This event was a test."),
    ],
)
def test_one_event_that_cannot_be_sent_says_why(app: Flask, team: Team, change: str, said: str) -> None:
    send(app, team.admin)
    [row] = stored_events(app)
    made = make_webhook(app, team.admin)
    with app.app_context(), unit_of_work() as session:
        found = service.get(organization_id=team.organization_id, webhook_id=made)
        if change == "deleted":
            service.delete(webhook=found)
        elif change == "disabled":
            service.set_active(webhook=found, active=False)
        else:
            values: dict[str, Any] = {"body": b""} if change == "purged" else {"source": "test"}
            session.execute(update(Event).values(**values))
    with pytest.raises(NotNowError, match=said):
        send_one(app, team, row.id, made)
    assert stored_deliveries(app) == []


def plan(app: Flask, do: Callable[[], object]) -> str:
    """Return how SQLite runs the statements of this."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        statements.append((statement, parameters))

    with app.app_context(), reading() as session:
        event.listen(db.engine, "before_cursor_execute", note)
        do()
        event.remove(db.engine, "before_cursor_execute", note)
        explain = session.connection().exec_driver_sql
        plans = [explain(f"EXPLAIN QUERY PLAN {text}", parameters) for text, parameters in statements]
        return "\n".join(str(row[-1]) for found in plans for row in found)


@SQLITE
def test_growing_queries_use_their_index(app: Flask, team: Team) -> None:
    send(app, team.admin)
    made = make_webhook(app, team.admin)
    after = new_id()

    def look(wanted: Wanted) -> str:
        values = {"organization_id": team.organization_id, "webhook_id": made}
        filters = Range(since=clock.now() - timedelta(days=30), wanted=wanted).as_dict()
        run = ReplayRun(**values, filters=filters, cutoff=clock.now())
        find = replay_queries.missing if wanted is Wanted.MISSING else replay_queries.over
        return plan(app, lambda: [find(run, None, 10), find(run, after, 10)])

    cases = {
        Wanted.FAILED: ("ix_deliveries_by_status",),
        Wanted.DEAD: ("ix_deliveries_by_status",),
        Wanted.SUCCESS: ("ix_deliveries_of_webhook",),
        Wanted.MISSING: ("ix_events_of_organization", "ix_deliveries_of_event"),
    }
    for wanted, indexes in cases.items():
        found = look(wanted)
        assert all(each in found for each in indexes), (wanted, found)
        assert "TEMP B-TREE" not in found, (wanted, found)
    runs_of = plan(app, lambda: runs.shown(organization_id=team.organization_id, webhook_id=made))
    assert "ix_replay_runs_newest (organization_id=? AND webhook_id=?)" in runs_of
    assert "TEMP B-TREE" not in runs_of


# ---- Pages


def fields(text: str) -> dict[str, str]:
    """Return the fields of the form that starts a run."""
    form = re.search(
        r'<form method="post" action="[^"]*/replay".*?</form>', text.partition('id="replay"')[2], re.DOTALL
    )
    assert form
    return dict(re.findall(r'name="(what|since|until|type)" value="([^"]*)"', form[0]))


@SQLITE
def test_earlier_events_are_counted_then_sent_with_progress(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    for _ in range(3):
        send(app, team.admin)
    made = make_webhook(app, team.admin)
    here = f"/admin/webhooks/{made}/replay"
    assert "Nothing is sent before you say so." in words(admin.get(f"/admin/webhooks/{made}"))
    since = (clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    answer = admin.get(f"{here}?what=missing&since={since}&until=&type=", target="replay")
    assert re.search(r"3 earlier events, accepted .+ to .+\. The oldest is sent first\. Send 3", words(answer))
    assert "<h1" not in answer.text
    sent = fields(answer.text)
    send(app, team.admin, "job.closed")
    for _ in range(2):
        assert admin.post(here, sent).headers["Location"] == f"/admin/webhooks/{made}"
    page = words(admin.get(f"/admin/webhooks/{made}"))
    assert "Sending 3 earlier events. It goes on when this page is closed." in page
    assert page.count("0 of 3 done, asked for by Marcus Oyelaran") == 1, "pressed twice, it is one run"
    work(app, 1)
    part = admin.get(f"{here}/progress", target="replays")
    assert ("2 of 3 done" in words(part), "every 2s" in part.text, "HX-Trigger" in part.headers) == (True, True, False)
    work(app)
    part = admin.get(f"{here}/progress", target="replays")
    assert ("Queued 3 of 3 earlier events" in words(part), "every 2s" in part.text) == (True, False)
    assert "deliveries-changed" in part.headers["HX-Trigger"]
    assert admin.get(f"{here}/progress").headers["Location"] == f"/admin/webhooks/{made}/deliveries"


@SQLITE
def test_the_form_names_what_is_wrong_and_what_is_not_there(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    here = f"/admin/webhooks/{made}/replay"
    answer = admin.get(f"{here}?since=soon&until=2999")
    assert (answer.status_code, words(answer).count("Enter a date and a time")) == (422, 2)
    answer = admin.get(f"{here}?since=2026-01-02T00:00&until=2026-01-01T00:00")
    assert "This is not after the start." in words(answer)
    assert "No failed deliveries in this time." in words(admin.get(f"{here}?since=2026-01-01T00:00"))
    admin.post(here, {"what": "missing", "since": "2026-01-01T00:00"})
    assert "No earlier events to send." in words(admin.get(here))
    make_delivery(app, team.admin, made, **dead())
    admin.post(f"/admin/webhooks/{made}/switch")
    assert stored_webhook(app, made).status is WebhookStatus.DISABLED
    page = words(admin.get(f"{here}?since=2026-01-01T00:00"))
    assert "The oldest is sent first. Switch the webhook on to send it." in page
    answer = admin.post(here, htmx=True)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["title"].startswith("Payroll is disabled.")


@SQLITE
def test_a_time_without_a_zone_is_the_viewers(app: Flask, team: Team, admin: Browser) -> None:
    admin.post("/profile", {"name": "Marcus Oyelaran", "time_zone": "Australia/Sydney"})
    made = make_webhook(app, team.admin)
    text = admin.get(f"/admin/webhooks/{made}/replay?since=2026-01-01T11:00&until=2026-01-02T11:00&what=missing").text
    assert "No earlier events" in text
    send(app, team.admin)
    text = admin.get(f"/admin/webhooks/{make_webhook(app, team.admin)}/replay?since=2026-01-01T11:00&what=missing").text
    assert fields(text)["since"] == "2026-01-01T00:00:00+00:00"


@SQLITE
def test_one_event_is_sent_from_its_page(app: Flask, team: Team, admin: Browser) -> None:
    send(app, team.admin)
    [row] = stored_events(app)
    made = make_webhook(app, team.admin)
    answer = admin.post(f"/admin/events/{row.id}/send", {"webhook_id": str(made)})
    [delivery] = stored_deliveries(app)
    assert answer.headers["Location"] == f"/admin/deliveries/{delivery.id}"
    answer = admin.post(f"/admin/events/{row.id}/send", {"webhook_id": str(made)}, htmx=True)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["tone"] == "warn"
    for webhook_id in ("x", ""):
        assert admin.post(f"/admin/events/{row.id}/send", {"webhook_id": webhook_id}).status_code == 404
    spy = Browser(app, make_team(app, "Southgate").owner)
    assert spy.post(f"/admin/events/{row.id}/send", {"webhook_id": str(made)}).status_code == 404
