"""What is kept of messages: what they say for 30 days, the rest for 90; nothing that still waits is touched."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock
from portal.database import reading
from portal.messaging import Message, retention
from portal.messaging.errors import NotNowError
from portal.messaging.models import MessageTry
from portal.messaging.service import retry
from portal.providers.base import Outcome
from tests.messaging.kit import NOW, Post, ended
from tests.support.people import Browser, make_team, words


def old(post: Post, days: float, **changes: object) -> uuid.UUID:
    """Return a message that was made and sent so many days ago."""
    with clock.at(NOW - timedelta(days=days)):
        message = post.put(html="<p>Down</p>", extra={"url": "u"}, **changes)
        post.work()
    return message


def tidy(app: Flask) -> int:
    with app.app_context(), clock.at(NOW):
        return retention.tidy()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows are a batch, so that few messages are many."""
    monkeypatch.setattr(retention, "BATCH", 2)


def test_bodies_go_after_thirty_days_and_messages_after_ninety(app: Flask, post: Post) -> None:
    post.carrier("a")
    gone = [old(post, 91 + more) for more in range(5)]
    wiped = [old(post, 31 + more) for more in range(5)]
    fresh = old(post, 29)
    tidy(app)
    with app.app_context(), reading() as session:
        left = {each.id: each for each in session.scalars(select(Message))}
        tries = session.scalar(select(func.count()).select_from(MessageTry))
    assert left.keys() == {*wiped, fresh}
    assert gone
    assert tries == len(left), "tries go with their messages"
    assert {(left[each].text, left[each].html, str(left[each].extra)) for each in wiped} == {("", "", "{}")}
    assert {left[each].subject for each in wiped} == {"Down"}
    assert (left[fresh].text, left[fresh].extra) == ("SMTP is down.", {"url": "u"})
    assert tidy(app) == 0


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_still_waits_keeps_what_it_says(app: Flask, post: Post) -> None:
    waiting = old(post, 100, expires_at=NOW + timedelta(days=1))
    post.carrier("a")
    other = Post(app, make_team(app, "Southgate"))
    theirs = old(other, 100, due_at=NOW)
    tidy(app)
    assert {post.message(each).text for each in (waiting, theirs)} == {"SMTP is down."}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_piled_up_in_one_organization_holds_up_no_other(
    app: Flask, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_BATCHES", 1)
    others = [Post(app, make_team(app, name)) for name in ("Eastgate", "Southgate", "Westgate")]
    for each in (post, *others):
        each.carrier("a")
        for days in range(91, 96 if each is post else 92):
            old(each, days)
    tidy(app)
    with app.app_context(), reading() as session:
        assert set(session.scalars(select(Message.organization_id))) <= {post.team.organization_id}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_not_kept_any_more_cannot_be_sent_again_and_says_so(app: Flask, post: Post) -> None:
    post.carrier("a")
    post.answers["a"] = ended(Outcome.RECIPIENT_REJECTED)
    message = old(post, 31)
    tidy(app)
    with app.app_context(), reading(), pytest.raises(NotNowError, match="not kept any more"):
        retry(organization_id=post.team.organization_id, message_id=message)
    answer = Browser(app, post.team.admin).get(f"/admin/messages/{message}")
    assert "What messages say is kept for 30 days." in words(answer)
    assert f"{message}/retry" not in answer.text
