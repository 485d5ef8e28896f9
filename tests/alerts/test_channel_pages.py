"""The pages of notification channels, settings and the log of what was told: what they show, refuse and write down."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from portal import clock
from portal.alerts import channels
from portal.alerts.notification_models import AlertChannel
from portal.database import reading, unit_of_work
from portal.integrations.models import Status
from portal.messaging import service as messaging
from tests.alerts.kit import change
from tests.alerts.telling_kit import (
    WAIT,
    channel,
    first_channel,
    messages,
    notifications,
    notify,
    open_alert,
    open_alerts,
    prefer,
)
from tests.messaging.kit import Post
from tests.support.integrations import make_integration, trail
from tests.support.people import Browser, Team, make_team, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
PAGE, LOG = "/admin/alerts/channels", "/admin/alerts/notifications"
EMAIL = {"kind": "email", "name": "Ops", "audience": "addresses", "minimum": "all", "mode": "at_once", "enabled": "on"}


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def stored(app: Flask, team: Team) -> list[AlertChannel]:
    with app.app_context(), reading():
        return list(channels.listed(organization_id=team.organization_id))


def test_everybody_begins_with_one_channel_and_sees_what_is_missing(app: Flask, admin: Browser, team: Team) -> None:
    text = words(admin.get(PAGE))
    for said in (
        "Owners and admins Email: Owners and admins All alerts, at once Never", "No email provider configured.",
        "Events Webhooks that ask for them", "Always on", "Every 4 hours", "Notifications Channels",
    ):  # fmt: skip
        assert said in text, said
    assert words(admin.get(PAGE)).count("Email: Owners and admins") == 1, "looking twice makes no second one"
    assert "Chat" not in re.findall(r"kind=(\w+)", admin.get(PAGE).text), "there is no chat integration"
    mail = make_integration(app, team.admin)
    assert "No email provider" not in words(admin.get(PAGE))
    change(app, mail, enabled=False, status=Status.INACTIVE)
    assert "No email provider is active. Each is disabled, unverified or in error." in words(admin.get(PAGE))


def test_a_channel_is_added_changed_switched_off_and_deleted(app: Flask, admin: Browser, team: Team) -> None:
    first_channel(app, team)
    answer = admin.post(f"{PAGE}/new", {**EMAIL, "addresses": "Ops@Example.org\nb@example.org, ops@example.org"})
    assert answer.status_code == 303
    row = stored(app, team)[1]
    assert (row.name, row.addresses, row.enabled) == ("Ops", ["ops@example.org", "b@example.org"], True)
    edit = f"{PAGE}/{row.id}/edit"
    assert "b@example.org" in admin.get(edit).text
    changed = {
        **EMAIL,
        "audience": "members",
        "member_ids": str(team.agent.user_id),
        "mode": "digest",
        "digest_at": "07:30",
    }
    assert admin.post(edit, changed, htmx=True).status_code == 204
    assert "1 chosen member All alerts, daily at 07:30" in words(admin.get(PAGE))
    admin.post(f"{PAGE}/{row.id}/switch", {})
    assert not stored(app, team)[1].enabled
    admin.post(f"{PAGE}/{row.id}/switch", {"enabled": "on"})
    assert stored(app, team)[1].enabled
    answer = admin.post(f"{PAGE}/{row.id}/delete", {}, htmx=True)
    assert {"channels-changed", "toast"} == set(json.loads(answer.headers["HX-Trigger"])), "the list stays where it is"
    assert [each.name for each in stored(app, team)] == ["Owners and admins"]
    assert [each.action for each in trail(app) if each.action.startswith("alert.")] == [
        "alert.channel_created", "alert.channel_changed", "alert.channel_changed", "alert.channel_changed",
        "alert.channel_deleted",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"addresses": ""}, "Enter at least one email address."),
        ({"addresses": "a@example.org\nnobody"}, '"nobody" is no email address.'),
        ({"addresses": "a@example.org\r\nBcc: b@example.org"}, '"Bcc: b@example.org" is no email address.'),
        ({"addresses": "\n".join(f"a{number}@example.org" for number in range(21))}, "Enter at most 20 addresses"),
        ({"audience": "members"}, "Choose at least one member."),
        ({"audience": "members", "member_ids": str(uuid.uuid4())}, "Choose at least one member."),
        ({"audience": "everybody"}, "Choose who gets the messages."),
        ({"addresses": "a@example.org", "mode": "digest", "digest_at": "25:00"}, "Enter a time such as 08:00."),
        ({"addresses": "a@example.org", "name": "x" * 101}, "Shorten the name to 100 characters."),
        ({"kind": "chat"}, "Choose a chat integration"),
    ],
)
def test_what_will_not_do_is_said_beside_the_field(
    app: Flask, admin: Browser, team: Team, sent: dict[str, str], said: str
) -> None:
    first_channel(app, team)
    answer = admin.post(f"{PAGE}/new", {**EMAIL, **sent})
    assert answer.status_code == 422
    assert said in words(answer)
    assert len(stored(app, team)) == 1


def test_text_messages_are_for_critical_alerts_alone(app: Flask, admin: Browser, team: Team) -> None:
    admin.post(f"{PAGE}/new", {**EMAIL, "kind": "sms", "audience": "", "minimum": "all"})
    assert stored(app, team)[-1].minimum == "critical"
    assert "so far nobody" in words(admin.get(f"{PAGE}/new?kind=sms"))


def test_another_organizations_channels_and_notifications_do_not_exist(app: Flask, admin: Browser) -> None:
    other = make_team(app, "Other")
    theirs = channel(app, other)
    open_alert(app, other)
    with time_machine.travel(NOW + WAIT, tick=False):
        notify(app)
    for path in (f"{PAGE}/{theirs}/edit", f"{LOG}/{notifications(app)[0].id}"):
        assert admin.get(path).status_code == 404
    for path in ("test", "delete", "switch", "edit"):
        assert admin.post(f"{PAGE}/{theirs}/{path}", EMAIL).status_code == 404
    assert "Nothing told yet" in words(admin.get(LOG))


def test_an_integration_of_another_organization_is_no_place(app: Flask, admin: Browser) -> None:
    other = make_team(app, "Other")
    theirs = make_integration(
        app, other.admin, "Slack", provider="slack", type="chat", capabilities=["chat"], config={}
    )
    assert admin.post(f"{PAGE}/new", {**EMAIL, "kind": "chat", "integration_id": str(theirs)}).status_code == 422


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"reminder_minutes": "4"}, "Use 5 minutes to 7 days"),
        ({"reminder_minutes": "10081"}, "Use 5 minutes to 7 days"),
        ({"reminder_minutes": "x"}, "Enter a whole number."),
        ({"group_wait_seconds": "601"}, "Use 0 to 600 seconds."),
        ({"quiet_from": "22:00"}, "Enter both times"),
        ({"quiet_from": "22:00", "quiet_to": "22:00"}, "Use another time than the start."),
        ({"quiet_from": "late", "quiet_to": "7"}, "Enter a time such as 22:00."),
    ],
)
def test_settings_say_what_will_not_do(admin: Browser, sent: dict[str, str], said: str) -> None:
    answer = admin.post(f"{PAGE}/settings", {"reminder_minutes": "240", "group_wait_seconds": "30", **sent})
    assert answer.status_code == 422
    assert said in words(answer)


def test_settings_are_stored_and_audited(app: Flask, admin: Browser) -> None:
    sent = {"reminder_minutes": "", "group_wait_seconds": "60", "quiet_from": "22:00", "quiet_to": "07:00"}
    assert admin.post(f"{PAGE}/settings", sent).status_code == 303
    text = admin.get(PAGE).text
    assert 'value="22:00"' in text
    (entry,) = trail(app, "alert.notification_settings_changed")
    assert entry.after == {
        "reminder_minutes": None, "group_wait_seconds": 60, "quiet_from": "22:00", "quiet_to": "07:00",
        "critical_passes": False,
    }  # fmt: skip
    prefer_same = admin.post(f"{PAGE}/settings", sent)
    assert prefer_same.status_code == 303
    assert len(trail(app, "alert.notification_settings_changed")) == 1, "nothing changed"


def test_a_test_is_a_real_message_whose_fate_shows(
    app: Flask, admin: Browser, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(app, team).install(monkeypatch)
    post.carrier("a")
    first = first_channel(app, team)
    answer = admin.post(f"{PAGE}/{first.id}/test", {}, htmx=True)
    assert "3 recipients" in answer.headers["HX-Trigger"]
    assert "Test just now 3 queued" in words(admin.get(PAGE))
    assert "every 2s" in admin.get(PAGE).text
    post.work()
    assert "Test just now 3 sent" in words(admin.get(PAGE))
    assert {each.subject for each in post.letters} == {"Test of an alert channel"}
    assert {each.purpose for each in messages(app)} == {"test"}
    assert trail(app, "alert.channel_tested")[0].after == {"recipients": 3}
    nobody = channel(app, team, kind="sms")
    answer = admin.post(f"{PAGE}/{nobody}/test", {}, htmx=True)
    assert "No member asked for text messages." in answer.headers["HX-Trigger"]


def test_the_log_says_what_was_told_to_whom_and_what_became_of_it(
    app: Flask, admin: Browser, team: Team, time: time_machine.Traveller
) -> None:
    alert, _other = open_alerts(app, team, 2, impact="<b>Emails</b> not sending")
    prefer(app, team, reminder_minutes=None)
    time.shift(WAIT)
    notify(app)
    text = words(admin.get(LOG))
    assert (
        "2 alerts: <b>Emails</b> not sending, and 1 more 2 opened Opened Owners and admins 3 recipients 3 queued"
        in text
    )
    (first,) = [each for each in messages(app) if each.to_address == team.owner.email]
    with app.app_context(), unit_of_work():
        messaging.cancel(organization_id=team.organization_id, message_id=first.id)
    assert "2 queued 1 canceled" in words(admin.get(LOG))
    detail = words(admin.get(f"{LOG}/{notifications(app)[0].id}"))
    for said in ("dana@northline.example Canceled", "marcus@northline.example Queued", "Relay 1 (SMTP): timed out"):
        assert said in detail, said
    assert "Who was told" in words(admin.get(f"/admin/alerts/{alert}"))
    assert "Opened Owners and admins" in words(admin.get(f"/admin/alerts/{alert}"))
    assert "<b>Emails" not in admin.get(LOG).text


def test_the_log_has_pages(app: Flask, admin: Browser, team: Team, time: time_machine.Traveller) -> None:
    prefer(app, team, reminder_minutes=None, group_wait_seconds=0)
    for _ in range(26):
        time.shift(timedelta(seconds=1))
        open_alert(app, team)
        notify(app)
    first = admin.get(LOG)
    assert len(set(re.findall(rf'href="{LOG}/([0-9a-f-]+)"', first.text))) == 25
    following = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert following
    assert len(set(re.findall(rf'href="{LOG}/([0-9a-f-]+)"', admin.get(following[1]).text))) == 1
    assert admin.get(f"{LOG}?cursor=nonsense").status_code == 404


def test_a_channel_whose_chat_is_gone_can_be_switched_off_and_not_on(app: Flask, admin: Browser, team: Team) -> None:
    chat = make_integration(app, team.admin, "Slack", provider="slack", type="chat", capabilities=["chat"], config={})
    row = channel(app, team, kind="chat", integration_id=str(chat))
    change(app, chat, deleted_at=clock.now(), enabled=False)
    address = f"/admin/alerts/channels/{row}/switch"

    def is_on() -> bool:
        with app.app_context(), reading() as session:
            return session.get_one(AlertChannel, row).enabled

    admin.post(address, {})
    assert not is_on()
    admin.post(address, {"enabled": "on"})
    assert not is_on()
