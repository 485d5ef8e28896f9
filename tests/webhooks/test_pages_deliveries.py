"""The pages of deliveries: filters in the address, pages by key, one with its attempts, sending again."""

import itertools
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from werkzeug.test import TestResponse

from portal import clock
from portal.audit.models import AuditEntry
from portal.database import db, new_id, on_wake, reading, unit_of_work
from portal.web import listing
from portal.webhooks import narrowing, queries
from portal.webhooks.events import WAKE
from portal.webhooks.models import Delivery, DeliveryStatus, Event
from portal.webhooks.queries import DeliveryFilters
from tests.support.people import Browser, Team, make_team, whole_list, words
from tests.support.webhooks import dead, make_delivery, make_webhook, send

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
ALL = "/admin/deliveries"
OVER: dict[str, Any] = {"status": "success", "due_at": None, "response_status": 200}
DEAD: dict[str, Any] = {"status": "dlq", "due_at": None, "response_status": 500, "error_class": "http_500"}


def shown(answer: TestResponse) -> list[uuid.UUID]:
    """Return the deliveries that a page lists, in their order."""
    assert answer.status_code == 200, words(answer)
    return [uuid.UUID(found) for found in re.findall(r'href="/admin/deliveries/([0-9a-f-]{36})"', answer.text)]


def everything(browser: Browser, path: str) -> list[uuid.UUID]:
    """Return the deliveries of all pages."""
    return whole_list(browser, path, shown)


def load(app: Flask, delivery_id: uuid.UUID) -> Delivery:
    with app.app_context(), reading() as session:
        return session.get_one(Delivery, delivery_id)


@SQLITE
def test_an_empty_list_says_how_deliveries_come_about(app: Flask, team: Team, admin: Browser) -> None:
    assert "No deliveries yet" in words(admin.get(ALL))
    made = make_webhook(app, team.admin)
    assert "Send a test" in words(admin.get(f"/admin/webhooks/{made}/deliveries"))
    assert "No deliveries match" in words(admin.get(f"{ALL}?status=dlq"))


def test_lists_are_narrowed_by_each_filter(app: Flask, team: Team, admin: Browser) -> None:
    pay, stock = make_webhook(app, team.admin, "Payroll"), make_webhook(app, team.admin, "Stock", events=["job.closed"])
    fine = make_delivery(app, team.admin, pay, attempts=1, **OVER)
    dead = make_delivery(app, team.admin, pay, attempts=4, **DEAD)
    closed = send(app, team.admin, "job.closed")
    with app.app_context(), unit_of_work() as session:
        event = session.scalars(select(Event.id).where(Event.event_id == closed)).one()
        both = {
            row.webhook_id: row.id for row in session.scalars(select(Delivery).where(Delivery.event_row_id == event))
        }
    make_delivery(app, other := make_team(app, "Southgate").admin, make_webhook(app, other))
    every = sorted([fine, dead, *both.values()], reverse=True)
    one = f"/admin/webhooks/{pay}/deliveries"
    cases: dict[str, list[uuid.UUID]] = {
        ALL: every,
        f"{ALL}?status=dlq": [dead],
        f"{ALL}?status=success": [fine],
        f"{ALL}?status=pending": sorted(both.values(), reverse=True),
        f"{ALL}?type=job.closed": sorted(both.values(), reverse=True),
        f"{ALL}?webhook={stock}": [both[stock]],
        f"{ALL}?webhook={pay}&status=dlq": [dead],
        f"{ALL}?webhook={pay}&status=success": [fine],
        f"{ALL}?q={closed}": sorted(both.values(), reverse=True),
        f"{ALL}?q={closed}&webhook={pay}": [both[pay]],
        f"{ALL}?q={closed}&status=success": [],
        f"{ALL}?q=evt_unknown": [],
        f"{ALL}?time=24h": every,
        f"{ALL}?until=2020-01-01": [],
        f"{ALL}?since=2020-01-01": every,
        f"{ALL}?since=0001-01-01&until=9999-12-31": every,
        one: sorted([fine, dead, both[pay]], reverse=True),
        f"{one}?status=pending": [both[pay]],
        f"{one}?q={closed}": [both[pay]],
        f"{one}?webhook={stock}": sorted([fine, dead, both[pay]], reverse=True),
        f"{ALL}?status=nonsense&type=made.up&webhook=17&time=never&since=x": every,
    }
    assert {path: shown(admin.get(path)) for path in cases} == cases


@SQLITE
def test_a_time_is_taken_from_the_row_even_where_the_id_says_nearly_the_same(app: Flask, team: Team) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(app, team.admin, made, created_at=clock.now() - timedelta(minutes=10))
    with app.app_context(), reading():

        def found(**times: Any) -> list[uuid.UUID]:
            filters = DeliveryFilters(**times)
            return [each.id for each in queries.deliveries(organization_id=team.organization_id, filters=filters).items]

        assert found(since=clock.now() - timedelta(minutes=11)) == [delivery]
        assert found(since=clock.now() - timedelta(minutes=9)) == []
        assert found(until=clock.now() - timedelta(minutes=9)) == [delivery]
        assert found(until=clock.now() - timedelta(minutes=11)) == []


@pytest.mark.parametrize("most", [200, 25])
def test_a_long_list_is_read_by_key_without_gaps_or_repeats(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(listing, "MOST_SHOWN", most)
    made = make_webhook(app, team.admin)
    first = make_delivery(app, team.admin, made, attempts=1, **OVER)
    with app.app_context(), unit_of_work() as session:
        pattern = session.get_one(Delivery, first)
        values = {column.key: getattr(pattern, column.key) for column in Delivery.__mapper__.columns}
        session.add_all(Delivery(**(values | {"id": new_id()})) for _ in range(59))
    for path in (ALL, f"{ALL}?status=success", f"{ALL}?webhook={made}", f"{ALL}?time=7d"):
        found = everything(admin, path)
        assert (len(found), len(set(found))) == (60, 60)
        assert found == sorted(found, reverse=True)
    assert "60 deliveries" in words(admin.get(ALL))


@SQLITE
def test_an_open_list_asks_for_what_changed_and_keeps_what_was_loaded(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    sent = [make_delivery(app, team.admin, made, attempts=1, **OVER) for _ in range(30)]
    page = admin.get(f"{ALL}?shown=50", target="delivery-list")
    assert shown(page) == sent[::-1]
    url, every, version = re.findall(
        r'hx-get="([^"]*)" hx-trigger="every (\d+)s.*?X-Portal-Poll&#34;: &#34;(\w+)', page.text
    )[0]
    assert (url, every) == (f"{ALL}?shown=50", "10")

    def again() -> TestResponse:
        return admin.get(url, target="delivery-list", headers={"X-Portal-Poll": version})

    assert again().status_code == 204
    with app.app_context(), unit_of_work() as session:
        session.get_one(Delivery, sent[0]).response_status = 418
    assert "418" in again().text
    with app.app_context(), unit_of_work() as session:
        session.get_one(Delivery, sent[0]).response_status = load(app, sent[1]).response_status
    assert again().status_code == 204
    waiting = make_delivery(app, team.admin, made, due_at=clock.now())
    answer = again()
    assert shown(answer) == [waiting, *sent[::-1]]
    assert 'hx-trigger="every 2s' in answer.text, "it is about to be sent"
    assert "<form class" not in answer.text


@SQLITE
@pytest.mark.parametrize("cursor", ["x", "bm9wZQ", "WzFd", "WyJ4Il0", "WyJhIiwgImIiXQ", "%00", "W" * 5000])
def test_a_forged_cursor_is_no_page(team: Team, admin: Browser, cursor: str) -> None:
    assert admin.get(f"{ALL}?cursor={cursor}").status_code == 404


@SQLITE
def test_a_delivery_shows_its_attempts_with_what_was_sent_and_came_back(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(app, team.admin, made, attempts=2, **DEAD)
    text = words(admin.get(f"{ALL}/{delivery}"))
    assert "Dead letter after 2 attempts" in text
    assert text.index("Attempt 2") < text.index("Attempt 1")
    assert "500 Internal Server Error" in text
    assert "The receiver answered 500 Internal Server Error." in text
    assert "webhook-id: evt_1" in text
    assert "content-type: text/plain" in text
    assert "Connected after 1 ms" in text
    assert '"id" : "job_1"' in text
    assert "Resend" in text


@SQLITE
def test_the_page_of_a_delivery_watches_it_until_it_is_over(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    waits = make_delivery(app, team.admin, made)
    over = make_delivery(app, team.admin, made, attempts=1, **OVER)
    assert "every 2s" in admin.get(f"{ALL}/{waits}", target="delivery").text
    assert "every" not in admin.get(f"{ALL}/{over}", target="delivery").text.partition("</h1>")[0]


@SQLITE
def test_the_history_outlives_its_webhook(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(app, team.admin, made, attempts=1, **OVER)
    admin.post(f"/admin/webhooks/{made}/delete", {"confirm_name": "Payroll"})
    assert "Payroll (deleted)" in words(admin.get(f"{ALL}/{delivery}"))
    assert "Payroll (deleted)" in words(admin.get(ALL))


@pytest.mark.parametrize("status", ["success", "failed", "dlq"])
def test_a_finished_delivery_is_sent_again(app: Flask, team: Team, admin: Browser, status: str) -> None:
    woken: list[int] = []
    stop = on_wake(WAKE, lambda: woken.append(1))
    made = make_webhook(app, team.admin)
    delivery = make_delivery(app, team.admin, made, attempts=4, **(DEAD | {"status": status}))
    woken.clear()
    answer = admin.post(f"{ALL}/{delivery}/replay", htmx=True)
    stop()
    told = json.loads(answer.headers["HX-Trigger"])
    assert (told["toast"]["title"], "deliveries-changed" in told) == ("job.created is sent again.", True)
    found = load(app, delivery)
    assert found.status is DeliveryStatus.PENDING
    assert found.attempt_number == 4, "the next attempt counts on"
    assert found.due_at is not None
    assert found.due_at <= clock.now()
    assert woken == [1]
    with app.app_context(), reading() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()
        assert entry
        assert (entry.action, entry.target_id, entry.before) == (
            "webhook.delivery_replayed", str(delivery), {"status": status},
        )  # fmt: skip


@SQLITE
def test_one_that_waits_for_its_retry_is_tried_now(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    later = clock.now() + timedelta(hours=3)
    delivery = make_delivery(
        app, team.admin, made, attempts=1, due_at=later, error_class="http_503", response_status=503
    )
    assert "Retry now" in words(admin.get(ALL))
    assert admin.post(f"{ALL}/{delivery}/replay").status_code == 303
    due = load(app, delivery).due_at
    assert due
    assert due < later


@SQLITE
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("under way", "An attempt is under way."),
        ("disabled", "Payroll is disabled."),
        ("deleted", "Payroll was deleted."),
    ],
)
def test_what_cannot_be_sent_now_is_left_as_it_is(
    app: Flask, team: Team, admin: Browser, change: str, said: str
) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(app, team.admin, made, attempts=1, **DEAD)
    if change == "under way":
        with app.app_context(), unit_of_work() as session:
            lease = {"status": "pending", "lease_token": new_id(), "due_at": clock.now() + timedelta(seconds=30)}
            session.execute(update(Delivery).values(**lease))
    elif change == "disabled":
        admin.post(f"/admin/webhooks/{made}/switch")
    else:
        admin.post(f"/admin/webhooks/{made}/delete", {"confirm_name": "Payroll"})
    before = load(app, delivery)
    answer = admin.post(f"{ALL}/{delivery}/replay", htmx=True)
    toast = json.loads(answer.headers["HX-Trigger"])["toast"]
    assert (toast["title"].startswith(said), toast["tone"]) == (True, "warn")
    after = load(app, delivery)
    assert (after.status, after.due_at, after.lease_token) == (before.status, before.due_at, before.lease_token)


@SQLITE
def test_an_attempt_whose_process_died_does_not_hold_a_delivery_back(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    delivery = make_delivery(
        app, team.admin, made, lease_token=new_id(), due_at=datetime(2026, 1, 1, tzinfo=UTC), attempt_number=1
    )
    assert admin.post(f"{ALL}/{delivery}/replay").status_code == 303
    assert load(app, delivery).lease_token is None


def plan(app: Flask, filters: DeliveryFilters, team: Team) -> str:
    """Return how SQLite looks for a page of the list."""
    with app.app_context(), reading() as session:
        query = select(Delivery.id).where(*queries._conditions(team.organization_id, filters))
        query = query.order_by(Delivery.id.desc()).limit(26)
        text = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        return " ".join(str(row[-1]) for row in session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + text))


@SQLITE
def test_every_page_comes_out_of_an_index_in_its_order(app: Flask, team: Team) -> None:
    made, since = uuid.uuid4(), clock.now() - timedelta(days=1)
    cases = {
        "ix_deliveries_of_organization": DeliveryFilters(since=since),
        "ix_deliveries_by_status": DeliveryFilters(status="dlq"),
        "ix_deliveries_of_webhook": DeliveryFilters(webhook_id=made, status="success"),
        "ix_deliveries_by_status ": DeliveryFilters(webhook_id=made, status="failed"),
        "ix_deliveries_of_webhook ": DeliveryFilters(webhook_id=made, since=since),
    }
    for index, filters in cases.items():
        found = plan(app, filters, team)
        assert index.strip() in found, (filters, found)
        assert "TEMP B-TREE" not in found, (filters, found)


@SQLITE
def test_the_shortest_list_leads_and_what_leads_changes_nothing_of_what_is_found(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    often, seldom = make_webhook(app, team.admin), make_webhook(app, team.admin, "Stock", events=["job.closed"])
    for columns in ({}, DEAD, OVER):
        make_delivery(app, team.admin, often, **columns)
    send(app, team.admin, "job.closed")
    ways: dict[str, list[Any]] = {"webhook_id": [None, often, seldom], "event_type": ["", "job.closed", "job.created"],
                                  "status": ["", "success", "dlq"]}  # fmt: skip
    every = [dict(zip(ways, each, strict=True)) for each in itertools.product(*ways.values())]
    with app.app_context(), reading() as session:
        rows = session.scalars(select(Delivery).order_by(Delivery.id.desc())).all()
        for few in (0, 2, 2000):
            monkeypatch.setattr(narrowing, "FEW", few)
            for given in every:
                page, total = queries.counted_deliveries(
                    organization_id=team.organization_id,
                    filters=DeliveryFilters(**given),
                )
                fitting = [
                    each.id
                    for each in rows
                    if all(not value or getattr(each, name) == value for name, value in given.items())
                ]
                assert ([each.id for each in page.items], total) == (fitting, len(fitting)), (few, given)
    monkeypatch.setattr(narrowing, "FEW", 1)
    of_both: dict[str, Any] = {"webhook_id": often, "event_type": "job.closed"}
    assert "COVERING INDEX ix_deliveries_by_type (organization_id=? AND event_type=?)" in plan(
        app, DeliveryFilters(**of_both), team
    )
    seldom_gets: dict[str, Any] = {"webhook_id": seldom, "event_type": "job.created"}
    assert "ix_deliveries_of_webhook" in plan(app, DeliveryFilters(**seldom_gets), team)


@SQLITE
def test_the_navigation_counts_no_further_than_anybody_reads(app: Flask, team: Team, admin: Browser) -> None:
    made = make_webhook(app, team.admin)
    first = make_delivery(app, team.admin, made, **dead())
    assert 'Dead letters <span class="count">1<' in admin.get("/profile").text
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Delivery, first)
        values = {column.key: getattr(row, column.key) for column in Delivery.__mapper__.columns}
        session.execute(insert(Delivery), [values | {"id": new_id()} for _ in range(998)])
    assert 'Dead letters <span class="count">999<' in admin.get("/profile").text
    with app.app_context(), unit_of_work() as session:
        session.execute(insert(Delivery), [values | {"id": new_id()}])
    assert 'Dead letters <span class="count">999+<' in admin.get("/profile").text
