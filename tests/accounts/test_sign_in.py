"""Signing in through the pages: steps, refusals, throttling, tokens, where to go next, signing out."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import argon2
import pytest
import time_machine
from flask import Flask, g

from portal.accounts import hashing, service, sign_in
from portal.accounts.models import UserSession
from portal.database import in_transaction, reading, unit_of_work
from portal.security.passwords import PasswordHasher
from portal.web.access import Role
from tests.accounts.conftest import ORIGIN, PASSWORD, SQLITE, words

pytestmark = SQLITE
WRONG = "Email or password is wrong. Check both and try again."


def test_password_then_code_then_the_page_that_was_asked_for(browser: Any, dana: Any) -> None:
    asked = browser.get("/admin/audit?group=session")
    assert asked.status_code == 303
    first = browser.post(asked.headers["Location"], {"email": " DANA@Northline.example ", "password": PASSWORD})
    assert first.headers["Location"].startswith("/login/two-factor?next=")
    page = browser.get(first.headers["Location"])
    assert "Signing in as dana@northline.example" in words(page)
    second = browser.post(first.headers["Location"], {"code": f" {dana.code()[:3]} {dana.code()[3:]} "})
    assert second.status_code == 303
    assert second.headers["Location"] == "/admin/audit?group=session"
    assert browser.get("/admin/audit").status_code == 200


def test_every_step_brings_a_new_token_and_old_cookies_open_nothing(browser: Any, dana: Any, app: Flask) -> None:
    first = browser.post("/login", {"email": dana.email, "password": dana.password})
    with browser.client.session_transaction() as kept:
        pending = kept["pending"]
        assert "_user_id" not in kept
    browser.carry(pending)
    assert browser.get("/profile").status_code == 303
    browser.post(first.headers["Location"], {"code": dana.code()})
    full = browser.cookie()
    assert full != pending
    with browser.client.session_transaction() as kept:
        assert "pending" not in kept
    browser.carry(pending)
    assert browser.get("/profile").status_code == 303


def test_the_password_alone_opens_nothing(browser: Any, dana: Any) -> None:
    browser.post("/login", {"email": dana.email, "password": dana.password})
    for path in ("/profile", "/admin/integrations", "/confirm", "/profile/two-factor/required", "/"):
        assert browser.get(path).headers["Location"].startswith("/login?next="), path
    assert browser.post("/profile/two-factor/start").headers["Location"].startswith("/login")


def test_unknown_disabled_and_wrong_get_one_answer(
    browser: Any, dana: Any, person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = person("gone@x.example")
    with app.app_context(), unit_of_work():
        service.disable(gone.user_id)
    hashed: list[bool] = []
    verify = argon2.PasswordHasher.verify

    def watched(self: argon2.PasswordHasher, stored: str, password: bytes) -> bool:
        hashed.append(True)
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    answers = [
        browser.post("/login", {"email": email, "password": password})
        for email, password in [
            ("nobody@x.example", PASSWORD),
            (gone.email, PASSWORD),
            (dana.email, "not the password"),
            ("no email\x00 at all", PASSWORD),
        ]
    ]
    assert {each.status_code for each in answers} == {422}
    assert all(WRONG in words(each) for each in answers)
    said = {re.sub(r'value="[^"]*"|nonce="[^"]*"|"X-CSRFToken": "[^"]*"', "", each.text) for each in answers}
    assert len(said) == 1
    assert len(hashed) == 4


BAD = [
    ({}, "Enter your email address."),
    ({"email": "dana@northline.example"}, "Enter your password."),
    ({"email": "x" * 255, "password": "x"}, "Shorten the email address to 254 characters."),
    ({"email": "dana@northline.example", "password": "x" * 1025}, "Use at most 1,024 characters."),
    ({"email": "<script>alert(1)</script>", "password": "пароль" * 20}, WRONG),
]


def test_a_bad_form_keeps_what_was_entered_but_never_the_password(browser: Any) -> None:
    for sent, said in BAD:
        answer = browser.post("/login", sent)
        assert answer.status_code == 422, sent
        assert said in words(answer)
        assert 'aria-invalid="true"' in answer.text
        assert "<script>alert" not in answer.text
        assert len(sent.get("password", "")) < 2 or sent["password"] not in answer.text


def test_guessing_is_slowed_down_per_account_from_any_address(
    dana: Any, another_browser: Callable[..., Any], time: time_machine.Traveller, trail: Any
) -> None:
    for number in range(10):
        stranger = another_browser(f"198.51.100.{number}")
        assert stranger.post("/login", {"email": dana.email, "password": "wrong"}).status_code == 422
    refused = another_browser("198.51.100.99").post("/login", {"email": dana.email, "password": PASSWORD})
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "30"
    assert "Too many tries. Try again in 30 seconds." in words(refused)
    time.shift(timedelta(seconds=30))
    assert another_browser().post("/login", {"email": dana.email, "password": PASSWORD}).status_code == 303
    entries = [each for each in trail() if each.action == "session.refused"]
    assert len(entries) == 10
    assert {each.target_name for each in entries} == {"Dana Whitfield"}


def test_guessing_is_slowed_down_per_network_for_any_account(
    another_browser: Callable[..., Any], dana: Any, trail: Any
) -> None:
    for number in range(10):
        stranger = another_browser(f"2001:db8:7:7::{number}")
        stranger.post("/login", {"email": f"guess{number}@x.example", "password": "wrong"})
    refused = another_browser("2001:db8:7:7:ffff::1").post("/login", {"email": dana.email, "password": PASSWORD})
    assert refused.status_code == 429
    elsewhere = another_browser("2001:db8:7:8::1").post("/login", {"email": dana.email, "password": PASSWORD})
    assert elsewhere.status_code == 303
    assert all("guess" not in f"{each.target_name}{each.after}" for each in trail())


def test_strangers_cannot_keep_the_owner_out_of_a_known_browser(
    browser: Any, another_browser: Callable[..., Any], dana: Any, time: time_machine.Traveller
) -> None:
    browser.sign_in(dana)
    browser.post("/logout")
    time.shift(timedelta(minutes=1))
    answers = [another_browser().post("/login", {"email": dana.email, "password": "wrong"}) for _ in range(11)]
    assert [each.status_code for each in answers] == [422] * 10 + [429]
    browser.sign_in(dana)
    assert browser.get("/profile").status_code == 200


def test_a_known_browser_is_known_to_its_own_account_only(
    browser: Any, another_browser: Callable[..., Any], dana: Any, person: Any
) -> None:
    person("eve@x.example")
    browser.sign_in(dana)
    for number in range(10):
        another_browser(f"198.51.100.{number}").post("/login", {"email": "eve@x.example", "password": "wrong"})
    assert browser.post("/login", {"email": "eve@x.example", "password": "wrong"}).status_code == 429


def test_right_passwords_do_not_count_as_guesses(browser: Any, person: Any) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    for _ in range(12):
        assert browser.post("/login", {"email": agent.email, "password": PASSWORD}).status_code == 303


def test_codes_are_slowed_down_but_a_signed_in_session_is_not_touched(
    browser: Any, another_browser: Callable[..., Any], dana: Any, time: time_machine.Traveller
) -> None:
    browser.sign_in(dana)
    time.shift(timedelta(seconds=30))
    guesser = another_browser("198.51.100.1")
    guesser.post("/login", {"email": dana.email, "password": PASSWORD})
    answers = [guesser.post("/login/two-factor", {"code": "000000"}) for _ in range(6)]
    assert [each.status_code for each in answers] == [422] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) == 60
    assert browser.get("/profile").status_code == 200


def test_the_second_step_is_over_after_five_minutes(browser: Any, dana: Any, time: time_machine.Traveller) -> None:
    browser.post("/login?next=/profile", {"email": dana.email, "password": PASSWORD})
    time.shift(timedelta(minutes=5))
    late = browser.post("/login/two-factor?next=/profile", {"code": dana.code()})
    assert late.headers["Location"] == "/login?next=/profile"
    assert "The second step took too long. Sign in again." in words(browser.get("/login"))


def test_the_second_step_without_the_first_leads_back(browser: Any) -> None:
    assert browser.get("/login/two-factor").headers["Location"] == "/login"


def test_a_person_disabled_between_the_steps_does_not_get_in(browser: Any, dana: Any, app: Flask) -> None:
    browser.post("/login", {"email": dana.email, "password": PASSWORD})
    with app.app_context(), unit_of_work():
        service.disable(dana.user_id)
    assert browser.post("/login/two-factor", {"code": dana.code()}).headers["Location"] == "/login"


def test_nobody_is_sent_to_another_site(browser: Any, person: Any) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    for target in ("//evil.example", "https://evil.example/", "/\\evil.example", "/%09/evil.example"):
        assert "evil.example" not in browser.get("/login", query_string=f"next={target}").text
        answer = browser.post(f"/login?next={target}", {"email": agent.email, "password": PASSWORD})
        assert answer.headers["Location"] == "/profile"
        browser.post("/logout")


def test_forms_need_their_token(browser: Any, dana: Any) -> None:
    answer = browser.client.post("/login", data={"email": dana.email, "password": PASSWORD})
    assert answer.status_code == 400
    assert "out of date" in words(answer)


def test_signing_out_ends_the_session_on_the_server(browser: Any, dana: Any, trail: Any) -> None:
    browser.sign_in(dana)
    token = browser.cookie()
    answer = browser.post("/logout")
    assert answer.headers["Location"] == "/login"
    assert answer.headers["Clear-Site-Data"] == '"storage"'
    assert browser.cookie() == ""
    browser.carry(token)
    assert browser.get("/profile").headers["Location"].startswith("/login")
    assert browser.post("/logout").status_code == 303
    assert [each.action for each in trail() if each.action.startswith("session.")] == [
        "session.started",
        "session.ended",
    ]


def test_signing_out_is_a_post(browser: Any, dana: Any) -> None:
    browser.sign_in(dana)
    assert browser.get("/logout").status_code == 405
    assert browser.get("/profile").status_code == 200


def test_whoever_is_signed_in_goes_past_the_sign_in_page(browser: Any, dana: Any) -> None:
    browser.sign_in(dana)
    assert browser.get("/login").headers["Location"] == "/admin/integrations"
    assert browser.get("/login?next=/profile").headers["Location"] == "/profile"
    assert browser.get("/login/two-factor").headers["Location"] == "/admin/integrations"


def test_signing_in_again_ends_the_session_before(browser: Any, person: Any, app: Flask) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    for _ in range(2):
        browser.post("/login", {"email": agent.email, "password": PASSWORD})
    with app.app_context(), reading() as session:
        revoked = [each.revoked_at is not None for each in session.query(UserSession).order_by(UserSession.id)]
    assert revoked == [True, False]


def test_a_weaker_hash_is_renewed_at_sign_in(app: Flask, person: Any) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    stronger = PasswordHasher(memory_kib=16, time_cost=1)
    hashing.use_hasher(app, stronger)
    with app.app_context():
        sign_in.sign_in(email=agent.email, password=PASSWORD, origin=ORIGIN, hasher=stronger)
        with reading():
            user = service.user_by_email(agent.email)
        assert user is not None
        assert not stronger.needs_rehash(user.password_hash)
        assert stronger.verify(user.password_hash, PASSWORD)


def test_the_time_of_the_last_request_is_written_once_a_minute_and_not_by_polls(
    browser: Any, dana: Any, app: Flask, time: time_machine.Traveller
) -> None:
    browser.sign_in(dana)

    def last() -> int:
        with app.app_context(), reading() as session:
            row = session.query(UserSession).one()
            return int((row.last_seen_at - row.created_at).total_seconds())

    time.shift(timedelta(seconds=59))
    browser.get("/profile")
    assert last() == 0
    time.shift(timedelta(seconds=1))
    browser.get("/profile", headers={"X-Portal-Poll": "1"})
    assert last() == 0
    browser.get("/profile")
    assert last() == 60


def test_no_connection_is_held_after_the_identity_is_known(browser: Any, dana: Any, app: Flask) -> None:
    browser.sign_in(dana)
    seen: list[bool] = []
    app.before_request_funcs[None].append(lambda: seen.append(in_transaction() or "_login_user" not in g))
    browser.get("/profile")
    browser.get("/login")
    assert seen == [False, False]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Any, dana: Any) -> None:
    cookies = browser.sign_in(dana).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for each in cookies:
        assert "HttpOnly" in each
        assert "SameSite=Lax" in each
