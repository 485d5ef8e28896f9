"""Recent authentication: asked for once in ten minutes, with password or code, slowly guessed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask, request

from portal.accounts import recent
from portal.settings import Settings
from portal.web.access import Who, allow
from tests.accounts.conftest import PASSWORD, SQLITE, Browser, words

pytestmark = SQLITE


@pytest.fixture
def late(browser: Any, dana: Any, time: time_machine.Traveller) -> Any:
    """A browser whose sign-in is eleven minutes old."""
    browser.sign_in(dana)
    time.shift(timedelta(minutes=11))
    return browser


def test_signing_in_counts_for_ten_minutes(browser: Any, dana: Any, time: time_machine.Traveller) -> None:
    browser.sign_in(dana)
    time.shift(timedelta(minutes=9, seconds=59))
    assert browser.post("/profile/two-factor/start").headers["Location"] == "/profile/two-factor/enrol"
    time.shift(timedelta(seconds=1))
    assert browser.post("/profile/two-factor/start").headers["Location"].startswith("/confirm")


@pytest.mark.parametrize("kind", ["password", "code"])
def test_password_or_code_leads_back_under_a_new_token(late: Any, dana: Any, kind: str) -> None:
    asked = late.post("/profile/two-factor/start", headers={"Referer": "http://localhost/profile"})
    assert asked.headers["Location"] == "/confirm?next=/profile"
    old = late.cookie()
    answer = PASSWORD if kind == "password" else dana.code()
    assert late.post("/confirm?next=/profile", {"answer": answer}).headers["Location"] == "/profile"
    new = late.cookie()
    assert new != old
    assert late.post("/profile/two-factor/start").headers["Location"] == "/profile/two-factor/enrol"
    late.carry(old)
    assert late.get("/profile").headers["Location"].startswith("/login")


def test_a_wrong_answer_is_refused_and_slowed_down_without_ending_the_session(late: Any) -> None:
    answers = [late.post("/confirm", {"answer": wrong}) for wrong in ["wrong password", "000000"] * 5]
    assert {each.status_code for each in answers} == {422}
    assert "Neither your password nor a fresh code." in words(answers[0])
    refused = late.post("/confirm", {"answer": PASSWORD})
    assert refused.status_code == 429
    assert "Try again in 3 hours." in words(refused)
    assert late.get("/profile").status_code == 200


def test_a_code_confirms_once(late: Any, dana: Any) -> None:
    assert late.post("/confirm", {"answer": dana.code()}).status_code == 303
    assert late.post("/confirm", {"answer": dana.code()}).status_code == 422


def test_confirming_leads_to_own_pages_only(late: Any) -> None:
    for target in ("//evil.example", "https://evil.example", "/logout"):
        assert late.post(f"/confirm?next={target}", {"answer": PASSWORD}).headers["Location"] == "/admin/integrations"


@allow(Who.MEMBER)
def ask() -> str:
    return recent.ask(request.form.get("answer", "")) or "fine"


def test_a_form_of_another_room_can_ask_in_place(
    settings: Settings, start_app: Callable[[Settings], Flask], dana: Any, time: time_machine.Traveller
) -> None:
    app = start_app(settings)
    app.add_url_rule("/ask", view_func=ask, methods=["POST"])
    late = Browser(app)
    late.sign_in(dana)
    time.shift(timedelta(minutes=11))
    old = late.cookie()
    assert late.post("/ask").text == "Enter your password or a code from your authenticator app."
    assert late.post("/ask", {"answer": "wrong"}).text.startswith("Neither your password")
    assert late.post("/ask", {"answer": dana.code()}).text == "fine"
    assert late.cookie() == old  # the page that holds the form goes on asking for its parts with it
    assert late.post("/ask").text == "fine"
