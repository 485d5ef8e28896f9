"""The pages of messages: the log with its filters, one message with its tries, retry and cancel."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from portal import clock
from portal.database import on_wake, unit_of_work
from portal.integrations.models import Integration
from portal.messaging import WAKE, Channel, Message, MessageStatus, claims, sending, service
from portal.messaging.claims import LEASE
from portal.providers.base import Outcome
from portal.web import listing
from tests.messaging.kit import NOW, Post, ended
from tests.support.integrations import failing, trail
from tests.support.people import Browser, make_team, whole_list, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
ALL = "/admin/messages"
UNKNOWN, FAILED, REFUSED = Outcome.UNKNOWN_OUTCOME, Outcome.UNREACHABLE, Outcome.RECIPIENT_REJECTED


def listed(answer: TestResponse) -> list[uuid.UUID]:
    """Return the messages that a page lists, in their order."""
    assert answer.status_code == 200, words(answer)
    return [uuid.UUID(each) for each in re.findall(r'href="/admin/messages/([0-9a-f-]{36})"', answer.text)]


def shown(browser: Browser, path: str) -> list[uuid.UUID]:
    """Return the messages of all pages."""
    return whole_list(browser, path, listed)


def change(app: Flask, message_id: uuid.UUID, **columns: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Message).where(Message.id == message_id).values(**columns))


def with_outcome(post: Post, outcome: Outcome, **changes: Any) -> uuid.UUID:
    """Return a message that a carrier answered so."""
    post.answers["a"] = ended(outcome)
    message = post.put(**changes)
    post.work()
    post.answers.clear()
    return message


def test_an_empty_log_says_what_will_stand_there(admin: Browser) -> None:
    assert "No messages yet" in words(admin.get(ALL))
    assert "No messages match" in words(admin.get(f"{ALL}?status=failed"))
    assert "No messages yet" in words(admin.get(f"{ALL}?status=nonsense&channel=pigeon&time=ever"))


def test_the_log_says_of_each_message_what_to_whom_how_it_stands_and_through_whom(post: Post, admin: Browser) -> None:
    post.carrier("a")
    with_outcome(post, Outcome.OK, subject="SMTP is down")
    assert "SMTP is down To dana@example.org Email Sent a" in words(admin.get(ALL))
    with_outcome(post, REFUSED, subject="", text="Twilio\nis <b>down</b> \u202eand so on")
    text = words(admin.get(ALL))
    assert "Twilio is <b>down</b> and so on To dana@example.org Email Not delivered It said recipient refused." in text
    with_outcome(post, REFUSED, subject="", text="Emails do not send. https://portal.example.org/admin/alerts")
    assert "Emails do not send. To dana@example.org" in words(admin.get(ALL)), "an address is nothing to be called by"
    with_outcome(post, UNKNOWN)
    assert "Unconfirmed" in words(admin.get(ALL))
    assert "<b>down</b>" not in admin.get(ALL).text


def test_the_filters_stand_in_the_address_and_narrow_together(app: Flask, post: Post) -> None:
    post.carrier("a")
    with clock.at(NOW - timedelta(days=2)):
        old = with_outcome(post, Outcome.OK, to="lee@example.org")
    with clock.at(NOW):
        admin = Browser(app, post.team.admin)
        failed = with_outcome(post, REFUSED)
        unsure = with_outcome(post, UNKNOWN, subject="100% gone")
        sms = post.put(channel=Channel.SMS, to="+61400000000", subject="")
        later = post.put(due_at=NOW + timedelta(hours=1))
        change(app, sms, provider_id="SM42", status=MessageStatus.SENDING)
        expected = {
            "": [later, sms, unsure, failed, old],
            "channel=sms": [sms],
            "channel=email&status=queued": [later],
            "status=queued": [later, sms],
            "status=failed": [failed],
            "status=unknown": [unsure],
            "q=LEE@": [old],
            "q=0%25+g": [unsure],
            "q=SM42": [sms],
            "q=SM4": [],
            "time=24h": [later, sms, unsure, failed],
            "until=2025-11-20": [old],
            "since=2025-11-21&status=failed": [failed],
            "since=yesterday": [later, sms, unsure, failed, old],
        }
        found = {query: sorted(shown(admin, f"{ALL}?{query}")) for query in expected}
    assert found == {query: sorted(ids) for query, ids in expected.items()}


@pytest.mark.parametrize("most", [200, 50, 25])
def test_older_ones_are_added_to_the_page_and_then_stand_on_the_next(
    post: Post, admin: Browser, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(listing, "MOST_SHOWN", most)
    ids = [post.put(subject=f"Number {number}") for number in range(60)]
    texts = [post.put(channel=Channel.SMS) for _ in range(2)]
    assert shown(admin, ALL) == [*reversed(texts), *reversed(ids)]
    assert shown(admin, f"{ALL}?channel=email") == list(reversed(ids))


def test_a_look_at_what_changed_keeps_what_was_loaded(post: Post, admin: Browser) -> None:
    for _ in range(60):
        post.put()
    answer = admin.get(f"{ALL}?channel=email&shown=50", target="messages")
    assert len(re.findall(r'href="/admin/messages/[0-9a-f-]{36}"', answer.text)) == 50
    assert 'hx-get="/admin/messages?channel=email&amp;shown=50"' in answer.text
    assert "<form" not in answer.text
    for nonsense in ("shown=-1", "shown=%C2%B2", "shown=10000000000000000000000"):
        assert admin.get(f"{ALL}?{nonsense}").status_code == 200
    assert admin.get(f"{ALL}?cursor=nonsense").status_code == 404


def test_the_detail_says_who_was_tried_and_what_they_answered(post: Post, admin: Browser) -> None:
    post.carrier("a")
    post.carrier("b")
    message = with_outcome(post, FAILED, text="It fails <since> nine.")
    answer = admin.get(f"{ALL}/{message}")
    text = words(answer)
    assert "It fails <since> nine." in text
    assert "2 b SMTP Sent Taken over as 250 queued as 42." in text
    assert "1 a SMTP Not reachable It said not reachable. x" in text
    assert "<since>" not in answer.text
    assert f"{message}/" not in answer.text, "nothing can be done with it"


def test_what_waits_says_why_and_until_when_and_is_looked_at_again(post: Post, admin: Browser) -> None:
    message = post.put()
    post.work()
    answer = admin.get(f"{ALL}/{message}")
    text = words(answer)
    assert "It waits" in text
    assert "No email provider configured." in text
    assert "Next try" in text
    assert "Not tried yet" in text
    assert 'hx-trigger="every 2s' in answer.text
    assert "every" not in re.findall(r'id="message"[^>]*', admin.get(f"{ALL}/{with_outcome_sent(post)}").text)[0]


def test_an_open_page_gets_an_answer_only_when_something_changed(app: Flask, post: Post) -> None:
    with time_machine.travel(clock.now(), tick=False):
        admin = Browser(app, post.team.admin)
        message = post.put()
        for path in (ALL, f"{ALL}/{message}"):
            [version] = re.findall(r"X-Portal-Poll&#34;: &#34;(\w+)", admin.get(path).text)
            headers = {"HX-Request": "true", "X-Portal-Poll": version}
            assert admin.client.get(path, headers=headers).status_code == 204
            change(app, message, error_code=path[-20:], error_message="Changed since.")
            answer = admin.client.get(path, headers=headers)
            assert (answer.status_code, "Changed since." in answer.text) == (200, True)


def test_what_is_written_into_a_log_holds_neither_text_nor_address(post: Post) -> None:
    post.carrier("a")
    message = with_outcome(post, REFUSED, to="+61400000000")
    said = repr([post.message(message), post.tries(message)])
    assert str(message) in said
    assert not any(each in said for each in ("+614", "SMTP is down", "It said"))


def with_outcome_sent(post: Post) -> uuid.UUID:
    post.carrier("a")
    return with_outcome(post, Outcome.OK)


def test_a_failed_message_is_sent_again_on_demand(app: Flask, post: Post) -> None:
    post.carrier("a")
    message = with_outcome(post, REFUSED)
    with time_machine.travel(clock.now() + timedelta(days=3), tick=False):
        admin = Browser(app, post.team.admin)
        woken: list[int] = []
        off = on_wake(WAKE, lambda: woken.append(1))
        answer = admin.post(f"{ALL}/{message}/retry", htmx=True)
        off()
        assert (answer.status_code, woken) == (204, [1])
        assert "messages-changed" in answer.headers["HX-Trigger"]
        assert post.work() == 1
    stored = post.message(message)
    assert (stored.status, stored.tries, stored.error_message) == ("sent", 2, None)
    [entry] = trail(app, "message.retried")
    assert (entry.target_id, entry.actor_name, entry.target_name) == (str(message), "Marcus Oyelaran", "email (alert)")
    assert (entry.before, entry.after) == ({"status": "failed"}, {"status": "queued"})
    admin = Browser(app, post.team.admin)
    answer = admin.post(f"{ALL}/{message}/retry")
    assert answer.location == f"{ALL}/{message}"
    assert "Only a message that was not delivered" in words(admin.get(answer.location))
    assert len(trail(app, "message.retried")) == 1


def test_an_unconfirmed_message_is_sent_again_only_after_a_warning(app: Flask, post: Post, admin: Browser) -> None:
    post.carrier("a")
    message = with_outcome(post, UNKNOWN)
    text = words(admin.get(f"{ALL}/{message}"))
    assert "It may have arrived" in text
    assert "If it was, it arrives twice." in text
    admin.post(f"{ALL}/{message}/retry")
    post.work()
    assert (post.message(message).status, post.asked) == ("sent", ["a", "a"])


def test_a_late_answer_does_not_end_what_a_person_sent_again(app: Flask, post: Post, admin: Browser) -> None:
    post.carrier("a")
    with time_machine.travel(NOW, tick=False) as time:

        def meanwhile(_name: str) -> None:
            time.shift(LEASE)
            with app.app_context():
                assert claims.give_up_lost() == 1
                with unit_of_work():
                    service.retry(organization_id=post.team.organization_id, message_id=message)

        post.meanwhile = meanwhile
        post.answers["a"] = ended(REFUSED)
        message = post.put()
        post.work()
        assert post.message(message).status == "queued", "the person's wish stands"
        assert post.outcomes(message) == [("a", "recipient_rejected")], "and the try is told the truth"


def test_what_waits_can_be_canceled_and_is_never_sent(app: Flask, post: Post, admin: Browser) -> None:
    message = post.put()
    assert "Cancel" in words(admin.get(f"{ALL}/{message}"))
    assert admin.post(f"{ALL}/{message}/cancel", htmx=True).status_code == 204
    post.carrier("a")
    assert post.work() == 0
    assert post.message(message).status == "canceled"
    [entry] = trail(app, "message.canceled")
    assert (entry.before, entry.after) == ({"status": "queued"}, {"status": "canceled"})
    admin.post(f"{ALL}/{message}/cancel")
    assert "It does not wait any more." in words(admin.get(f"{ALL}/{message}"))


def test_what_is_being_sent_cannot_be_canceled_and_what_was_claimed_can(app: Flask, post: Post, admin: Browser) -> None:
    post.carrier("a")
    claimed = post.put()
    with app.app_context():
        [held] = claims.claim_due(5)
    admin.post(f"{ALL}/{claimed}/cancel")
    with app.app_context():
        sending.run(held)
    assert (post.message(claimed).status, post.asked) == ("canceled", [])
    message = post.put()
    said: list[str] = []
    post.meanwhile = lambda _name: said.append(str(admin.post(f"{ALL}/{message}/cancel", htmx=True).headers))
    post.work()
    assert "It is being sent right now" in said[0]
    assert post.message(message).status == "sent"


def test_messages_of_another_organization_are_not_there(app: Flask, post: Post, admin: Browser) -> None:
    other = make_team(app, "Southgate")
    theirs = Post(app, other).put(subject="Very private")
    assert shown(admin, ALL) == []
    assert admin.get(f"{ALL}/{theirs}").status_code == 404
    for change_it in ("retry", "cancel"):
        assert admin.post(f"{ALL}/{theirs}/{change_it}").status_code == 404
    assert post.message(theirs).status == "queued"


def test_the_name_of_a_deleted_carrier_stays(app: Flask, post: Post, admin: Browser) -> None:
    carrier = post.carrier("a")
    message = with_outcome(post, Outcome.OK)
    with app.app_context(), unit_of_work() as session:
        session.execute(
            update(Integration).where(Integration.id == carrier).values(deleted_at=clock.now(), **failing())
        )
    assert "a (deleted)" in words(admin.get(ALL))
    assert "a (deleted)" in words(admin.get(f"{ALL}/{message}"))
