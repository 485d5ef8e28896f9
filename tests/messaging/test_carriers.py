"""Who carries a message: the order, the next one when a carrier fails, who is left out, limits and pauses."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text, update

from portal.accounts.models import Organization
from portal.database import db, on_wake, unit_of_work
from portal.integrations import queries, service
from portal.integrations.models import Condition, Integration, IntegrationSecret
from portal.integrations.service import WAKE
from portal.messaging import Channel, Message, carriers
from portal.messaging.sending import DELAYS, LONGEST_WITHOUT
from portal.providers import catalogue
from portal.providers.base import Capability, Outcome, OutgoingChat, SendOutcome
from portal.providers.sendgrid import SENDGRID
from portal.providers.slack import SLACK
from tests.messaging.kit import NOW, SENT, Post, ended
from tests.support.integrations import failing, load, unverified
from tests.support.people import make_team
from tests.support.texting import Texts, courier

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    """It is ten past nine until a test moves on."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_a_message_is_sent_by_the_first_carrier_and_counted(app: Flask, post: Post) -> None:
    first, second = post.carrier("a"), post.carrier("b")
    message = post.put(html="<p>SMTP is down.</p>")
    assert post.work() == 1
    stored = post.message(message)
    assert (stored.status, stored.integration_id, stored.provider_id) == ("sent", first, "250 queued as 42")
    assert (stored.sent_at, stored.due_at, stored.claim_token, stored.lease_until) == (NOW, None, None, None)
    assert (post.asked, stored.tries, post.outcomes(message)) == (["a"], 1, [("a", "ok")])
    [letter] = post.letters
    assert (letter.to, letter.subject, letter.html) == (("dana@example.org",), "Down", "<p>SMTP is down.</p>")
    assert (post.used(first), post.used(second)) == (1, 0)
    assert (load(app, first).last_sync, load(app, first).last_sync_ok) == (NOW, True)
    assert post.work() == 0


@SQLITE
def test_sendgrid_is_asked_before_smtp_whatever_their_names(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.carrier("a")
    sendgrid = post.carrier("z", provider="sendgrid", config={"verified_sender": "z@example.com"})
    monkeypatch.setattr(type(SENDGRID), "send_email", lambda *_: SENT)
    message = post.put()
    post.work()
    assert (post.asked, post.message(message).integration_id) == ([], sendgrid)


@pytest.mark.parametrize(
    ("answer", "columns", "soon"),
    [
        (ended(Outcome.AUTH_REJECTED), {}, True),
        (ended(Outcome.UNKNOWN_OUTCOME), {}, True),
        (ended(Outcome.RECIPIENT_REJECTED), {}, False),
        (ended(Outcome.RATE_LIMITED), {}, False),
        (ended(Outcome.TIMEOUT), {"last_health_check": NOW - timedelta(seconds=20)}, False),
        (ended(Outcome.TIMEOUT), {"condition": Condition.LIMITED}, False),
        (ended(Outcome.TIMEOUT), {"check_token": uuid.uuid4()}, False),
    ],
    ids=("refused", "unknown", "recipient", "limited", "checked just now", "asked to wait", "under way"),
)
@SQLITE
def test_what_cannot_be_sent_asks_for_a_check_of_the_carrier(
    app: Flask, post: Post, answer: SendOutcome, columns: dict[str, object], soon: bool
) -> None:
    woken: list[str] = []
    carrier = post.carrier("a", **{"next_check_at": NOW + timedelta(minutes=5), "last_health_check": None, **columns})
    post.answers["a"] = answer
    post.put()
    off = on_wake(WAKE, lambda: woken.append("checks"))
    post.work()
    off()
    row = load(app, carrier)
    assert row.next_check_at == (NOW if soon else NOW + timedelta(minutes=5))
    assert (row.next_check_kind, bool(woken)) == ("auto", True) if soon else ("scheduled", False)


@pytest.mark.parametrize(
    "answer",
    [
        ended(Outcome.UNREACHABLE),
        ended(Outcome.TIMEOUT),
        ended(Outcome.AUTH_REJECTED),
        ended(Outcome.PERMISSION_MISSING),
        ended(Outcome.PROVIDER_ERROR),
        ended(Outcome.QUOTA_EXCEEDED),
        ended(Outcome.RATE_LIMITED),
        ended(Outcome.INVALID_REQUEST, "sender_malformed"),
    ],
    ids=lambda answer: str(answer.outcome),
)
@SQLITE
def test_what_was_surely_not_sent_goes_to_the_next_at_once(post: Post, answer: object) -> None:
    first, second = post.carrier("a"), post.carrier("b")
    post.answers["a"] = answer  # type: ignore[assignment]
    message = post.put()
    post.work()
    assert post.asked == ["a", "b"]
    assert (post.message(message).status, post.message(message).error_message) == ("sent", None)
    assert post.message(message).integration_id == second
    assert (post.used(first), post.used(second)) == (0, 1)


@pytest.mark.parametrize(
    "answer", [ended(Outcome.RECIPIENT_REJECTED), ended(Outcome.INVALID_REQUEST, "message_too_large")]
)
@SQLITE
def test_what_no_provider_could_send_fails_and_nobody_else_is_asked(app: Flask, post: Post, answer: object) -> None:
    first, _ = post.carrier("a"), post.carrier("b")
    post.answers["a"] = answer  # type: ignore[assignment]
    message = post.put()
    post.work()
    stored = post.message(message)
    assert (post.asked, stored.status, stored.due_at) == (["a"], "failed", None)
    assert stored.error_message == post.answers["a"].error.message  # type: ignore[union-attr]
    assert post.used(first) == 0


def test_what_may_have_been_sent_is_never_sent_again_by_itself(post: Post, time: time_machine.Traveller) -> None:
    first, _ = post.carrier("a"), post.carrier("b")
    post.answers["a"] = ended(Outcome.UNKNOWN_OUTCOME)
    message = post.put()
    post.work()
    time.shift(timedelta(hours=23))
    assert post.work() == 0
    stored = post.message(message)
    assert (post.asked, stored.status, stored.error_class) == (["a"], "unknown", "unknown_outcome")
    assert post.used(first) == 0
    time.move_to(NOW)
    assert post.used(first) == 1, "it may have been sent, so it counts"


@SQLITE
def test_never_through_those_to_be_avoided_or_that_are_off(app: Flask, post: Post) -> None:
    avoided = post.carrier("a")
    post.carrier("b", enabled=False)
    post.carrier("c", **failing())
    post.carrier("d", **unverified())
    post.carrier("e", deleted_at=NOW, enabled=False)
    good = post.carrier("f")
    message = post.put(avoid=[avoided])
    post.work()
    assert (post.asked, post.message(message).integration_id) == (["f"], good)
    with app.app_context(), unit_of_work():
        service.set_enabled(
            integration=queries.get(organization_id=post.team.organization_id, integration_id=good), enabled=False
        )
    waits = post.put(avoid=[avoided])
    post.work()
    assert (post.asked, post.message(waits).status) == (["f"], "queued")


@SQLITE
def test_another_organizations_carriers_carry_nothing(app: Flask, post: Post) -> None:
    elsewhere = Post(app, make_team(app, "Southgate"))
    elsewhere.carrier("theirs")
    message = post.put()
    post.work()
    assert (post.asked, post.message(message).error_message) == ([], "No email provider configured.")


@SQLITE
def test_a_pinned_message_goes_through_that_one_alone_even_in_error(post: Post) -> None:
    post.carrier("a")
    pinned = post.carrier("b", **failing())
    message = post.put(pinned=pinned)
    post.answers["b"] = ended(Outcome.UNREACHABLE)
    post.work()
    assert (post.asked, post.message(message).status) == (["b"], "queued")


@SQLITE
def test_a_pinned_message_waits_while_its_carrier_is_off_and_fails_once_it_is_gone(
    app: Flask, post: Post, time: time_machine.Traveller
) -> None:
    post.carrier("a")
    pinned = post.carrier("b", enabled=False)
    message = post.put(pinned=pinned)
    post.work()
    stored = post.message(message)
    assert (stored.status, stored.error_message) == ("queued", "The integration that was to send it is disabled.")
    with app.app_context(), unit_of_work():
        service.delete(integration=queries.get(organization_id=post.team.organization_id, integration_id=pinned))
    time.shift(DELAYS[0])
    post.work()
    stored = post.message(message)
    assert (stored.status, stored.error_message) == ("failed", "The integration that was to send it is deleted.")
    assert post.asked == []


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (Channel.EMAIL, "No email provider configured."),
        (Channel.SMS, "No SMS provider configured."),
        (Channel.CHAT, "No chat provider configured."),
    ],
)
@SQLITE
def test_without_a_provider_a_message_waits_and_says_so(post: Post, channel: Channel, words: str) -> None:
    message = post.put(channel=channel)
    post.work()
    stored = post.message(message)
    assert (stored.status, stored.error_message, stored.tries) == ("queued", words, 0)
    assert stored.due_at == NOW + DELAYS[0]


@SQLITE
def test_the_words_tell_inactive_providers_from_none_and_from_the_one_concerned(post: Post) -> None:
    broken = post.carrier("a", **failing())
    about, other = post.put(avoid=[broken]), post.put()
    post.work()
    assert (
        post.message(about).error_message == "No email provider configured beside the one that this message is about."
    )
    assert post.message(other).error_message == "No email provider is active: each is disabled, unverified or in error."


@SQLITE
def test_a_provider_that_is_connected_later_sends_what_waited(post: Post, time: time_machine.Traveller) -> None:
    message = post.put()
    for _ in range(20):
        post.work()
        time.shift(LONGEST_WITHOUT)
    post.carrier("a")
    post.work()
    assert (post.message(message).status, post.message(message).error_message) == ("sent", None)


@SQLITE
def test_a_chat_message_is_posted_with_its_title_facts_and_button(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[OutgoingChat] = []

    def send(_self: object, _values: object, _context: object, chat: OutgoingChat) -> SendOutcome:
        posted.append(chat)
        return SENT

    monkeypatch.setattr(type(SLACK), "send_chat", send)
    slack = post.carrier("ops", provider="slack", type="chat", capabilities=[Capability.CHAT], config={})
    extra = {"facts": [["Since", "09:10"]], "url": "https://portal.example/alerts/1", "tone": "err"}
    message = post.put(
        channel=Channel.CHAT, to="#ops", subject="Down", text="Login refused.", extra=extra, pinned=slack
    )
    post.work()
    assert post.message(message).status == "sent"
    assert posted == [
        OutgoingChat(
            title="Down", text="Login refused.", facts=(("Since", "09:10"),),
            url="https://portal.example/alerts/1", tone="err",
        )
    ]  # fmt: skip


@SQLITE
def test_a_text_message_goes_through_a_provider_of_text_messages(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts()
    monkeypatch.setattr(catalogue, "PROVIDERS", (*catalogue.PROVIDERS, courier(texts)))
    post.carrier("a")
    sms = post.carrier("b", provider="courier", type="sms", capabilities=[Capability.SMS], config={})
    message = post.put(channel=Channel.SMS, to="+61400000000")
    post.work()
    assert [each.to for _, each in texts.sent] == ["+61400000000"]
    assert (post.message(message).provider_id, post.message(message).integration_id) == ("SM42", sms)


def test_over_its_hourly_limit_a_carrier_is_passed_over_and_then_waited_for(
    post: Post, time: time_machine.Traveller
) -> None:
    one = post.carrier("a", max_per_hour=2)
    two = post.carrier("b", max_per_hour=1)
    ids = [post.put() for _ in range(5)]
    post.work()
    assert post.asked == ["a", "a", "b"]
    waiting = [post.message(each) for each in ids[3:]]
    assert {(each.status, each.error_code, each.tries, each.rounds) for each in waiting} == {
        ("queued", "limit_reached", 0, 0)
    }
    assert {each.due_at for each in waiting} == {datetime(2025, 11, 21, 10, tzinfo=UTC)}
    assert waiting[0].error_message == "a has sent all that it may send this hour (2)."
    time.move_to(datetime(2025, 11, 21, 9, 59, 59, tzinfo=UTC))
    assert post.work() == 0
    time.move_to(datetime(2025, 11, 21, 10, tzinfo=UTC))
    assert post.work() == 2
    assert [post.message(each).status for each in ids] == ["sent"] * 5
    assert (post.used(one), post.used(two)) == (4, 1)


@SQLITE
def test_a_try_that_sent_nothing_does_not_use_up_the_limit(post: Post, time: time_machine.Traveller) -> None:
    post.carrier("a", max_per_hour=1)
    post.answers["a"] = ended(Outcome.UNREACHABLE)
    message = post.put()
    post.work()
    post.answers.clear()
    time.shift(DELAYS[0])
    post.work()
    assert post.message(message).status == "sent"


@SQLITE
def test_the_daily_limit_ends_at_midnight_where_the_organization_is(
    app: Flask, post: Post, time: time_machine.Traveller
) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Organization).values(time_zone="Australia/Perth"))
    post.carrier("a", max_per_day=1)
    midnight = datetime(2025, 11, 21, 16, tzinfo=UTC)
    sent, waits = post.put(), post.put()
    post.work()
    assert (post.message(sent).status, post.message(waits).due_at) == ("sent", midnight)
    assert post.message(waits).error_message == "a has sent all that it may send today (1)."
    time.move_to(midnight)
    post.work()
    assert post.message(waits).status == "sent"


def test_a_provider_that_asks_to_slow_down_gets_no_message_until_then(post: Post, time: time_machine.Traveller) -> None:
    post.carrier("a")
    post.answers["a"] = ended(Outcome.RATE_LIMITED, retry_after=300)
    first, second = post.put(), post.put()
    post.work()
    assert post.asked == ["a"], "the second message does not ask again"
    assert post.message(second).error_message == "a was asked by its provider to slow down."
    assert post.message(second).due_at == NOW + timedelta(seconds=300)
    post.answers.clear()
    time.move_to(NOW + timedelta(seconds=299))
    post.work()
    assert post.asked == ["a"]
    time.move_to(NOW + timedelta(seconds=300))
    post.work()
    assert [post.message(each).status for each in (first, second)] == ["sent", "sent"]


@SQLITE
def test_an_unreadable_secret_lets_the_next_one_carry(app: Flask, post: Post) -> None:
    broken = post.carrier("a")
    post.carrier("b")
    with app.app_context(), unit_of_work() as session:
        secret = update(IntegrationSecret).where(IntegrationSecret.integration_id == broken)
        session.execute(secret.values(sealed=b"changed"))
    message = post.put()
    post.work()
    assert post.asked == ["b"]
    assert post.outcomes(message) == [("a", "invalid_request"), ("b", "ok")]
    assert post.tries(message)[0].code == "secret_unreadable"


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_one_that_must_not_send_now_is_not_waited_for(app: Flask, post: Post) -> None:
    """Who records its check holds it, and may want the next one: so they would wait for each other."""
    full, second = post.carrier("a", max_per_hour=1), post.carrier("b")
    post.put()
    post.work()
    message = post.put(to="noor@example.org")
    with app.app_context(), db.engine.connect() as recorder:
        recorder.execute(select(Integration.id).where(Integration.id == full).with_for_update())
        with unit_of_work() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            found = carriers.choose(session.get_one(Message, message), tried=())
            assert found.carrier is not None
            assert found.carrier.id == second
