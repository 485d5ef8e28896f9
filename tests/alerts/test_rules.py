"""What each rule finds, and what it leaves alone."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, func, select, text, update

from portal import clock
from portal.alerts import own_rules, webhook_rules
from portal.audit import trail, triggers, watch
from portal.audit.models import AuditCheck, AuditEntry, AuditHead
from portal.database import reading, unit_of_work
from portal.health import pulse
from portal.integrations.models import Integration
from portal.webhooks import dead_letter_counts, failing, queue, recording, sending, service
from portal.webhooks.exchange import Reply
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook
from tests.alerts.kit import alerts, change, change_webhook, kinds, look, only, unreached, works
from tests.support.integrations import due, make_integration
from tests.support.integrations import failing as refused
from tests.support.people import Browser, Team, make_team
from tests.support.webhooks import make_delivery, make_webhook

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def by_rule(app: Flask, *, resolved: bool = False) -> dict[str, list[str]]:
    """Return the titles of the alerts by rule."""
    found: dict[str, list[str]] = {}
    for each in alerts(app):
        if bool(each.resolved_at) is resolved:
            found.setdefault(each.rule, []).append(each.title)
    return found


# Integrations


@SQLITE
def test_all_capabilities_of_an_integration_are_hurt(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, capabilities=["email", "calendar", "storage"], **refused())
    look(app)
    assert only(app).impact == "Emails not sending. Calendar invites not created. Backups and exports not stored"


@SQLITE
def test_disabled_unverified_and_first_failures_are_no_alert(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, "Off", **(refused() | {"enabled": False}))
    make_integration(app, team.admin, "New", **(refused() | {"status": "inactive", "condition": "unverified"}))
    make_integration(app, team.admin, "Once", **(refused() | {"status": "active", "error_count": 1}))
    assert look(app) == 0


@SQLITE
def test_in_a_maintenance_window_nothing_opens_and_all_resolves(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    known = make_integration(app, team.admin, "Known", **refused())
    look(app)
    window: dict[str, Any] = {"maintenance_from": clock.now(), "maintenance_until": clock.now() + timedelta(hours=1)}
    change(app, known, **window)
    make_integration(app, team.admin, "Maintained", **refused(), **window)
    assert look(app) == 0, "and what is open stays open"
    change(app, known, **works())
    look(app)
    assert by_rule(app, resolved=True) == {"integration_down": ["Known (SMTP): re-authenticate, login failed"]}
    time.shift(timedelta(hours=1))
    look(app)
    assert by_rule(app) == {"integration_down": ["Maintained (SMTP): re-authenticate, login failed"]}


def test_when_most_cannot_be_reached_one_alert_stands_for_them(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    ids = [make_integration(app, team.admin, f"Relay {number}", **unreached()) for number in range(3)]
    make_integration(app, team.admin, "Login", **refused())
    make_integration(app, team.admin, "Fine")
    look(app)
    found = {each.rule: each for each in alerts(app)}
    assert set(found) == {"connection_down", "integration_down"}
    assert found["integration_down"].title.startswith("Login"), "what is refused is reached"
    connection = found["connection_down"]
    assert [each["name"] for each in connection.detail["integrations"]] == ["Relay 0", "Relay 1", "Relay 2"]
    assert (connection.detail["total"], connection.impact) == (3, "Emails not sending")
    time.shift(2 * MINUTE)
    change(app, ids[0], **works())
    look(app)
    assert by_rule(app, resolved=True) == {"connection_down": ["The portal cannot reach most of its providers"]}
    assert len(by_rule(app)["integration_down"]) == 1, "nobody has asked the other two since"
    time.shift(2 * MINUTE)
    change(app, ids[1], last_health_check=clock.now())
    look(app)
    assert by_rule(app)["integration_down"][1:] == ["Relay 1 (SMTP): timed out"], "this one is down by itself"


@SQLITE
def test_what_was_open_before_stays_when_the_connection_fails(app: Flask, team: Team) -> None:
    first = make_integration(app, team.admin, "First", **unreached())
    for number in range(3):
        make_integration(app, team.admin, f"Relay {number}")
    look(app)
    for row in alerts(app):
        assert row.integration_id == first
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Integration).values(**unreached()))
    look(app)
    assert {each.rule: each.state for each in alerts(app)} == {"integration_down": "open", "connection_down": "open"}
    change(app, first, **works())
    look(app)
    assert by_rule(app, resolved=True) == {"integration_down": ["First (SMTP): timed out"]}


@SQLITE
@pytest.mark.parametrize(("down", "fine", "expected"), [(2, 0, 2), (3, 3, 3), (3, 2, 1)])
def test_few_or_no_majority_are_alerts_of_their_own(
    app: Flask, team: Team, down: int, fine: int, expected: int
) -> None:
    for number in range(down):
        make_integration(app, team.admin, f"Relay {number}", **unreached())
    for number in range(fine):
        make_integration(app, team.admin, f"Fine {number}")
    look(app)
    assert len(alerts(app)) == expected


# Webhooks


@SQLITE
def test_a_failing_webhook_warns_gets_worse_and_ends_disabled_as_one_alert(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    change_webhook(app, hook, failing_since=NOW, last_failure_at=NOW)
    said = []
    for hours in (1, 60, 84, 108, 120):
        time.move_to(NOW + timedelta(hours=hours))
        change_webhook(app, hook, last_failure_at=clock.now())
        with app.app_context():
            failing.look()
        look(app)
        said += [(each.rule, each.severity) for each in alerts(app)[:1]]
        if hours == 84:
            with app.app_context(), unit_of_work() as session:
                row = session.merge(only(app))
                row.state, row.acknowledged_at = "acknowledged", clock.now()
    assert said == [
        ("webhook_failing", "warning"), ("webhook_failing", "warning"), ("webhook_failing", "critical"),
        ("webhook_disabled", "critical"),
    ]  # fmt: skip
    found = only(app)
    assert kinds(app) == ["opened", "changed", "reopened", "changed"], "who knew of the warning has to look again"
    assert (found.state, found.webhook_id, found.impact) == ("open", hook, "Payroll does not get events")
    with app.app_context(), unit_of_work() as session:
        service.set_active(webhook=session.get_one(Webhook, hook), active=True)
    look(app)
    assert only(app).resolution == "recovered"


@SQLITE
def test_what_an_admin_switches_off_or_deletes_is_no_alert(app: Flask, team: Team) -> None:
    off, gone = make_webhook(app, team.admin, "Off"), make_webhook(app, team.admin, "Gone")
    for each in (off, gone):
        change_webhook(app, each, failing_since=NOW - 3 * DAY, warned_percent=50)
    assert look(app) == 2
    with app.app_context(), unit_of_work() as session:
        service.set_active(webhook=session.get_one(Webhook, off), active=False)
        service.delete(webhook=session.get_one(Webhook, gone))
    assert look(app) == 2
    assert {each.webhook_id: each.resolution for each in alerts(app)} == {off: "disabled", gone: "removed"}


def die(app: Flask, team: Team, hook: uuid.UUID, count: int) -> None:
    """Let the last retry of so many deliveries fail."""
    for _ in range(count):
        make_delivery(app, team.admin, hook, attempt_number=9)
    with app.app_context(), unit_of_work() as session:
        endpoint = sending.endpoint_of(session.get_one(Webhook, hook), now=clock.now(), good_until=clock.now())
        claimed = queue.claim({hook: count}, ordered=(), now=clock.now())
        replies = [(each, Reply(status=500)) for each in claimed]
        done = [recording.outcome_of(endpoint, each, reply, now=clock.now()) for each, reply in replies]
        recording.record(done, clock.now())


def test_dead_letters_that_grow_are_an_alert_until_none_came_for_an_hour(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    die(app, team, hook, webhook_rules.MANY)
    assert look(app) == 0, "so many may happen"
    time.shift(MINUTE)
    die(app, team, hook, 1)
    assert look(app) == 1
    assert (only(app).rule, only(app).severity, only(app).since) == ("dead_letters_growing", "warning", NOW)
    time.shift(59 * MINUTE)
    die(app, team, hook, 1)
    time.shift(59 * MINUTE)
    assert look(app) == 0, "one came within the hour"
    time.shift(3 * MINUTE)
    assert look(app) == 1
    assert only(app).state == "resolved"


@SQLITE
def test_an_empty_queue_ends_the_alert_of_dead_letters(app: Flask, team: Team) -> None:
    hook = make_webhook(app, team.admin)
    die(app, team, hook, webhook_rules.MANY + 1)
    look(app)
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Delivery).values(status=DeliveryStatus.FAILED))
    assert look(app) == 1
    assert only(app).state == "resolved"


def test_dead_letters_are_counted_by_the_minute_and_forgotten_after_a_day(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    place, other = team.organization_id, make_team(app, "Southline").organization_id
    for shift, counts in ((0, {place: 2, other: 1}), (0, {place: 3}), (5, {place: 1})):
        time.shift(shift * MINUTE)
        with app.app_context(), unit_of_work():
            dead_letter_counts.add(counts, clock.now())
    with app.app_context(), reading():
        assert dead_letter_counts.since(NOW) == {place: (6, NOW), other: (1, NOW)}
        assert dead_letter_counts.since(NOW + MINUTE, [place, other]) == {place: (1, NOW + 5 * MINUTE)}
    time.shift(DAY)
    with app.app_context(), unit_of_work() as session:
        dead_letter_counts.add({place: 1}, clock.now())
        rows = session.execute(select(dead_letter_counts.DeadLetterCount.minute).filter_by(organization_id=place)).all()
        assert len(rows) == 2


# The portal itself


@SQLITE
def test_overdue_checks_are_the_portals_fault(app: Flask, team: Team, time: time_machine.Traveller) -> None:
    make_integration(app, team.admin, **due())
    make_integration(app, team.admin, "Off", enabled=False, next_check_at=NOW - HOUR)
    time.shift(2 * MINUTE - timedelta(seconds=1))
    assert look(app) == 0
    time.shift(timedelta(seconds=1))
    assert look(app, settled=False) == 0, "a process that just began has yet to catch up"
    assert look(app) == 1
    found = only(app)
    assert (found.rule, found.severity, found.title) == ("scheduler_late", "critical", "Health checks are late")
    assert (found.impact, found.since) == ("Outages are noticed late", NOW)
    assert "portal worker" in found.hint
    assert look(app, settled=False) == 0, "but what is late stays late"
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Integration).values(next_check_at=clock.now() + MINUTE))
    assert look(app) == 1
    assert only(app).state == "resolved"


def test_one_look_reads_so_many_overdue_checks_and_no_more(
    app: Flask, team: Team, time: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = make_team(app, "Southline")
    for number in range(3):
        make_integration(app, team.admin, f"Relay {number}", next_check_at=NOW)
    make_integration(app, later.admin, next_check_at=NOW + MINUTE)
    monkeypatch.setattr(own_rules, "MOST", 3)
    time.shift(5 * MINUTE)
    assert look(app) == 1
    monkeypatch.setattr(own_rules, "MOST", 4)
    assert (look(app), look(app)) == (1, 0)
    found = {each.organization_id: each.since for each in alerts(app)}
    assert found == {team.organization_id: NOW, later.organization_id: NOW + MINUTE}
    monkeypatch.setattr(own_rules, "MOST", 3)
    assert look(app) == 0, "whose checks nobody came to are not called done"
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Integration).values(next_check_at=clock.now() + MINUTE))
    assert look(app) == 2


@SQLITE
def test_where_nobody_looks_for_checks_they_are_late_before_one_is_due(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    make_integration(app, team.admin, next_check_at=NOW + HOUR)
    make_team(app, "Southline")
    with app.app_context(), unit_of_work():
        pulse.note()
    time.shift(2 * MINUTE - timedelta(seconds=1))
    assert look(app) == 0
    time.shift(timedelta(seconds=1))
    assert (look(app, settled=False), look(app)) == (0, 1), "and who has nothing to check is not told"
    assert (only(app).title, only(app).since) == ("Health checks are late", NOW)
    with app.app_context(), unit_of_work():
        pulse.note()
    assert (look(app), only(app).resolution) == (1, "recovered")


LATE_DELIVERIES: dict[str, tuple[dict[str, Any], bool]] = {
    "nobody tries": ({"last_success_at": None}, True),
    "tried an hour ago": ({"last_success_at": NOW - HOUR, "last_failure_at": NOW - HOUR}, True),
    "in order": ({"ordered": True}, True),
    "the receiver is slow": ({"last_success_at": NOW + 5 * MINUTE}, False),
    "the receiver fails": ({"last_failure_at": NOW + 5 * MINUTE}, False),
    "the receiver wants quiet": ({"paused_until": NOW + 5 * MINUTE}, False),
    "it was just switched on": ({"updated_at": NOW + 5 * MINUTE}, False),
    "it is switched off": ({"status": "disabled"}, False),
}


@SQLITE
@pytest.mark.parametrize("case", LATE_DELIVERIES)
def test_overdue_deliveries_are_the_portals_fault_where_nothing_is_tried(
    app: Flask, team: Team, time: time_machine.Traveller, case: str
) -> None:
    columns, expected = LATE_DELIVERIES[case]
    hook = make_webhook(app, team.admin)
    make_delivery(app, team.admin, hook)
    change_webhook(app, hook, **columns)
    time.shift(6 * MINUTE)
    assert look(app) == expected
    if expected:
        assert (only(app).title, only(app).impact) == ("Deliveries are late", "Webhooks get events late")


@SQLITE
def test_in_order_the_others_wait_for_the_retry_of_the_first(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    hook = make_webhook(app, team.admin)
    first = make_delivery(app, team.admin, hook)
    make_delivery(app, team.admin, hook)
    change_webhook(app, hook, ordered=True)
    with app.app_context(), unit_of_work() as session:
        session.get_one(Delivery, first).due_at = NOW + HOUR
    time.shift(6 * MINUTE)
    assert look(app) == 0
    time.shift(2 * HOUR)
    assert look(app) == 1


def set_name(app: Flask, seq: int, name: str) -> None:
    """Change an entry of the audit trail behind the portal's back, with all that guards it taken away."""
    with app.app_context(), unit_of_work() as session:
        for statement in triggers.DROP[session.get_bind().dialect.name]:
            session.execute(text(statement))
        session.execute(update(AuditEntry).where(AuditEntry.seq == seq).values(target_name=name))


def watched(app: Flask) -> list[tuple[bool, int | None]]:
    """Let the watch look once; return what it knows of each chain."""
    with app.app_context():
        watch.look()
        with reading() as session:
            return [(row.ok, row.first_bad_seq) for row in session.scalars(select(AuditCheck))]


def act(app: Flask, team: Team, count: int = 1) -> int:
    """Write so many entries into the audit trail; return the number of the last one."""
    with app.app_context(), unit_of_work():
        for number in range(count):
            trail.record(
                action="policy.changed", organization_id=team.organization_id, target_type="policy",
                target_name=f"n{number}",
            )  # fmt: skip
    with app.app_context(), reading() as session:
        return session.scalars(select(func.max(AuditEntry.seq))).one() or 0


def test_a_broken_audit_trail_is_an_alert_until_all_of_it_fits(
    app: Flask, team: Team, time: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "NEWEST", 5)
    bad = act(app, team, 20) - 2
    assert watched(app) == [(True, None)]
    assert look(app) == 0
    set_name(app, bad, "changed")
    assert watched(app) == [(True, None)], "the next look is due in five minutes"
    time.shift(watch.EVERY)
    assert watched(app) == [(False, bad)]
    assert look(app) == 1
    found = only(app)
    assert (found.rule, found.severity, found.title) == ("audit_broken", "critical", "The audit trail is broken")
    assert found.message == f"Entry {bad} was changed, exchanged or added outside the portal."
    act(app, team, 20)
    time.shift(watch.EVERY)
    assert watched(app) == [(False, bad)], "its newest part fits, which proves nothing"
    set_name(app, bad, "n17")
    time.shift(watch.BROKEN_EVERY)
    assert watched(app) == [(True, None)]
    look(app)
    assert only(app).state == "resolved"


@SQLITE
def test_what_is_old_in_the_trail_is_looked_at_once_a_day(
    app: Flask, team: Team, time: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "NEWEST", 5)
    act(app, team, 20)
    watched(app)
    set_name(app, 3, "changed")
    time.shift(watch.EVERY)
    assert watched(app) == [(True, None)]
    time.shift(watch.WHOLE_EVERY)
    assert watched(app) == [(False, 3)]


@SQLITE
def test_a_head_that_is_gone_and_a_clock_set_back_are_noticed(
    app: Flask, team: Team, time: time_machine.Traveller
) -> None:
    act(app, team, 3)
    watched(app)
    time.shift(-DAY)
    set_name(app, 1, "x")
    with app.app_context(), unit_of_work() as session:
        session.execute(delete(AuditHead))
    assert watched(app) == [(False, 1)]


@SQLITE
def test_who_verifies_by_hand_settles_it(app: Flask, team: Team, admin: Browser) -> None:
    bad = act(app, team, 3) - 1
    watched(app)
    set_name(app, bad, "changed")
    admin.post("/admin/audit/verify")
    look(app)
    assert by_rule(app) == {"audit_broken": ["The audit trail is broken"]}
    set_name(app, bad, "n1")
    admin.post("/admin/audit/verify")
    look(app)
    assert by_rule(app) == {}
