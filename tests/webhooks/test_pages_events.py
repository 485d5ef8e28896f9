"""The pages of accepted events: found by each filter, and for each webhook what became of one, or why nothing did."""

import html
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from werkzeug.test import TestResponse

from portal import clock
from portal.database import db, new_id, reading, unit_of_work
from portal.web import listing
from portal.webhooks import event_queries, service, testing
from portal.webhooks.event_queries import EventFilters
from portal.webhooks.models import Event
from tests.support.people import Browser, Team, make_team, whole_list, words
from tests.support.webhooks import dead, make_delivery, make_webhook, send, stored_deliveries, stored_events
from tests.test_queries import SEEDS, plan, read

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
ALL = "/admin/events"


def shown(answer: TestResponse) -> list[str]:
    """Return the ids of the events that a page lists, in their order."""
    assert answer.status_code == 200, words(answer)
    return re.findall(r'href="/admin/events/([A-Za-z0-9_-]+)"', answer.text)


def fates(browser: Browser, event_id: str) -> list[str]:
    """Return what an event's page says of each webhook."""
    answer = browser.get(f"{ALL}/{event_id}")
    assert answer.status_code == 200
    [table] = re.findall(r"<tbody>(.*?)</tbody>", answer.text, re.DOTALL)
    plain = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
    return [re.sub(r"\s+", " ", html.unescape(row)).strip() for row in plain]


def change(app: Flask, team: Team, webhook_id: uuid.UUID, do: Callable[..., None], **more: object) -> None:
    with app.app_context(), unit_of_work():
        do(webhook=service.get(organization_id=team.organization_id, webhook_id=webhook_id), **more)


@SQLITE
def test_an_empty_list_says_how_events_come_about(team: Team, admin: Browser) -> None:
    assert "No events yet" in words(admin.get(ALL))
    assert "No events match" in words(admin.get(f"{ALL}?q=evt_x"))


def test_the_list_is_narrowed_by_each_filter(app: Flask, team: Team, admin: Browser) -> None:
    first = send(app, team.admin, "job.closed", event_id="order-1_A")
    second = send(app, team.admin)
    send(app, make_team(app, "Southgate").admin)
    with app.app_context(), unit_of_work() as session:
        earlier = clock.now() - timedelta(minutes=10)
        session.execute(update(Event).where(Event.event_id == first).values(accepted_at=earlier))
    both = [second, first]
    cases = {
        ALL: both,
        f"{ALL}?type=job.closed": [first],
        f"{ALL}?q={first}": [first],
        f"{ALL}?q={first}&type=job.created": [],
        f"{ALL}?q=evt_unknown": [],
        f"{ALL}?time=24h": both,
        f"{ALL}?until=2020-01-01": [],
        f"{ALL}?since=0001-01-01&until=9999-12-31": both,
        f"{ALL}?type=made.up&time=never&since=x": both,
    }
    assert {path: shown(admin.get(path)) for path in cases} == cases
    with app.app_context(), reading():
        nine = clock.now() - timedelta(minutes=9)
        filters = (EventFilters(since=nine), EventFilters(until=nine))
        found = [event_queries.listed(organization_id=team.organization_id, filters=each).items for each in filters]
    assert [[each.event_id for each in items] for items in found] == [[second], [first]], "the row's time decides"


@pytest.mark.parametrize("most", [200, 25])
def test_a_long_list_is_read_by_key_without_gaps_or_repeats(
    app: Flask, team: Team, admin: Browser, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    sent = [send(app, team.admin) for _ in range(3)]
    with app.app_context(), unit_of_work() as session:
        row = session.scalars(select(Event)).first()
        pattern = {column.key: getattr(row, column.key) for column in Event.__mapper__.columns}
        session.add_all(Event(**(pattern | {"id": new_id(), "event_id": f"e{number}"})) for number in range(57))
    monkeypatch.setattr(listing, "MOST_SHOWN", most)
    found = whole_list(admin, f"{ALL}?type=job.created", shown)
    assert found == [f"e{number}" for number in range(56, -1, -1)] + sent[::-1]
    assert "60 events" in words(admin.get(ALL))


@SQLITE
def test_an_open_list_asks_for_what_changed_and_keeps_what_was_loaded(app: Flask, team: Team, admin: Browser) -> None:
    sent = [send(app, team.admin) for _ in range(30)]
    page = admin.get(f"{ALL}?shown=50", target="event-list")
    assert shown(page) == sent[::-1]
    url, version = re.findall(r'hx-get="([^"]*)".*?X-Portal-Poll&#34;: &#34;(\w+)', page.text)[0]
    assert url == f"{ALL}?shown=50"
    assert admin.get(url, target="event-list", headers={"X-Portal-Poll": version}).status_code == 204
    later = send(app, team.admin)
    again = admin.get(url, target="event-list", headers={"X-Portal-Poll": version})
    assert shown(again) == [later, *sent[::-1]]
    assert "<form" not in again.text


@SQLITE
@pytest.mark.parametrize("cursor", ["x", "WzFd", "WyJ4Il0", "%00"])
def test_a_forged_cursor_is_no_page(team: Team, admin: Browser, cursor: str) -> None:
    assert admin.get(f"{ALL}?cursor={cursor}").status_code == 404


@SQLITE
def test_the_list_says_how_the_deliveries_stand(app: Flask, team: Team, admin: Browser) -> None:
    nobody = send(app, team.admin)
    hook = make_webhook(app, team.admin)
    make_webhook(app, team.admin, "Stock")
    make_delivery(app, team.admin, hook, **dead())
    rows = re.findall(r"<tr>\s*<td.*?</tr>", admin.get(ALL).text, re.DOTALL)
    said = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]
    assert said[0].endswith("API 1 waiting 1 dead letter")
    assert said[1].endswith(f"job.created {nobody} API None")


def test_each_webhook_says_what_became_of_it(app: Flask, team: Team, admin: Browser) -> None:
    names: dict[str, dict[str, Any]] = {
        "All": {}, "Other": {"events": ["job.closed"]}, "Picky": {"filters": {"id": "job_2"}},
        "Off": {}, "Leaving": {}, "Gone before": {}, "Unwanted": {"events": ["job.closed"]},
    }  # fmt: skip
    hooks = {name: make_webhook(app, team.admin, name, **draft) for name, draft in names.items()}
    change(app, team, hooks["Off"], service.set_active, active=False)
    change(app, team, hooks["Gone before"], service.delete)
    event = send(app, team.admin)
    for name in ("Leaving", "Unwanted"):
        change(app, team, hooks[name], service.delete)
    change(app, team, hooks["Off"], service.set_active, active=True)
    make_webhook(app, team.admin, "Late")
    make_webhook(app, make_team(app, "Southgate").admin, "Theirs")
    assert fates(admin, event) == [
        "All Queued Due now Open delivery to All",
        "Leaving (deleted) Not sent The webhook was deleted while it waited. Open delivery to Leaving",
        "Late Not sent Was added later Send job.created to Late",
        "Off Not sent Was disabled Send job.created to Off",
        "Other Not sent Not subscribed to job.created Send job.created to Other",
        "Picky Not sent Its filter did not match Send job.created to Picky",
        "Unwanted (deleted) Not sent Not subscribed to job.created",
    ]
    assert "2 of 7 webhooks" in words(admin.get(f"{ALL}/{event}"))


@SQLITE
def test_a_test_is_of_one_webhook_alone(app: Flask, team: Team, admin: Browser) -> None:
    tried, _other = make_webhook(app, team.admin, url="http://127.0.0.1:1/"), make_webhook(app, team.admin, "Stock")
    with app.app_context():
        testing.send_test(organization_id=team.organization_id, webhook_id=tried, event_type="job.created", data={})
    [event] = stored_events(app)
    first, second = fates(admin, event.event_id)
    assert first.startswith("Payroll Refused")
    assert second == "Stock Not sent Was a test of another webhook"
    assert "Source Test" in words(admin.get(f"{ALL}/{event.event_id}"))


@SQLITE
def test_hostile_text_stays_text(app: Flask, team: Team, admin: Browser) -> None:
    evil = '"><script>alert(1)</script>'
    make_webhook(app, team.admin, evil)
    event = send(app, team.admin, data={evil: evil})
    answer = admin.get(f"{ALL}/{event}")
    assert "<script>alert" not in answer.text
    assert evil in words(answer)


@SQLITE
def test_without_webhooks_the_page_says_so(app: Flask, team: Team, admin: Browser) -> None:
    assert "No webhook to send it to" in words(admin.get(f"{ALL}/{send(app, team.admin)}"))


@SQLITE
@pytest.mark.parametrize("event_id", ["evt_none", "a.b", "%00", "x" * 65, "%F0%9F%92%A9"])
def test_an_event_that_is_not_there_is_not_found(team: Team, admin: Browser, event_id: str) -> None:
    assert admin.get(f"{ALL}/{event_id}").status_code == 404


@SQLITE
def test_events_of_another_organization_are_not_there(app: Flask, team: Team, admin: Browser) -> None:
    theirs = send(app, make_team(app, "Southgate").admin)
    assert admin.get(f"{ALL}/{theirs}").status_code == 404
    assert shown(admin.get(ALL)) == []


@SQLITE
def test_the_page_watches_an_event_until_all_of_it_is_over(app: Flask, team: Team, admin: Browser) -> None:
    make_webhook(app, team.admin)
    event = send(app, team.admin)
    assert "every 2s" in admin.get(f"{ALL}/{event}", target="event").text
    with app.app_context(), unit_of_work():
        db.session.execute(text("UPDATE deliveries SET status = 'success', due_at = NULL"))
    assert "every" not in admin.get(f"{ALL}/{event}", target="event").text.partition("</h1>")[0]


@SQLITE
def test_deliveries_history_and_debugger_lead_to_the_event(app: Flask, team: Team, admin: Browser) -> None:
    hook = make_webhook(app, team.admin)
    event = send(app, team.admin)
    [delivery] = stored_deliveries(app)
    for path in (
        f"/admin/deliveries/{delivery.id}",
        "/admin/deliveries",
        f"/admin/webhooks/{hook}/deliveries",
        f"/admin/webhooks/{hook}?delivery={delivery.id}",
    ):
        assert f'href="{ALL}/{event}"' in admin.get(path).text, path
    assert f'href="{ALL}"' in admin.get(f"/admin/webhooks/{hook}").text


def test_a_long_list_comes_out_of_an_index_in_its_order(app: Flask, team: Team) -> None:
    """Else the first page of a million events would sort a million events."""
    with app.app_context(), unit_of_work() as session:
        statement, new, ago = SEEDS[session.get_bind().dialect.name]
        blob = "''" if db.engine.dialect.name == "postgresql" else "x''"
        columns = {
            "id": new, "organization_id": "id", "event_id": "'e' || i", "source": "'api'", "body": blob,
            "event_type": "CASE WHEN i % 50 = 0 THEN 'job.closed' ELSE 'job.created' END", "decisions": "'{}'",
            "occurred_at": ago, "accepted_at": ago,
        }  # fmt: skip
        filled = statement.format(table="events", columns=", ".join(columns), values=", ".join(columns.values()))
        session.execute(text(f"{filled}, organizations"), {"count": 3000})
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    organization = team.organization_id
    with app.app_context(), reading():
        after = event_queries.listed(organization_id=organization, filters=EventFilters()).next_cursor or ""
    assert after
    closed, week = EventFilters(event_type="job.closed"), EventFilters(since=clock.now() - timedelta(days=7))
    cases = [
        ("ix_events_of_organization", EventFilters(), ""),
        ("ix_events_of_organization", EventFilters(), after),
        ("ix_events_of_organization", week, ""),
        ("ix_events_by_type", closed, ""),
        ("ix_events_by_type", closed, after),
    ]
    for index, filters, cursor in cases:
        query = partial(event_queries.listed, organization_id=organization, filters=filters, cursor=cursor)
        found = plan(app, read(query))
        assert index in found, (filters, cursor, found)
        assert not re.search("TEMP B-TREE FOR ORDER|Sort Key: (events.)?id|Seq Scan on events|SCAN events", found), (
            found
        )
