"""Who is told of an alert, when and how often: group wait, reminders, flapping, quiet hours, digests, mutes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from portal.alerts.models import UNTIL_IT_RECOVERS, AlertState, ChangeKind, Severity
from tests.alerts.telling_kit import (
    WAIT,
    acknowledge,
    change_channel,
    channel,
    deliver,
    first_channel,
    happens,
    live_in,
    messages,
    notifications,
    notify,
    open_alert,
    open_alerts,
    prefer,
    reopen,
    resolve,
    subjects,
)
from tests.support.people import Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OPENED, STILL, RESOLVED = "Alert: Emails not sending", "Still open: Emails not sending", "Resolved: Emails not sending"


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


Clock = time_machine.Traveller


def run(app: Flask, time: Clock, length: timedelta, step: timedelta = MINUTE) -> None:
    """Let time pass with a look every step."""
    for _ in range(round(length / step)):
        time.shift(step)
        notify(app)
        deliver(app)


def test_owners_and_admins_are_told_after_the_group_wait_and_of_the_end(app: Flask, team: Team, time: Clock) -> None:
    alert = open_alert(app, team)
    assert notify(app) == 0
    time.shift(WAIT - timedelta(seconds=1))
    assert notify(app) == 0, "others may follow"
    time.shift(timedelta(seconds=1))
    assert notify(app) == 1
    assert notify(app) == 0, "once"
    found = messages(app)
    assert {each.to_address for each in found} == {f"{name}@northline.example" for name in ("dana", "marcus", "noor")}
    assert {(each.subject, each.purpose, each.status) for each in found} == {(OPENED, "alert", "queued")}
    run(app, time, 5 * MINUTE)
    resolve(app, alert)
    run(app, time, MINUTE)
    assert subjects(app) == [OPENED, RESOLVED]
    run(app, time, 9 * HOUR, HOUR)
    assert len(subjects(app)) == 2, "what is over needs no reminder"


def test_what_is_over_before_anybody_was_told_tells_nobody(app: Flask, team: Team, time: Clock) -> None:
    alert = open_alert(app, team)
    notify(app)
    time.shift(20 * timedelta(seconds=1))
    resolve(app, alert)
    run(app, time, HOUR)
    assert messages(app) == []


def test_alerts_of_the_same_half_minute_are_one_message(app: Flask, team: Team, time: Clock) -> None:
    open_alerts(app, team, 2)
    time.shift(timedelta(seconds=20))
    late = open_alert(app, team, severity=Severity.WARNING)
    time.shift(timedelta(seconds=10))
    assert notify(app) == 1
    assert subjects(app) == ["3 alerts: Emails not sending, and 2 more"]
    deliver(app)
    resolve(app, late)
    open_alert(app, team)
    run(app, time, MINUTE)
    assert subjects(app)[1:] == [OPENED], "new and resolved ones come together"
    assert "Resolved" in messages(app)[-1].text


def test_reminders_are_grouped_and_come_once_in_an_interval(app: Flask, team: Team, time: Clock) -> None:
    first = open_alert(app, team)
    run(app, time, HOUR)
    second = open_alert(app, team, impact="Texts not sending")
    run(app, time, 3 * HOUR - 2 * MINUTE)
    assert subjects(app) == [OPENED, "Alert: Texts not sending"]
    run(app, time, 4 * MINUTE)
    assert subjects(app)[2:] == ["2 alerts still open: Emails not sending, and 1 more"]
    resolve(app, first)
    run(app, time, 5 * MINUTE)
    run(app, time, 8 * HOUR, 5 * MINUTE)
    assert subjects(app)[3:] == [RESOLVED, "Still open: Texts not sending", "Still open: Texts not sending"]
    acknowledge(app, second)
    run(app, time, 24 * HOUR, HOUR)
    assert len(subjects(app)) == 6, "somebody knows of it"
    resolve(app, second)
    run(app, time, MINUTE)
    assert subjects(app)[6:] == ["Resolved: Texts not sending"]


def test_an_acknowledgement_that_is_taken_back_brings_reminders_back(app: Flask, team: Team, time: Clock) -> None:
    alert = open_alert(app, team)
    run(app, time, MINUTE)
    acknowledge(app, alert)
    run(app, time, 9 * HOUR, HOUR)
    happens(app, alert, ChangeKind.WITHDRAWN, state=AlertState.OPEN)
    run(app, time, MINUTE)
    assert subjects(app) == [OPENED, STILL]


def test_without_reminders_there_is_none_and_a_shorter_interval_holds_at_once(
    app: Flask, team: Team, time: Clock
) -> None:
    prefer(app, team, reminder_minutes=None)
    open_alert(app, team)
    run(app, time, 24 * HOUR, HOUR)
    assert subjects(app) == [OPENED]
    prefer(app, team, reminder_minutes=5)
    run(app, time, MINUTE)
    assert subjects(app) == [OPENED, STILL]
    run(app, time, 9 * MINUTE)
    assert subjects(app) == [OPENED, STILL, STILL]


def test_what_comes_and_goes_is_told_once_in_an_interval(app: Flask, team: Team, time: Clock) -> None:
    alert = open_alert(app, team)
    for _ in range(10):
        run(app, time, 2 * MINUTE)
        resolve(app, alert)
        run(app, time, 2 * MINUTE)
        reopen(app, alert)
    assert subjects(app) == [OPENED, RESOLVED]
    run(app, time, 4 * HOUR, 5 * MINUTE)
    assert subjects(app)[2:] == [OPENED], "it is still open when an interval has passed"


def test_what_got_worse_is_told_at_once(app: Flask, team: Team, time: Clock) -> None:
    change_channel(app, team, first_channel(app, team).id, minimum="critical")
    channel(app, team, minimum="all")
    alert = open_alert(app, team, severity=Severity.WARNING)
    run(app, time, 5 * MINUTE)
    assert (subjects(app), len(subjects(app, "ops@example.org"))) == ([], 1), "a warning is for those who want all"
    happens(app, alert, ChangeKind.REOPENED, severity=Severity.CRITICAL)
    run(app, time, MINUTE)
    assert (subjects(app), len(subjects(app, "ops@example.org"))) == ([OPENED], 2)


def test_a_muted_alert_is_told_nowhere_until_its_mute_ends(app: Flask, team: Team, time: Clock) -> None:
    alert = open_alert(app, team)
    happens(app, alert, ChangeKind.MUTED, muted_until=NOW + 8 * HOUR)
    other = open_alert(app, team, impact="Texts not sending", muted_until=UNTIL_IT_RECOVERS)
    run(app, time, 8 * HOUR - 10 * MINUTE, 10 * MINUTE)
    assert messages(app) == []
    run(app, time, 11 * MINUTE)
    assert subjects(app) == [OPENED]
    happens(app, alert, ChangeKind.MUTED, muted_until=UNTIL_IT_RECOVERS)
    run(app, time, 9 * HOUR, HOUR)
    resolve(app, alert)
    resolve(app, other)
    run(app, time, 9 * HOUR, HOUR)
    assert subjects(app) == [OPENED], "nor is its end told while it is muted"


def test_quiet_hours_end_where_the_organization_is_and_the_clock_goes_back(app: Flask, team: Team, time: Clock) -> None:
    live_in(app, team, "Europe/Berlin")
    prefer(app, team, quiet_from="22:00", quiet_to="07:00", critical_passes=False)
    time.move_to(datetime(2025, 10, 25, 21, 30, tzinfo=UTC))  # 23:30 of the day before the night with 25 hours
    open_alert(app, team)
    run(app, time, 8 * HOUR + 20 * MINUTE, 10 * MINUTE)
    assert messages(app) == [], "06:50"
    run(app, time, 10 * MINUTE, MINUTE)
    assert [each.created_at for each in messages(app)][:1] == [datetime(2025, 10, 26, 6, 0, tzinfo=UTC)]


def test_critical_alerts_pass_quiet_hours_where_that_is_wanted(app: Flask, team: Team, time: Clock) -> None:
    prefer(app, team, quiet_from="11:00", quiet_to="13:00", critical_passes=True)
    open_alert(app, team)
    warning = open_alert(app, team, severity=Severity.WARNING, impact="Texts slow")
    run(app, time, MINUTE)
    assert subjects(app) == [OPENED]
    assert "Texts slow" not in messages(app)[0].text
    resolve(app, warning)
    run(app, time, 2 * HOUR)
    assert subjects(app) == [OPENED], "it was over before anybody was told"


def test_a_digest_tells_once_a_day_what_is_open_and_what_ended(app: Flask, team: Team, time: Clock) -> None:
    live_in(app, team, "Australia/Sydney")
    change_channel(app, team, first_channel(app, team).id, mode="digest", digest_at="08:00")
    first, _second = open_alerts(app, team, 2)  # 23:00 in Sydney
    run(app, time, 8 * HOUR, 10 * MINUTE)
    assert messages(app) == []
    run(app, time, 2 * HOUR, 10 * MINUTE)
    assert subjects(app) == ["Alerts today: 2 open"]
    assert messages(app)[0].created_at == datetime(2025, 11, 21, 21, 0, tzinfo=UTC)
    resolve(app, first)
    run(app, time, 24 * HOUR, HOUR)
    assert subjects(app)[1:] == ["Alerts today: 1 open, 1 resolved"]
    assert {each.kind for each in notifications(app)} == {"digest"}


def test_a_clock_set_back_puts_nothing_off(app: Flask, team: Team, time: Clock) -> None:
    open_alert(app, team)
    time.shift(-6 * HOUR)
    run(app, time, MINUTE)
    assert subjects(app) == [OPENED]
