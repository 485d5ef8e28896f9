"""Alerts are told once, however many there are and however many processes tell them, and never by what is failing."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select

from portal import clock
from portal.accounts.models import Membership
from portal.alerts import notification_retention, telling
from portal.alerts.models import Severity
from portal.alerts.notification_models import AlertNotice
from portal.database import reading, unit_of_work
from portal.integrations.models import Status
from portal.messaging import service as messaging
from portal.messaging.models import Message
from portal.providers.base import SendOutcome
from portal.providers.slack.provider import Slack
from portal.settings import Settings
from tests.alerts.kit import change, works
from tests.alerts.telling_kit import (
    WAIT,
    change_channel,
    change_user,
    channel,
    first_channel,
    messages,
    notifications,
    notify,
    open_alert,
    open_alerts,
    prefer,
    resolve,
    subjects,
)
from tests.messaging.kit import SENT, Post
from tests.support.integrations import failing, make_integration
from tests.support.people import Browser, Team

NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Clock = time_machine.Traveller


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_five_hundred_alerts_are_one_message_that_lists_the_worst(app: Flask, team: Team, time: Clock) -> None:
    open_alerts(app, team, 499, severity=Severity.WARNING)
    open_alert(app, team, title="The worst (SMTP): timed out")
    time.shift(WAIT)
    assert notify(app) == 1
    assert subjects(app) == ["500 alerts: Emails not sending, and 499 more"]
    text = messages(app)[0].text
    assert text.count("Impact:") == 10
    assert "The worst" in text.split("Impact:")[0]
    assert "And 490 more." in text
    assert "All alerts: http://localhost/admin/alerts" in text
    assert (notifications(app)[0].opened, len(messages(app))) == (500, 3)


def test_two_processes_tell_once(
    app: Flask, settings: Settings, start_app: Callable[[Settings], Flask], team: Team, time: Clock
) -> None:
    open_alerts(app, team, 3)
    time.shift(WAIT)
    others = [start_app(settings) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(notify, others)) == [0, 0, 1]
    assert (len(notifications(app)), len(messages(app))) == (1, 3)


def test_a_crash_between_notice_and_queue_leaves_nothing_half_told(
    app: Flask, team: Team, time: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_alert(app, team)
    time.shift(WAIT)
    queued: list[str] = []

    def crash(**values: Any) -> Message:
        queued.append(values["to"])
        if len(queued) == 2:
            raise OSError("killed")
        return queue(**values)

    queue = messaging.queue
    monkeypatch.setattr(telling, "queue", crash)
    with caplog.at_level(logging.CRITICAL):
        assert notify(app) == 0
    assert (len(notifications(app)), len(messages(app))) == (0, 0)
    monkeypatch.setattr(telling, "queue", queue)
    assert notify(app) == 1
    assert len(messages(app)) == 3


def test_no_message_travels_through_what_it_is_about(
    app: Flask, team: Team, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(app, team).install(monkeypatch)
    down = post.carrier("a", **failing())
    shaky = post.carrier("b", **failing())
    alert = open_alert(app, team, integration_id=down)
    time.shift(WAIT)
    notify(app)
    change(app, down, **works())
    assert post.work() == 3, "it looks as if it worked again"
    assert post.asked == []
    assert {each.error_message for each in messages(app)} == {
        "No email provider is active: each is disabled, unverified or in error."
    }
    post.carrier("c")
    time.shift(HOUR)
    post.work()
    assert post.asked == ["c"] * 3
    change(app, shaky, **works())
    post.asked.clear()
    resolve(app, alert)
    time.shift(WAIT)
    notify(app)
    post.work()
    assert post.asked == ["a"] * 3, "what works again may say so"


def test_what_works_again_carries_what_waits_about_others(
    app: Flask, team: Team, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(app, team).install(monkeypatch)
    down, short, unnoticed = (post.carrier(name, **failing()) for name in "abc")
    open_alert(app, team, integration_id=down)
    back = open_alert(app, team, integration_id=short)
    time.shift(WAIT)
    notify(app)
    post.work()
    assert post.asked == []
    change(app, short, **works())
    time.shift(HOUR)
    post.work()
    assert post.asked == [], "its alert is open"
    resolve(app, back)
    notify(app)
    post.work()
    assert post.asked == ["b"] * 3
    time.shift(4 * HOUR)
    change(app, short, **failing())
    notify(app)
    change(app, unnoticed, **works())
    post.work()
    assert post.asked[3:] == ["c"] * 3, "what ended, together with a reminder"


def test_what_could_not_be_sent_before_it_was_over_is_sent_no_more(
    app: Flask, team: Team, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(app, team).install(monkeypatch)
    down = post.carrier("a", **failing())
    alert, other = open_alert(app, team, integration_id=down), open_alert(app, team, impact="Texts slow")
    time.shift(WAIT)
    notify(app)
    post.work()
    resolve(app, alert)
    notify(app)
    assert {each.status for each in messages(app)} == {"queued"}, "it also tells of what is still open"
    resolve(app, other)
    notify(app)
    assert {each.status for each in messages(app)} == {"canceled"}
    time.shift(HOUR)
    notify(app)
    post.carrier("b")
    time.shift(HOUR)
    post.work()
    assert (post.asked, len(messages(app))) == ([], 3), "nor is its end told to who knew nothing of it"


def slack(app: Flask, team: Team, **columns: Any) -> Any:
    return make_integration(
        app, team.admin, "Slack", provider="slack", type="chat", capabilities=["chat"], config={}, **columns
    )


def test_a_chat_that_is_down_is_skipped_and_email_tells_of_it_instead(app: Flask, team: Team, time: Clock) -> None:
    chat = slack(app, team)
    channel(app, team, kind="chat", integration_id=str(chat))
    change_channel(app, team, first_channel(app, team).id, minimum="critical")
    change(app, chat, **failing())
    open_alert(app, team, impact="Texts slow", severity=Severity.WARNING)
    alert = open_alert(app, team, integration_id=chat, impact="Chats silent", severity=Severity.WARNING)
    time.shift(WAIT)
    notify(app)
    assert subjects(app) == ["Alert: Chats silent (Slack)"]
    (skipped,) = [each for each in notifications(app) if each.channel_kind == "chat"]
    assert skipped.skipped == "Slack is in error. Email channels are told about it instead."
    change(app, chat, **works())
    resolve(app, alert)
    time.shift(WAIT)
    notify(app)
    (told,) = [each for each in messages(app) if each.channel == "chat"]
    assert told.subject == "Alert: Texts slow", "what is still open, and never the end of what it was not told of"
    assert told.pinned_integration_id == chat
    assert told.extra["url"] == "http://localhost/admin/alerts"
    assert ["Impact", "Texts slow"] in told.extra["facts"]


def test_a_chat_message_reaches_its_place(app: Flask, team: Team, time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def send(_self: Slack, _values: Any, _context: Any, message: Any) -> SendOutcome:
        sent.append(message)
        return SENT

    monkeypatch.setattr(Slack, "send_chat", send)
    chat = slack(app, team)
    channel(app, team, kind="chat", integration_id=str(chat))
    open_alerts(app, team, 2)
    time.shift(WAIT)
    notify(app)
    Post(app, team).work()
    (message,) = sent
    assert (message.title, message.tone) == ("2 alerts: Emails not sending, and 1 more", "err")
    assert "• Relay 1 (SMTP): timed out\n• Relay 2 (SMTP): timed out" in message.text


def opt_in(app: Flask, person: Any, *, phone: str = "+61400000001", wanted: bool = True) -> str:
    fields = {"name": person.name, "phone": phone, "time_zone": "UTC"} | ({"sms_alerts": "y"} if wanted else {})
    answer = Browser(app, person).post("/profile", fields)
    return f"{answer.status_code}"


def test_text_messages_go_to_members_who_asked_for_them(app: Flask, team: Team, time: Clock) -> None:
    channel(app, team, kind="sms", minimum="all")
    assert opt_in(app, team.agent, phone="") == "422", "nowhere to send them"
    assert opt_in(app, team.agent) == "303"
    opt_in(app, team.admin, phone="+61400000002")
    opt_in(app, team.admin, phone="+61400000002", wanted=False)
    opt_in(app, team.owner, phone="+61400000003")
    change_user(app, team.owner.user_id, phone="+61400000009")  # by a way that asks nobody
    opt_in(app, team.newcomer, phone="+61400000004")
    change_user(app, team.newcomer.user_id, disabled_at=clock.now())
    open_alert(app, team, severity=Severity.WARNING, impact="Texts slow")
    open_alert(app, team)
    time.shift(WAIT)
    notify(app)
    texts = [each for each in messages(app) if each.channel == "sms"]
    assert [each.to_address for each in texts] == ["+61400000001"]
    assert texts[0].text == "Integrations Portal: Emails not sending since 12:00. http://localhost/admin/alerts"
    with app.app_context(), unit_of_work() as session:
        session.execute(delete(Membership).where(Membership.user_id == team.agent.user_id))
    open_alert(app, team)
    time.shift(WAIT)
    notify(app)
    assert len([each for each in messages(app) if each.channel == "sms"]) == 1
    assert notifications(app)[-1].skipped == "No member asked for text messages."


def test_who_is_no_member_any_more_gets_nothing(app: Flask, team: Team, time: Clock) -> None:
    chosen = [str(team.admin.user_id), str(team.agent.user_id)]
    change_channel(app, team, first_channel(app, team).id, audience="members", member_ids=chosen)
    with app.app_context(), unit_of_work() as session:
        session.execute(delete(Membership).where(Membership.user_id == team.admin.user_id))
    open_alert(app, team)
    time.shift(WAIT)
    notify(app)
    assert [each.to_address for each in messages(app)] == [team.agent.email]


def test_names_can_neither_forge_headers_nor_markup_nor_turn_the_text(app: Flask, team: Team, time: Clock) -> None:
    name = "x\r\nBcc: all@example.org\u202e<b>&"
    relay = make_integration(app, team.admin, name, status=Status.ACTIVE)
    open_alert(app, team, integration_id=relay, title=f"{name} (SMTP): timed out", message="<script>\u2028x")
    time.shift(WAIT)
    notify(app)
    found = messages(app)[0]
    assert found.subject == "Alert: Emails not sending (x Bcc: all@example.org<b>&)"
    assert "\u202e" not in found.text + found.html
    assert "\nBcc" not in found.text
    assert "x Bcc: all@example.org&lt;b&gt;&amp; (SMTP): timed out" in found.html
    assert "<script>" not in found.html


def test_the_log_is_kept_for_90_days_and_what_channels_knew_for_one(app: Flask, team: Team) -> None:
    with clock.at(NOW):
        prefer(app, team, group_wait_seconds=0)
        over, live = open_alerts(app, team, 2)
        notify(app)
        resolve(app, over)
        notify(app)
    with app.app_context(), clock.at(NOW + 25 * HOUR):
        assert notification_retention.tidy() == 1
        with reading() as session:
            assert session.scalars(select(AlertNotice.alert_id)).all() == [live]
    assert len(notifications(app)) == 2
    with app.app_context(), clock.at(NOW + timedelta(days=91)):
        assert notification_retention.tidy() == 3, "two notifications, and the alert that is over"
    assert notifications(app) == []


def test_another_organization_is_told_nothing(app: Flask, team: Team, time: Clock) -> None:
    prefer(app, team, group_wait_seconds=0)
    open_alert(app, team)
    assert notify(app) == 1
    assert {each.organization_id for each in messages(app)} == {team.organization_id}
