"""Dead letters: grouped by cause, retried and discarded, by runs that outlive the process, within one organization."""

import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select, update
from werkzeug.test import TestResponse

from portal import paging
from portal.audit import trail as audit
from portal.database import db, first_id, new_id, on_wake, reading, unit_of_work
from portal.webhooks import dead_letter_queries, dead_letters, events, run_job
from portal.webhooks import runs as machinery
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus, Event, ReplayRun, RunAction, Webhook
from tests.support.integrations import trail
from tests.support.people import Browser, Team, make_team, plain, words
from tests.webhooks.kit import make_webhook

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
PAGE = "/admin/dead-letters"
NUMBERS = itertools.count()
"""Tells deliveries of one moment apart."""


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def payroll(app: Flask, team: Team) -> uuid.UUID:
    return make_webhook(app, team.organization_id, "https://payroll.example.org/hooks")[0]


def die(
    app: Flask, webhook_id: uuid.UUID, error_class: str = "http_500", count: int = 1, **more: Any
) -> list[uuid.UUID]:
    """Store deliveries that ran out of retries an hour ago; return their ids, oldest first."""
    values = {
        "event_type": "job.created",
        "status": DeliveryStatus.DEAD,
        "created_at": NOW - timedelta(hours=1),
        **more,
    }
    answered = int(error_class[5:]) if error_class.startswith("http_") else None
    made = []
    with app.app_context(), unit_of_work() as session:
        webhook = session.get_one(Webhook, webhook_id)
        for _ in range(count):
            event = Event(
                id=new_id(), organization_id=webhook.organization_id, event_id=events.new_event_id(), source="api",
                event_type=values["event_type"], body=b'{"data": {"id": 7}}', decisions={}, occurred_at=NOW,
                accepted_at=NOW,
            )  # fmt: skip
            delivery = Delivery(
                id=uuid.UUID(int=first_id(values["created_at"]).int + next(NUMBERS)),
                organization_id=webhook.organization_id, webhook_id=webhook_id, event_row_id=event.id,
                attempt_number=4, error_class=error_class, response_status=answered, duration_ms=20, **values,
            )  # fmt: skip
            attempt = DeliveryAttempt(
                delivery_id=delivery.id, attempt_number=4, at=values["created_at"], duration_ms=20,
                response_status=answered, error_class=error_class, error=None, request_headers={},
                response_headers={}, response_body=b"", timing={},
            )  # fmt: skip
            session.add(event)
            session.flush()
            session.add(delivery)
            session.flush()
            session.add(attempt)
            made.append(delivery.id)
    return made


def statuses(app: Flask) -> list[str]:
    """Return the statuses of all deliveries, oldest first."""
    with app.app_context(), reading() as session:
        return [str(each) for each in session.scalars(select(Delivery.status).order_by(Delivery.id))]


def runs(app: Flask) -> list[ReplayRun]:
    with app.app_context(), reading() as session:
        return list(session.scalars(select(ReplayRun).order_by(ReplayRun.id)))


def start(app: Flask, team: Team, action: RunAction = RunAction.RETRY, **filters: Any) -> ReplayRun:
    with app.app_context(), unit_of_work():
        return dead_letters.start(
            organization_id=team.organization_id, action=action, filters=DeadLetterFilters(**filters), asked_by="Dana"
        )


def work(app: Flask, batches: int = 100) -> int:
    with app.app_context():
        return run_job.work_off(batches)


def groups(app: Flask, team: Team, **filters: Any) -> list[tuple[str, str, int]]:
    with app.app_context(), reading():
        found, total = dead_letter_queries.by_cause(
            organization_id=team.organization_id, filters=DeadLetterFilters(**filters)
        )
        counted = dead_letter_queries.count(organization_id=team.organization_id, filters=DeadLetterFilters(**filters))
        assert total == counted
        return [(each.newest.webhook_name, each.error_class, each.count) for each in found]


def listed(app: Flask, team: Team, **filters: Any) -> list[uuid.UUID]:
    with app.app_context(), reading():
        found = dead_letter_queries.listed(organization_id=team.organization_id, filters=DeadLetterFilters(**filters))
        return [each.id for each in found.items]


def test_dead_letters_stand_together_by_webhook_and_cause(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    other, _ = make_webhook(app, team.organization_id, "https://b.example.org/", name="Warehouse")
    first = die(app, payroll, "http_500", created_at=NOW - timedelta(days=3))
    newest = die(app, payroll, "http_500", 2)
    die(app, payroll, "timeout")
    die(app, other, "http_500")
    die(app, payroll, "internal", 5)
    die(app, payroll, "http_500", status=DeliveryStatus.FAILED)
    theirs, _ = make_webhook(app, make_team(app, "Southgate").organization_id, "https://c.example.org/")
    die(app, theirs, "http_500", 4)
    assert groups(app, team)[0] == ("Payroll", "http_500", 3)
    assert set(groups(app, team)[1:]) == {("Payroll", "timeout", 1), ("Warehouse", "http_500", 1)}
    assert groups(app, team, internal=True) == [("Payroll", "internal", 5)]
    with app.app_context(), reading():
        [group, *_], _ = dead_letter_queries.by_cause(organization_id=team.organization_id, filters=DeadLetterFilters())
        assert (group.oldest.id, group.newest.id) == (first[0], newest[1])


@SQLITE
def test_a_group_too_large_to_count_is_never_said_to_be_smaller(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (paging, dead_letter_queries):
        monkeypatch.setattr(module, "COUNT_LIMIT", 3)
    die(app, payroll, "http_500", 5)
    die(app, payroll, "timeout", 3)
    assert [each[1:] for each in groups(app, team)] == [("http_500", 4), ("timeout", 3)]
    shown = words(admin.get(PAGE))
    assert "Discard 3+ dead letters?" in shown
    assert "Discard 3 dead letters?" in shown
    assert "Retry all 3+" in shown


def test_filters_narrow_list_and_groups_alike(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    other, _ = make_webhook(app, team.organization_id, "https://b.example.org/", name="Warehouse")
    [old] = die(app, payroll, "http_503", created_at=NOW - timedelta(days=9))
    [lost] = die(app, payroll, "dns", event_type="candidate.created")
    [missing] = die(app, other, "http_404")
    [redirected] = die(app, other, "http_302")
    assert listed(app, team) == [redirected, missing, lost, old]
    with app.app_context(), reading() as session:
        event_id = session.scalar(select(Event.event_id).join(Delivery).where(Delivery.id == lost))
    cases: list[tuple[dict[str, Any], list[uuid.UUID]]] = [
        ({"webhook_id": payroll}, [lost, old]),
        ({"cause": "5xx"}, [old]),
        ({"cause": "4xx"}, [missing]),
        ({"cause": "http_404"}, [missing]),
        ({"cause": "connection"}, [lost]),
        ({"cause": "other"}, [redirected]),
        ({"cause": "http_4%"}, []),
        ({"text": "Candidate"}, [lost]),
        ({"text": event_id}, [lost]),
        ({"text": "404"}, [missing]),
        ({"text": "%"}, []),
        ({"since": NOW - timedelta(days=7)}, [redirected, missing, lost]),
        ({"webhook_id": other, "cause": "4xx", "text": "job"}, [missing]),
    ]
    for filters, expected in cases:
        assert listed(app, team, **filters) == expected, filters
        assert sum(count for _, _, count in groups(app, team, **filters)) == len(expected), filters
        kept = DeadLetterFilters.from_dict(DeadLetterFilters(**filters).as_dict())
        assert kept == DeadLetterFilters(**filters)


def test_retrying_one_makes_it_due_and_says_so(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    [delivery_id] = die(app, payroll)
    woken: list[bool] = []
    off = on_wake(events.WAKE, lambda: woken.append(True))
    with app.app_context():
        with unit_of_work():
            dead_letters.retry(organization_id=team.organization_id, delivery_id=delivery_id)
        off()
        with reading() as session:
            delivery = session.get_one(Delivery, delivery_id)
            assert (delivery.status, delivery.due_at, delivery.attempt_number) == ("pending", NOW, 4)
        with unit_of_work(), pytest.raises(NotNowError):
            dead_letters.retry(organization_id=team.organization_id, delivery_id=delivery_id)
    assert woken == [True]
    assert len(trail(app, "webhook.delivery_replayed")) == 1


def test_a_run_retries_what_is_covered_and_nothing_else(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    off, _ = make_webhook(app, team.organization_id, "https://b.example.org/", name="Off", active=False)
    gone, _ = make_webhook(app, team.organization_id, "https://c.example.org/", name="Gone")
    for webhook_id, cause in ((payroll, "timeout"), (payroll, "internal"), (off, "timeout"), (gone, "timeout")):
        die(app, webhook_id, cause)
    with app.app_context(), unit_of_work() as session:
        session.get_one(Webhook, gone).deleted_at = NOW
    theirs, _ = make_webhook(app, make_team(app, "Southgate").organization_id, "https://d.example.org/")
    die(app, theirs)
    run = start(app, team)
    assert run.total == 1
    assert work(app) == 1
    assert statuses(app) == ["pending", "dlq", "dlq", "dlq", "dlq"]
    [run] = runs(app)
    assert (run.done, run.finished_at) == (1, NOW)
    [begun] = trail(app, "dead_letter.retry_started")
    [ended] = trail(app, "dead_letter.retry_finished")
    assert begun.after == {"dead_letters": 1}
    assert ended.after == {"retried": 1, "of": 1}


def test_a_run_leaves_alone_what_died_after_it_was_counted(
    app: Flask, team: Team, payroll: uuid.UUID, time: time_machine.Traveller
) -> None:
    die(app, payroll, count=2)
    start(app, team, RunAction.DISCARD)
    time.shift(60)
    die(app, payroll, created_at=NOW + timedelta(seconds=30))
    with app.app_context(), unit_of_work() as session:
        # One that was dead, retried by itself, and died again.
        first = session.scalars(select(Delivery).order_by(Delivery.id)).first()
        assert first
        session.execute(
            update(DeliveryAttempt)
            .where(DeliveryAttempt.delivery_id == first.id)
            .values(at=NOW + timedelta(seconds=40))
        )
    assert work(app) == 1
    assert statuses(app) == ["dlq", "failed", "dlq"]


def test_a_run_goes_on_where_a_lost_process_left_it(
    app: Flask, team: Team, payroll: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machinery, "BATCH", 2)
    die(app, payroll, count=5)
    start(app, team)
    assert work(app, 1) == 2
    [run] = runs(app)
    assert (run.done, run.total, run.finished_at) == (2, 5, None)
    go_on = machinery._go_on

    def dies(*args: Any) -> int:
        go_on(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(machinery, "_go_on", dies)
    with pytest.raises(KeyboardInterrupt):
        work(app)
    assert statuses(app).count("pending") == 2, "a batch is done as a whole or not at all"
    monkeypatch.setattr(machinery, "_go_on", go_on)
    assert work(app) == 3
    [run] = runs(app)
    assert (run.done, run.finished_at) == (5, NOW)
    assert work(app) == 0


def test_what_fails_again_during_a_run_is_not_retried_for_ever(
    app: Flask, team: Team, payroll: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machinery, "BATCH", 1)
    die(app, payroll, count=3)
    start(app, team)
    for _ in range(6):
        work(app, 1)
        with app.app_context(), unit_of_work() as session:
            session.execute(update(Delivery).values(status=DeliveryStatus.DEAD, due_at=None))
    [run] = runs(app)
    assert (run.done, run.finished_at) == (3, NOW)


def test_pressing_twice_starts_one_run(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    die(app, payroll, count=2)
    first = start(app, team, cause="5xx")
    assert start(app, team, cause="5xx").id == first.id
    assert start(app, team, RunAction.DISCARD, cause="5xx").id != first.id
    work(app)
    assert [(each.action, each.done) for each in runs(app)] == [("retry", 2), ("discard", 0)]
    assert start(app, team).total == 0
    assert len(runs(app)) == 2


def plan(app: Flask, do: Callable[[], object]) -> str:
    """Return how SQLite runs the statements of this."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            statements.append((statement, parameters))

    with app.app_context(), reading() as session:
        event.listen(db.engine, "before_cursor_execute", note)
        do()
        event.remove(db.engine, "before_cursor_execute", note)
        explain = session.connection().exec_driver_sql
        plans = [explain(f"EXPLAIN QUERY PLAN {text}", parameters) for text, parameters in statements]
        return "\n".join(str(row[-1]) for found in plans for row in found)


@SQLITE
def test_growing_queries_use_their_index(app: Flask, team: Team, payroll: uuid.UUID) -> None:
    die(app, payroll)
    who, group = team.organization_id, DeadLetterFilters(webhook_id=payroll, cause="http_500")
    cases: dict[str, tuple[str, Callable[[], object]]] = {
        "groups": (
            "USING COVERING INDEX ix_dead_letters (organization_id=? AND webhook_id=? AND error_class>?)",
            lambda: dead_letter_queries.by_cause(organization_id=who, filters=DeadLetterFilters()),
        ),
        "count in the navigation": (
            "USING COVERING INDEX ix_dead_letters",
            lambda: dead_letter_queries.count(organization_id=who, filters=DeadLetterFilters()),
        ),
        "faults": (
            "USING COVERING INDEX ix_dead_letters (organization_id=? AND webhook_id=? AND error_class=?)",
            lambda: dead_letter_queries.count(organization_id=who, filters=DeadLetterFilters(internal=True)),
        ),
        "count of a group": ("ix_dead_letters", lambda: dead_letter_queries.count(organization_id=who, filters=group)),
        "list": (
            "ix_deliveries_by_status",
            lambda: dead_letter_queries.listed(organization_id=who, filters=DeadLetterFilters()),
        ),
        "list of a group": ("ix_dead_letters", lambda: dead_letter_queries.listed(organization_id=who, filters=group)),
        "next run": ("ix_replay_runs_unfinished", lambda: machinery._turn(10)),
        "newest run": ("ix_replay_runs_newest", lambda: machinery.shown(organization_id=who)),
    }
    for name, (index, do) in cases.items():
        found = plan(app, do)
        assert index in found, (name, found)
        if name.startswith("list"):
            assert "TEMP B-TREE" not in found, (name, found)
        assert "ix_dead_letters (organization_id=?)" not in found or name == "count in the navigation", (name, found)


# ---- Pages


def seen(answer: TestResponse) -> list[str]:
    """Return the ids of the dead letters that a page lists."""
    assert answer.status_code == 200, words(answer)
    return re.findall(r'name="id" value="([0-9a-f-]{36})" form="selection"', answer.text)


@SQLITE
def test_the_page_shows_groups_and_letters_with_what_went_wrong(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID
) -> None:
    ids = die(app, payroll, "http_500", 2)
    ids += die(app, payroll, "timeout")
    answer = admin.get(PAGE)
    assert seen(answer) == [str(each) for each in reversed(ids)]
    shown = plain(re.sub("<dialog.*?</dialog>", "", answer.text, flags=re.DOTALL))
    assert "500 Payroll 2 1 hour ago 1 hour ago job.created" in shown
    assert "Internal Server Error 4 1 hour ago" in shown
    assert "No complete answer within 15 s." in shown
    assert "Dead letters 3 waiting" in shown
    assert "3 dead letters" in shown
    answer = admin.get(PAGE, query_string={"show": str(ids[0])})
    assert "The receiver answered 500 Internal Server Error." in words(answer)
    assert "&#34;data&#34;" in answer.text or '"data"' in words(answer)


@SQLITE
def test_an_empty_queue_is_good_and_an_empty_filter_can_be_cleared(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID
) -> None:
    assert "No dead letters Every delivery arrived" in words(admin.get(PAGE))
    die(app, payroll)
    assert "No dead letters match" in words(admin.get(PAGE, query_string={"reason": "tls"}))


@SQLITE
def test_the_portals_own_faults_are_kept_apart(app: Flask, team: Team, admin: Browser, payroll: uuid.UUID) -> None:
    [theirs], [own] = die(app, payroll), die(app, payroll, "internal")
    assert seen(admin.get(PAGE)) == [str(theirs)]
    assert "The portal's own faults 1 waiting" in words(admin.get(PAGE))
    assert seen(admin.get(f"{PAGE}?own=1")) == [str(own)]
    admin.post(f"{PAGE}/retry", {"own": "1"})
    work(app)
    assert statuses(app) == ["dlq", "pending"]
    assert "No faults of the portal" in words(admin.get(f"{PAGE}?own=1"))


@SQLITE
def test_older_ones_are_loaded_on(app: Flask, team: Team, admin: Browser, payroll: uuid.UUID) -> None:
    ids = [str(each) for each in reversed(die(app, payroll, count=27))]
    answer = admin.get(PAGE)
    assert seen(answer) == ids[:25]
    found = re.search(r'hx-get="([^"]*shown=[^"]*)"', answer.text)
    assert found
    answer = admin.get(found[1].replace("&amp;", "&"), target="letters")
    assert seen(answer) == ids
    assert "<h1" not in answer.text
    assert admin.get(f"{PAGE}?cursor=nonsense").status_code == 404


@SQLITE
def test_an_open_list_looks_for_new_ones_by_itself_and_keeps_what_it_shows(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID
) -> None:
    first = die(app, payroll, count=1)[0]
    answer = admin.get(f"{PAGE}?reason=5xx&shown=50&show={first}")
    [region] = re.findall(r'<div id="letters"[^>]*>', answer.text)
    assert "every 30s" in region
    [here], [version] = re.findall(r'hx-get="([^"]+)"', region), re.findall(r"Poll&#34;: &#34;(\w+)", region)
    here = here.replace("&amp;", "&")
    assert {"reason=5xx", "shown=50", f"show={first}"} <= {*here.partition("?")[2].split("&")}
    assert admin.get(here, target="letters", headers={"X-Portal-Poll": version}).status_code == 204
    second = die(app, payroll, count=1)[0]
    answer = admin.get(here, target="letters", headers={"X-Portal-Poll": version})
    assert seen(answer) == [str(second), str(first)]
    assert "Body, as sent" in words(answer), "the one that is looked at stays open"


@SQLITE
def test_one_is_retried_or_discarded_from_its_row(app: Flask, team: Team, admin: Browser, payroll: uuid.UUID) -> None:
    first, second, third = die(app, payroll, count=3)
    answer = admin.post(f"{PAGE}/{first}/retry", {"reason": "5xx"})
    assert answer.headers["Location"] == f"{PAGE}?reason=5xx"
    answer = admin.post(f"{PAGE}/{second}/discard", htmx=True)
    assert "dead-letters-changed" in answer.headers["HX-Trigger"]
    assert "job.created is discarded." in answer.headers["HX-Trigger"]
    answer = admin.post(f"{PAGE}/{second}/retry", htmx=True)
    assert "no dead letter any more" in answer.headers["HX-Trigger"]
    assert statuses(app) == ["pending", "failed", "dlq"]
    assert [each.target_id for each in trail(app, "dead_letter.discarded")] == [str(second)]
    stranger = Browser(app, make_team(app, "Southgate").admin)
    assert stranger.post(f"{PAGE}/{third}/discard").status_code == 404
    assert statuses(app)[2] == "dlq"


@SQLITE
def test_a_disabled_webhook_is_not_retried_and_says_why(app: Flask, team: Team, admin: Browser) -> None:
    off, _ = make_webhook(app, team.organization_id, "https://b.example.org/", active=False)
    [delivery_id] = die(app, off)
    assert f"{PAGE}/{delivery_id}/retry" not in admin.get(PAGE).text
    answer = admin.post(f"{PAGE}/{delivery_id}/retry", htmx=True)
    assert "Payroll is disabled." in answer.headers["HX-Trigger"]
    admin.post(f"{PAGE}/retry")
    assert "Nothing to retry." in words(admin.get(PAGE))
    assert runs(app) == []


@SQLITE
def test_a_group_is_retried_with_progress_that_ends(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machinery, "BATCH", 2)
    die(app, payroll, "timeout", 3)
    die(app, payroll, "http_500")
    group = {"webhook": str(payroll), "reason": "timeout", "on_webhook": "", "on_reason": "", "time": "7d"}
    answer = admin.post(f"{PAGE}/retry", {**group, "as_of": NOW.isoformat()})
    assert answer.headers["Location"] == f"{PAGE}?time=7d"
    shown = admin.get(PAGE)
    assert "Retrying 3 dead letters. It goes on when this page is closed." in words(shown)
    assert "0 of 3 done, asked for by Marcus Oyelaran" in words(shown)
    work(app, 1)
    answer = admin.get(f"{PAGE}/progress", target="replays")
    assert "2 of 3 done" in words(answer)
    assert "every 2s" in answer.text
    assert "HX-Trigger" not in answer.headers
    work(app)
    answer = admin.get(f"{PAGE}/progress", target="replays")
    assert "Retried 3 of 3 dead letters" in words(answer)
    assert "every 2s" not in answer.text
    assert "dead-letters-changed" in answer.headers["HX-Trigger"]
    assert statuses(app) == ["pending"] * 3 + ["dlq"]


@SQLITE
def test_discarding_many_takes_a_word_and_only_what_was_counted(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID, time: time_machine.Traveller
) -> None:
    die(app, payroll, count=2)
    found = re.search(r'name="as_of" value="([^"]+)"', admin.get(PAGE).text)
    assert found
    time.shift(60)
    die(app, payroll, created_at=NOW + timedelta(seconds=30))
    answer = admin.post(f"{PAGE}/discard", {"as_of": found[1], "confirm_word": "yes", "q": "job"})
    assert answer.headers["Location"] == f"{PAGE}?q=job"
    assert runs(app) == []
    admin.post(f"{PAGE}/discard", {"as_of": found[1], "confirm_word": "discard", "q": "job"})
    assert runs(app)[0].total == 2
    work(app)
    assert statuses(app) == ["failed", "failed", "dlq"]
    [entry] = trail(app, "dead_letter.discard_finished")
    assert entry.after == {"discarded": 2, "of": 2}
    assert entry.actor_kind == audit.SYSTEM.kind


@SQLITE
def test_what_is_ticked_is_counted_before_it_is_discarded(
    app: Flask, team: Team, admin: Browser, payroll: uuid.UUID
) -> None:
    ids = die(app, payroll, count=3)
    ticked = {"id": [str(each) for each in ids[:2]], "intent": "discard", "reason": "5xx"}
    answer = admin.post(f"{PAGE}/selected", ticked)
    assert "Discard 2 dead letters?" in words(answer)
    assert statuses(app) == ["dlq"] * 3
    assert admin.post(f"{PAGE}/selected", {**ticked, "confirmed": "1"}).headers["Location"] == f"{PAGE}?reason=5xx"
    assert statuses(app) == ["failed", "failed", "dlq"]
    admin.post(f"{PAGE}/selected", {"id": [str(each) for each in ids], "intent": "retry"})
    assert "Retried 1 dead letter. 2 not: This is no dead letter any more." in words(admin.get(PAGE))
    admin.post(f"{PAGE}/selected", {"id": ["x"], "intent": "retry"})
    assert "Nothing is selected." in words(admin.get(PAGE))


@SQLITE
def test_hostile_addresses_do_no_harm(app: Flask, team: Team, admin: Browser, payroll: uuid.UUID) -> None:
    die(app, payroll)
    for query in ("webhook=x", "reason=%00", "time=forever", "q=%00%ff", "show=x", f"show={uuid.uuid4()}", "own=x"):
        assert admin.get(f"{PAGE}?{query}").status_code == 200, query
    assert admin.post(f"{PAGE}/retry", {"as_of": "2999-01-01"}).status_code == 303
    for moment in ("0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"):
        assert admin.post(f"{PAGE}/retry", {"as_of": moment, "time": "7d"}).status_code == 303
    assert admin.get(f"{PAGE}/progress").headers["Location"] == PAGE
