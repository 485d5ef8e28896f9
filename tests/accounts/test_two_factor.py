"""The second factor: enrolling, recovery codes, replacing, turning off; and who is held back without it."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.accounts import two_factor
from portal.accounts.models import Organization, RecoveryCode, User
from portal.database import reading, unit_of_work
from portal.security import totp
from portal.settings import Settings
from portal.web.access import Role
from tests.accounts.conftest import PASSWORD, SQLITE, words

pytestmark = SQLITE


def enrol(browser: Any) -> tuple[str, list[str]]:
    """Go through the enrolment pages; return the secret and the recovery codes."""
    browser.post("/profile/two-factor/start")
    found = re.search(r'id="key"[^>]*>([^<]+)<', browser.get("/profile/two-factor/enrol").text)
    assert found
    secret = found[1].replace(" ", "")
    browser.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    shown = re.search(r'<pre id="codes"[^>]*>([^<]+)</pre>', browser.get("/profile/recovery-codes").text)
    assert shown
    browser.post("/profile/recovery-codes/saved", {"saved": "y"})
    return secret, shown[1].split("\n")


def test_a_recovery_code_signs_in_once_and_the_trail_says_so(
    browser: Any, another_browser: Any, person: Any, trail: Any, time: time_machine.Traveller
) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    _, codes = enrol(browser)
    for code, status in ((codes[2].lower(), 303), (codes[2], 422), ("ABCD-EF01-ABCD-EF01-ABCD-EF01", 422)):
        other = another_browser()
        other.post("/login", {"email": agent.email, "password": PASSWORD})
        answer = other.post("/login/two-factor?with=recovery", {"code": code})
        assert answer.status_code == status
        assert ("wrong or was already used" in words(answer)) is (status == 422)
    assert "9 of 10" in words(browser.get("/profile"))
    used = [each for each in trail() if each.action == "two_factor.recovery_code_used"]
    assert [each.after for each in used] == [{"left": 9}]


def test_a_code_is_refused_a_second_time_and_the_one_before_too(
    browser: Any, another_browser: Any, dana: Any, time: time_machine.Traveller
) -> None:
    before = dana.code()
    time.shift(timedelta(seconds=30))
    browser.sign_in(dana)
    for code in (dana.code(), before):
        other = another_browser()
        other.post("/login", {"email": dana.email, "password": PASSWORD})
        assert other.post("/login/two-factor", {"code": code}).status_code == 422


def test_what_is_no_code_is_refused_in_words(browser: Any, dana: Any) -> None:
    browser.post("/login", {"email": dana.email, "password": PASSWORD})
    for code in ("", "12345", "abcdef", "１２３４５６", "0" * 101, "<b>123456</b>", "123456\x00"):
        answer = browser.post("/login/two-factor", {"code": code})
        assert answer.status_code == 422, code
        assert 'aria-invalid="true"' in answer.text
        assert "<b>123456" not in answer.text


def test_enrolling_needs_a_code_of_the_new_app(browser: Any, person: Any, app: Flask) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    browser.post("/profile/two-factor/start")
    answer = browser.post("/profile/two-factor/enrol", {"code": "000000"})
    assert answer.status_code == 422
    assert 'id="key"' in answer.text
    with app.app_context(), reading() as session:
        assert session.get_one(User, agent.user_id).totp_sealed is None


def test_a_form_sent_twice_does_no_harm(browser: Any, person: Any) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    browser.post("/profile/two-factor/start")
    found = re.search(r'id="key"[^>]*>([^<]+)<', browser.get("/profile/two-factor/enrol").text)
    assert found
    code = totp.code_at(found[1].replace(" ", ""), clock.now())
    answers = [browser.post("/profile/two-factor/enrol", {"code": code}) for _ in range(2)]
    assert [each.headers["Location"] for each in answers] == ["/profile/recovery-codes"] * 2
    answers = [browser.post("/profile/recovery-codes/saved", {"saved": "y"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]


def test_enrolling_ends_all_other_sessions_and_the_old_token(browser: Any, another_browser: Any, person: Any) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    elsewhere = another_browser()
    for each in (browser, elsewhere):
        each.sign_in(agent)
    old = browser.cookie()
    enrol(browser)
    assert browser.get("/profile").status_code == 200
    assert elsewhere.get("/profile").headers["Location"].startswith("/login")
    assert browser.cookie() != old


def test_another_app_replaces_the_first_only_once_confirmed(
    browser: Any, another_browser: Any, dana: Any, time: time_machine.Traveller
) -> None:
    browser.sign_in(dana)
    time.shift(timedelta(seconds=30))
    browser.post("/profile/two-factor/start")
    another_browser().sign_in(dana)
    time.shift(timedelta(seconds=30))
    secret, codes = enrol(browser)
    assert secret != dana.secret
    assert len(codes) == 10
    time.shift(timedelta(seconds=30))
    other = another_browser()
    other.post("/login", {"email": dana.email, "password": PASSWORD})
    assert other.post("/login/two-factor", {"code": dana.code()}).status_code == 422
    assert other.post("/login/two-factor", {"code": totp.code_at(secret, clock.now())}).status_code == 303


def test_secrets_are_not_in_the_database_in_the_clear(
    browser: Any, person: Any, app: Flask, settings: Settings
) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    secret, codes = enrol(browser)
    browser.post("/profile/recovery-codes/new")
    with app.app_context(), reading() as session:
        assert len(session.scalars(select(RecoveryCode)).all()) == 10
    kept = b"".join(file.read_bytes() for file in settings.instance_dir.glob("portal.db*"))
    assert kept
    for canary in (secret, codes[0], codes[0].replace("-", ""), PASSWORD, browser.cookie()):
        assert canary.encode() not in kept


def test_a_secret_moved_to_another_person_does_not_open(app: Flask, dana: Any, person: Any) -> None:
    eve = person("eve@x.example")
    with app.app_context(), unit_of_work() as session:
        mine, theirs = session.get_one(User, dana.user_id), session.get_one(User, eve.user_id)
        mine.totp_sealed = theirs.totp_sealed
        session.flush()
        with pytest.raises(Exception, match="changed outside the portal or belongs to another row"):
            two_factor.spend(mine, code=eve.code())


def test_new_recovery_codes_end_the_old_ones(
    browser: Any, another_browser: Any, person: Any, app: Flask, trail: Any
) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    _, old = enrol(browser)
    browser.post("/profile/recovery-codes/new")
    other = another_browser()
    other.post("/login", {"email": agent.email, "password": PASSWORD})
    assert other.post("/login/two-factor", {"code": old[0]}).status_code == 422
    with app.app_context(), reading() as session:
        assert len(session.scalars(select(RecoveryCode)).all()) == 10
    assert [each.action for each in trail()].count("two_factor.recovery_codes_replaced") == 1


def test_new_recovery_codes_without_second_factor_do_not_exist(browser: Any, person: Any) -> None:
    browser.sign_in(person("agent@x.example", Role.AGENT, second_factor=False))
    assert browser.post("/profile/recovery-codes/new").status_code == 404


def test_turning_off_needs_password_and_code(
    browser: Any, another_browser: Any, person: Any, time: time_machine.Traveller, trail: Any
) -> None:
    agent = person("agent@x.example", Role.AGENT)
    elsewhere = another_browser()
    for each in (browser, elsewhere):
        each.sign_in(agent)
        time.shift(timedelta(seconds=30))
    assert "Turn off" in words(browser.get("/profile"))
    for sent in (
        {"password": PASSWORD},
        {"code": agent.code()},
        {"password": "wrong", "code": agent.code()},
        {"password": PASSWORD, "code": "000000"},
    ):
        assert browser.post("/profile/two-factor/off", sent).status_code == 422
    off = browser.post("/profile/two-factor/off", {"password": PASSWORD, "code": agent.code()})
    assert off.headers["Location"] == "/profile"
    assert elsewhere.get("/profile").headers["Location"].startswith("/login")
    assert (
        another_browser().post("/login", {"email": agent.email, "password": PASSWORD}).headers["Location"] == "/profile"
    )
    assert [each.action for each in trail()].count("two_factor.removed") == 1


def test_guessing_the_code_while_turning_off_is_slowed_down(
    browser: Any, person: Any, time: time_machine.Traveller
) -> None:
    agent = person("agent@x.example", Role.AGENT)
    browser.sign_in(agent)
    answers = [browser.post("/profile/two-factor/off", {"password": PASSWORD, "code": "000000"}) for _ in range(6)]
    assert [each.status_code for each in answers] == [422] * 5 + [429]


def test_owners_cannot_turn_it_off(browser: Any, dana: Any, time: time_machine.Traveller) -> None:
    browser.sign_in(dana)
    time.shift(timedelta(seconds=30))
    assert browser.get("/profile/two-factor/off").headers["Location"] == "/profile"
    browser.post("/profile/two-factor/off", {"password": PASSWORD, "code": dana.code()})
    assert "Since" in words(browser.get("/profile"))


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_owners_and_admins_without_it_reach_its_enrolment_only(browser: Any, person: Any, role: Role) -> None:
    browser.post("/login", {"email": person("new@x.example", role, second_factor=False).email, "password": PASSWORD})
    for path in (
        "/",
        "/profile",
        "/admin/integrations",
        "/admin/audit",
        "/admin/integrations/new",
        "/profile/two-factor/off",
    ):
        assert "/profile/two-factor/required" in browser.get(path).headers["Location"], path
    blocked = browser.post("/profile/password", {"current": PASSWORD, "new": "something entirely else"})
    assert "/profile/two-factor/required" in blocked.headers["Location"]
    assert browser.get("/profile/two-factor/required").status_code == 200
    hinted = browser.get("/profile", headers={"HX-Request": "true"})
    assert (hinted.status_code, hinted.headers["HX-Redirect"]) == (204, "/profile/two-factor/required")


def test_agents_need_it_where_their_organization_says_so(browser: Any, person: Any, app: Flask) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    browser.sign_in(agent)
    assert browser.get("/profile").status_code == 200
    assert browser.get("/profile/two-factor/required").headers["Location"] == "/profile"
    with app.app_context(), unit_of_work() as session:
        session.get_one(Organization, agent.organization_id).require_two_factor = True
    assert browser.get("/profile").headers["Location"] == "/profile/two-factor/required"


def test_agents_see_no_admin_page_with_or_without_it(browser: Any, person: Any) -> None:
    browser.sign_in(person("agent@x.example", Role.AGENT))
    for path in ("/admin/integrations", "/admin/audit", "/admin/integrations/new", "/admin/health-logs"):
        assert browser.get(path).status_code == 403, path
