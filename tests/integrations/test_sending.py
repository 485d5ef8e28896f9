"""Test messages: a test SMS like a test email, to a number that is one, counted once, said in words."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from portal.audit import access
from portal.database import reading, unit_of_work
from portal.integrations import calls, usage
from portal.integrations.models import Integration, Status
from portal.providers import catalogue
from portal.providers.base import Failure, Outcome, OutgoingChat, OutgoingSms, SendOutcome
from portal.providers.slack.provider import Slack
from tests.support.integrations import CANARY, Mail, all_integrations, load, make_integration
from tests.support.people import Browser, Team, words
from tests.support.texting import Texts, make_courier, texts

__all__ = ["texts"]

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NEW = "/admin/integrations/new/courier"
GSM = re.compile(r"[A-Za-z0-9 .,:]+")


def posted(**changes: str) -> dict[str, str]:
    return {"name": "Texts", "password": CANARY, "intent": "send_test", "test_to": "+61400000000", **changes}


def refusal(outcome: Outcome, **more: str) -> SendOutcome:
    failure = Failure(
        outcome=outcome,
        reason="bad_number",
        title="number refused",
        message="The number cannot be reached.",
        hint="Check it.",
        code="bad_number",
    )
    return SendOutcome(outcome=outcome, error=replace(failure, **more))  # type: ignore[arg-type]


def test_a_test_sms_goes_out_with_the_values_of_the_form_and_in_one_part(
    app: Flask, team: Team, admin: Browser, texts: Texts
) -> None:
    answer = admin.post(NEW, posted(name="Größe 株式会社"))
    assert answer.status_code == 200
    [(values, message)] = texts.sent
    assert (values, message.to, message.from_number) == ({"password": CANARY}, "+61400000000", "")
    assert len(message.text) <= 120
    assert GSM.fullmatch(message.text), "another letter would make a longer, dearer message of it"
    assert "Test SMS accepted for +61400000000" in words(answer)
    assert "Taken over as SM42." in words(answer)
    assert all_integrations(app) == []


NUMBERS = {
    " +61 400-000.000 ": "+61400000000",
    "+44 (0)20 7946 0958": "+442079460958",
    "\u202a+1 (415) 555\u20110134\u202c": "+14155550134",
    "+6832000": "+6832000",
}


@pytest.mark.parametrize("typed", NUMBERS)
def test_a_number_may_be_written_as_people_write_it(team: Team, admin: Browser, texts: Texts, typed: str) -> None:
    answer = admin.post(NEW, posted(test_to=typed))
    assert [message.to for _, message in texts.sent] == [NUMBERS[typed]]
    assert f"Test SMS accepted for {NUMBERS[typed]}" in words(answer)


@pytest.mark.parametrize("typed", ["", " ", "0400 000 000", "0061400000000", "+0400000000", "+61", "+1234567890123456",
                                   "+6140000000a", "+٦١٤٠٠٠٠٠٠٠٠", "+61400000000,+61400000001", "dana@example.org",
                                   "<script>alert(1)</script>", "9" * 5000])  # fmt: skip
def test_what_is_no_number_is_refused_before_anything_is_sent(
    team: Team, admin: Browser, texts: Texts, typed: str
) -> None:
    answer = admin.post(NEW, posted(test_to=typed))
    assert answer.status_code == 422
    assert re.search(r'id="f-test_to-error">.*?</svg>[^<]*number', answer.text, re.DOTALL)
    assert texts.sent == []
    assert "<script>alert" not in answer.text


def test_a_stored_integration_keeps_its_secret_counts_what_was_taken_and_says_who_used_it(
    app: Flask, team: Team, admin: Browser, texts: Texts
) -> None:
    integration = make_courier(app, team.admin)
    path = f"/admin/integrations/{integration}/edit"
    admin.post(path, posted(password=""))
    texts.sending = refusal(Outcome.PROVIDER_ERROR)
    admin.post(path, posted(password=""))
    assert [values for values, _ in texts.sent] == [{"password": CANARY}] * 2
    with app.app_context(), reading():
        stored = load(app, integration)
        assert usage.of(integration, day_starts=stored.created_at.replace(hour=0, minute=0)).day == 1
        use = access.last_use(integration)
    assert use is not None
    assert (use.purpose, use.actor_name) == ("Test SMS", "Marcus Oyelaran")
    assert "Sent today 1" in words(admin.get(f"/admin/integrations/{integration}"))


def test_a_refusal_is_said_with_the_providers_code_and_words(team: Team, admin: Browser, texts: Texts) -> None:
    texts.sending = refusal(Outcome.AUTH_REJECTED, title="login refused", code="20003", said="Authenticate <b>")
    answer = admin.post(NEW, posted())
    assert "Test SMS not sent: login refused" in words(answer)
    assert 'The number cannot be reached. Check it. Code 20003. The server said: "Authenticate <b>"' in words(answer)
    assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", answer.text)
    assert "Save as unverified" in words(answer)


@pytest.mark.parametrize("outcome", [Outcome.RECIPIENT_REJECTED, Outcome.UNKNOWN_OUTCOME])
def test_what_was_perhaps_sent_is_not_called_unsent_and_a_bad_number_is_no_fault_of_the_integration(
    team: Team, admin: Browser, texts: Texts, outcome: Outcome
) -> None:
    texts.sending = refusal(outcome)
    answer = words(admin.post(NEW, posted()))
    assert ("Test SMS unconfirmed: number refused" in answer) == (outcome is Outcome.UNKNOWN_OUTCOME)
    assert ("Test SMS not sent: number refused" in answer) == (outcome is Outcome.RECIPIENT_REJECTED)
    assert ("Save as unverified" in answer) == (outcome is Outcome.UNKNOWN_OUTCOME)


def test_an_accepted_sms_vouches_for_the_values_on_save(app: Flask, team: Team, admin: Browser, texts: Texts) -> None:
    receipt = re.search(r'name="receipt" value="([^"]+)"', admin.post(NEW, posted()).text)
    assert receipt
    admin.post(NEW, posted(intent="save", receipt=receipt[1]))
    assert [each.status for each in all_integrations(app)] == [Status.ACTIVE]


def test_the_drawer_says_that_it_costs_and_fills_in_the_number_of_whoever_looks(
    app: Flask, team: Team, admin: Browser, texts: Texts
) -> None:
    assert re.search(r"Send test SMS\s*</button>\s*<span[^>]*>Courier charges for it</span>", admin.get(NEW).text)
    assert 'name="test_to" required' not in admin.get(NEW).text
    admin.post("/profile", {"name": "Marcus Oyelaran", "phone": "+61 400 111 222", "time_zone": "UTC"})
    assert re.search(r'name="test_to"[^>]*value="\+61400111222"', admin.get(NEW).text)
    smtp = admin.get("/admin/integrations/new/smtp")
    assert "charges for it" not in smtp.text
    assert re.search(r'name="test_to"[^>]*value="marcus@', smtp.text)


def test_a_provider_without_messages_has_no_test_message(
    team: Team, admin: Browser, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = catalogue.get("courier")
    object.__setattr__(courier, "capabilities", (type(courier.capabilities[0]).HRIS,))
    drawer = admin.get(NEW).text
    assert "Send test" not in drawer
    assert 'name="test_to"' not in drawer
    assert "Connection works" in words(admin.post(NEW, posted())), "a forged intent is an ordinary test"
    assert texts.sent == []


def test_a_call_is_for_what_the_provider_carries(app: Flask) -> None:
    call = calls.Call(catalogue.get("smtp"), {}, False)
    with app.app_context(), pytest.raises(TypeError, match="SMTP carries no text messages"):
        call.send_sms(OutgoingSms(to="+61400000000", text="x"))
    with app.app_context(), pytest.raises(TypeError, match="SMTP posts to no chat"):
        call.send_chat(OutgoingChat(title="x"))


KEY = "cAnArYoFtHeHoOk"
HOOK = f"https://hooks.slack.com/services/T0000/B0000/{KEY}"


@pytest.fixture
def chats(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingChat]:
    """What Slack was given to post; it takes everything."""
    posts: list[OutgoingChat] = []

    def send_chat(_self: object, credentials: object, _context: object, message: OutgoingChat) -> SendOutcome:
        assert credentials == {"webhook_url": HOOK}
        posts.append(message)
        return SendOutcome(outcome=Outcome.OK)

    monkeypatch.setattr(Slack, "send_chat", send_chat)
    return posts


def test_a_test_message_to_a_chat_needs_no_address(
    app: Flask, team: Team, admin: Browser, chats: list[OutgoingChat]
) -> None:
    new = "/admin/integrations/new/slack"
    drawer = admin.get(new)
    assert "Send test message" in words(drawer)
    assert 'name="test_to"' not in drawer.text
    answer = admin.post(new, {"name": "Alerts <room>", "webhook_url": HOOK, "intent": "send_test"})
    assert answer.status_code == 200
    assert "Test message accepted Look into the channel" in words(answer)
    assert KEY not in answer.text
    [message] = chats
    assert message.title == "Test message from Integrations Portal"
    assert "Marcus Oyelaran sent this" in message.text
    assert message.facts == (("Integration", "Alerts <room>"),)
    receipt = re.search(r'name="receipt" value="([^"]+)"', answer.text)
    assert receipt
    admin.post(new, {"name": "Alerts", "webhook_url": HOOK, "intent": "save", "receipt": receipt[1]})
    [stored] = all_integrations(app)
    assert (stored.type, stored.status) == ("chat", Status.ACTIVE)
    edit = f"/admin/integrations/{stored.id}/edit"
    assert re.search(r'value="send_test"[^>]* autofocus', admin.get(f"{edit}?to=send-test").text)
    assert not re.search(r'value="send_test"[^>]* autofocus', admin.get(edit).text)
    admin.post(edit, {"name": "Alerts", "intent": "send_test"})
    assert len(chats) == 2
    with app.app_context(), reading():
        use = access.last_use(stored.id)
    assert use is not None
    assert use.purpose == "Test message"
    assert "Sent today 1" in words(admin.get(f"/admin/integrations/{stored.id}"))


def test_an_address_that_is_none_of_slacks_is_refused_in_the_drawer(
    team: Team, admin: Browser, chats: list[OutgoingChat]
) -> None:
    other = HOOK.replace("hooks.slack.com", "hooks.example.com")
    answer = admin.post("/admin/integrations/new/slack", {"name": "A", "webhook_url": other, "intent": "send_test"})
    assert answer.status_code == 422
    assert "Webhook URL must lead to hooks.slack.com or hooks.slack-gov.com." in words(answer)
    assert KEY not in answer.text
    assert chats == []


@pytest.mark.parametrize(("opened", "focused"), [("?to=send-test&from=settings", True), ("?from=settings", False)])
def test_the_drawer_opens_at_the_test_message_and_leads_back_to_the_settings_view(
    app: Flask, team: Team, admin: Browser, opened: str, focused: bool
) -> None:
    path = f"/admin/integrations/{make_integration(app, team.admin)}/edit"
    page = admin.get(path + opened).text
    assert bool(re.search(r'name="test_to"[^>]* autofocus', page)) == focused
    assert re.search(r'href="(/admin)?/settings/integrations"[^>]*data-close', page)


def test_what_was_opened_from_the_settings_view_ends_there(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    from tests.support.integrations import posted as smtp

    alone = admin.post("/admin/integrations/new/smtp", smtp(**{"from": "settings"}))
    assert alone.headers["Location"].endswith("/settings/integrations")
    over_it = admin.post("/admin/integrations/new/smtp", smtp(name="Other", **{"from": "settings"}), htmx=True)
    assert over_it.status_code == 204
    assert "HX-Redirect" not in over_it.headers
    for event in ("drawer-close", "integrations-changed", "Integration saved."):
        assert event in over_it.headers["HX-Trigger"]
    with app.app_context(), unit_of_work() as session:
        assert session.query(Integration).count() == 2
