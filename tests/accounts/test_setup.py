"""First run: the code opens it once, the owner enrols, and whoever leaves half-way takes up where they stopped."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal import clock
from portal.accounts import setup
from portal.accounts.models import Organization, User
from portal.database import reading
from portal.security import totp
from portal.web.access import Role
from tests.accounts.conftest import PASSWORD, SQLITE, words

pytestmark = SQLITE


@pytest.fixture
def code(app: Flask) -> str:
    with app.app_context():
        return setup.issue_code()


def form(code: str) -> dict[str, str]:
    return {
        "code": code,
        "organization": "Northline Staffing",
        "name": "Dana Whitfield",
        "email": "Dana@Northline.example",
        "password": PASSWORD,
    }


def secret_on(page: Any) -> str:
    found = re.search(r'id="key"[^>]*>([^<]+)<', page.text)
    assert found, page.text
    return found[1].replace(" ", "")


def codes_on(page: Any) -> list[str]:
    found = re.search(r'<pre id="codes"[^>]*>([^<]+)</pre>', page.text)
    assert found, page.text
    return html.unescape(found[1]).split("\n")


def test_from_the_link_to_the_dashboard(browser: Any, code: str, trail: Any, app: Flask) -> None:
    page = browser.get(f"/setup?code={code}")
    assert code in page.text
    assert "Step 1 of 3" in words(page)
    owner = browser.post("/setup", form(code))
    assert owner.headers["Location"] == "/profile/two-factor/enrol"
    enrol = browser.get("/profile/two-factor/enrol")
    assert re.search(r'<svg [^>]*role="img"[^>]*class="qr"', enrol.text)
    assert "Step 2 of 3" in words(enrol)
    assert "otpauth" not in enrol.text
    secret = secret_on(enrol)
    confirmed = browser.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    assert confirmed.headers["Location"] == "/profile/recovery-codes"
    codes = codes_on(browser.get("/profile/recovery-codes"))
    assert len(codes) == 10
    assert browser.get("/admin/integrations").headers["Location"].startswith("/profile/two-factor/required")
    saved = browser.post("/profile/recovery-codes/saved", {"saved": "y"})
    assert saved.headers["Location"] == "/admin/integrations"
    assert browser.get("/admin/integrations").status_code == 200
    assert browser.get("/setup").status_code == 404
    actions = [each.action for each in trail()]
    assert {"organization.created", "member.created", "setup.completed", "two_factor.enrolled"} <= set(actions)
    assert {each.actor_name for each in trail()} == {"Dana Whitfield"}
    with app.app_context():
        assert setup.issue_code() == ""


def test_the_saved_step_cannot_be_skipped(browser: Any, code: str) -> None:
    browser.post("/setup", form(code))
    secret = secret_on(browser.get("/profile/two-factor/enrol"))
    browser.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    unticked = browser.post("/profile/recovery-codes/saved")
    assert unticked.status_code == 422
    assert "Save the codes, then tick this box." in words(unticked)
    assert len(codes_on(unticked)) == 10
    for path in ("/admin/integrations", "/profile", "/admin/audit"):
        answer = browser.get(path)
        assert answer.headers["Location"].startswith("/profile/two-factor/required"), path
    assert browser.get("/profile/two-factor/required").headers["Location"] == "/profile/recovery-codes"


def test_codes_are_handed_out_as_a_file_and_gone_once_saved(browser: Any, code: str) -> None:
    browser.post("/setup", form(code))
    secret = secret_on(browser.get("/profile/two-factor/enrol"))
    browser.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    codes = codes_on(browser.get("/profile/recovery-codes"))
    file = browser.get("/profile/recovery-codes.txt")
    assert file.mimetype == "text/plain"
    assert "attachment" in file.headers["Content-Disposition"]
    assert file.headers["Cache-Control"] == "no-store"
    assert all(each in file.text for each in codes)
    browser.post("/profile/recovery-codes/saved", {"saved": "y"})
    assert browser.get("/profile/recovery-codes").headers["Location"] == "/profile"
    assert browser.get("/profile/recovery-codes.txt").status_code == 404
    assert browser.post("/profile/recovery-codes/saved", {"saved": "y"}).status_code == 303


def test_an_interrupted_first_run_goes_on_by_signing_in(browser: Any, another_browser: Any, code: str) -> None:
    browser.post("/setup", form(code))
    later = another_browser("198.51.100.5")
    signed_in = later.post("/login", {"email": "dana@northline.example", "password": PASSWORD})
    assert later.get(signed_in.headers["Location"]).headers["Location"].startswith("/profile/two-factor/required")
    assert "Turn on two-factor authentication first" in words(later.get("/profile/two-factor/required"))
    assert later.post("/profile/two-factor/start").headers["Location"] == "/profile/two-factor/enrol"
    secret = secret_on(later.get("/profile/two-factor/enrol"))
    confirmed = later.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    assert confirmed.headers["Location"] == "/profile/recovery-codes"
    assert browser.get("/profile").headers["Location"].startswith("/login"), "the first session ends with the enrolment"


def test_leaving_before_the_codes_are_saved_shows_the_same_codes_again(
    browser: Any, another_browser: Any, code: str, time: time_machine.Traveller
) -> None:
    browser.post("/setup", form(code))
    secret = secret_on(browser.get("/profile/two-factor/enrol"))
    browser.post("/profile/two-factor/enrol", {"code": totp.code_at(secret, clock.now())})
    codes = codes_on(browser.get("/profile/recovery-codes"))
    time.shift(timedelta(minutes=40))
    later = another_browser()
    later.post("/login", {"email": "dana@northline.example", "password": PASSWORD})
    later.post("/login/two-factor", {"code": totp.code_at(secret, clock.now())})
    assert codes_on(later.get("/profile/recovery-codes")) == codes


BAD = [
    ({"code": ""}, "code", "Enter the code from the portal's log."),
    ({"code": "ABCD-EF01"}, "code", "This is not the code of the latest start."),
    ({"code": "x" * 5000}, "code", "This is no code."),
    ({"organization": " "}, "organization", "Enter a name."),
    ({"name": "x" * 101}, "name", "Shorten the name to 100 characters."),
    ({"name": "a\x00b"}, "name", "cannot be printed"),
    ({"email": "dana"}, "email", "This is no email address."),
    ({"password": "short"}, "password", "Use at least 12 characters."),
    ({"password": "northline staffing"}, "password", "contains your name, email or organization"),
    ({"password": "x" * 1025}, "password", "Use at most 1,024 characters."),
]


def test_a_bad_field_is_named_and_nothing_is_stored(browser: Any, code: str, app: Flask) -> None:
    for changes, field, said in BAD:
        answer = browser.post("/setup", form(code) | changes)
        assert answer.status_code == 422, changes
        assert said in words(answer)
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), changes
        assert 'value="dana@northline.example"' in answer.text or field == "email"
        assert PASSWORD not in answer.text
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
    assert browser.post("/setup", form(code)).status_code == 303, "the code is still good"


def test_names_in_other_alphabets_and_hostile_ones_are_only_text(browser: Any, code: str, app: Flask) -> None:
    hostile = '"><script>alert(1)</script>{{7*7}}'
    browser.post("/setup", form(code) | {"organization": "株式会社 北線", "name": hostile})
    page = browser.get("/profile/two-factor/enrol", follow_redirects=True)
    assert "<script>alert" not in page.text
    with app.app_context(), reading() as session:
        row = session.scalar(select(Organization))
        assert row is not None
        assert (row.name, row.slug) == ("株式会社 北線", "organization")


def test_wrong_codes_are_slowed_down(browser: Any, code: str) -> None:
    for _ in range(10):
        assert browser.post("/setup", form("WRONG")).status_code == 422
    refused = browser.post("/setup", form(code))
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "30"


def test_a_new_start_ends_the_code_before(browser: Any, code: str, app: Flask) -> None:
    with app.app_context():
        newer = setup.issue_code()
    assert browser.post("/setup", form(code)).status_code == 422
    assert browser.post("/setup", form(newer.lower().replace("-", ""))).status_code == 303


def test_without_a_code_issued_none_is_right(browser: Any) -> None:
    for guess in ("", "0", "-"):
        assert browser.post("/setup", form(guess)).status_code == 422


def test_an_admin_made_in_the_shell_does_not_close_it_but_an_owner_does(browser: Any, person: Any, app: Flask) -> None:
    person("admin@x.example", Role.ADMIN)
    assert browser.get("/setup").status_code == 200
    person("owner@x.example", Role.OWNER)
    closed = browser.get("/setup")
    assert closed.status_code == 404
    assert "already set up" in words(closed)
    assert browser.post("/setup", form("x")).status_code == 404


def test_an_address_in_use_is_named(browser: Any, person: Any, code: str) -> None:
    person("dana@northline.example", Role.ADMIN)
    answer = browser.post("/setup", form(code))
    assert answer.status_code == 422
    assert "There is already a user with the email dana@northline.example." in words(answer)
