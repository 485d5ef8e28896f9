"""One's own account: profile, password, sessions, organizations."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.accounts import devices
from portal.accounts.models import Organization, User
from portal.database import reading
from portal.web.access import Role
from tests.accounts.conftest import PASSWORD, SQLITE, words

pytestmark = SQLITE
NEW = "quiet lantern under nine bridges"


@pytest.fixture
def agent(person: Any) -> Any:
    return person("agent@x.example", Role.AGENT, second_factor=False)


@pytest.fixture
def inside(browser: Any, agent: Any) -> Any:
    browser.sign_in(agent)
    return browser


def stored(app: Flask, who: Any) -> User:
    with app.app_context(), reading() as session:
        return session.get_one(User, who.user_id)


def test_the_profile_is_stored_and_the_trail_says_what_changed(inside: Any, agent: Any, app: Flask, trail: Any) -> None:
    sent = {"name": " Ωmega O'Brien ", "phone": "+61 400 000 000", "time_zone": "Australia/Sydney"}
    assert inside.post("/profile", sent).headers["Location"] == "/profile"
    user = stored(app, agent)
    assert (user.name, user.phone, user.time_zone) == ("Ωmega O'Brien", "+61400000000", "Australia/Sydney")
    page = inside.get("/profile")
    assert "Profile saved." in words(page)
    assert "AEDT" in page.text
    assert '<option value="Europe/Lisbon">' in page.text, "it can be searched"
    inside.post("/profile", sent)
    entries = [each for each in trail() if each.action == "member.profile_changed"]
    assert len(entries) == 1
    assert entries[0].before == {"name": "Dana Whitfield", "phone": "", "time_zone": "UTC"}


BAD_PROFILES: list[tuple[dict[str, str], str]] = [
    ({"name": ""}, "Enter a name."),
    ({"phone": "0400"}, "country code"),
    ({"time_zone": "Mars/Olympus"}, "Choose a time zone from the list."),
    ({"name": "<img src=x onerror=alert(1)>" * 9}, "Shorten the name"),
]


def test_a_bad_profile_is_refused_and_kept_on_the_page(inside: Any, agent: Any, app: Flask) -> None:
    for changes, said in BAD_PROFILES:
        answer = inside.post("/profile", {"name": "Someone New", "phone": "", "time_zone": "UTC"} | changes)
        assert answer.status_code == 422, changes
        assert said in words(answer)
        assert "<img src=x" not in answer.text
        assert "Someone New" in answer.text or "name" in changes
    assert stored(app, agent).name == "Dana Whitfield"


def test_only_known_fields_are_taken(inside: Any, agent: Any, app: Flask) -> None:
    extra = {"email": "evil@x.example", "password_hash": "x", "disabled_at": "", "role": "owner"}
    inside.post("/profile", {"name": "N", "phone": "", "time_zone": "UTC", **extra})
    assert stored(app, agent).email == "agent@x.example"


def test_a_new_password_needs_the_current_one_and_ends_other_sessions(
    inside: Any, another_browser: Any, agent: Any, trail: Any
) -> None:
    elsewhere = another_browser()
    elsewhere.sign_in(agent)
    old = inside.cookie()
    assert inside.post("/profile/password", {"current": PASSWORD, "new": NEW}).headers["Location"] == "/profile"
    assert inside.cookie() != old
    assert inside.get("/profile").status_code == 200
    assert elsewhere.get("/profile").headers["Location"].startswith("/login")
    assert another_browser().post("/login", {"email": agent.email, "password": PASSWORD}).status_code == 422
    assert another_browser().post("/login", {"email": agent.email, "password": NEW}).status_code == 303
    assert [each.action for each in trail()].count("member.password_changed") == 1


BAD_PASSWORDS: list[tuple[dict[str, str], str, str]] = [
    ({"current": "wrong", "new": NEW}, "current", "This is not your current password."),
    ({"current": PASSWORD, "new": "short"}, "new", "Use at least 12 characters."),
    ({"current": PASSWORD, "new": "agent@x.example"}, "new", "contains your name, email or organization"),
    ({"current": PASSWORD}, "new", "Choose a password."),
    ({"new": NEW}, "current", "Enter your password."),
]


def test_a_bad_password_change_names_the_field(inside: Any) -> None:
    for sent, field, said in BAD_PASSWORDS:
        answer = inside.post("/profile/password", sent)
        assert answer.status_code == 422, sent
        assert said in words(answer)
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), sent
        assert NEW not in answer.text
        assert PASSWORD not in answer.text


def test_guessing_the_current_password_is_slowed_down(inside: Any) -> None:
    answers = [inside.post("/profile/password", {"current": "wrong", "new": NEW}) for _ in range(11)]
    assert [each.status_code for each in answers] == [422] * 10 + [429]
    assert "Retry-After" in answers[-1].headers
    assert inside.get("/profile").status_code == 200


def test_sessions_are_listed_in_words_and_ended_one_by_one(
    inside: Any, another_browser: Any, agent: Any, trail: Any, time: time_machine.Traveller
) -> None:
    phone = another_browser("2001:db8::7")
    phone.client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"
    phone.sign_in(agent)
    time.shift(timedelta(minutes=3))
    page = inside.get("/profile")
    assert "Safari on iPhone 2001:db8::7" in words(page)
    assert words(page).index("This one") < words(page).index("Safari on iPhone")
    assert "3 min ago" in words(page)
    other = re.findall(r"/profile/sessions/([0-9a-f-]+)/revoke", page.text)[1]
    assert inside.post(f"/profile/sessions/{other}/revoke").headers["Location"] == "/profile"
    assert phone.get("/profile").headers["Location"].startswith("/login")
    assert inside.post(f"/profile/sessions/{other}/revoke").status_code == 303
    assert [each.action for each in trail()].count("session.revoked") == 1


def test_ending_one_s_own_session_signs_out(inside: Any) -> None:
    mine = re.findall(r"/profile/sessions/([0-9a-f-]+)/revoke", inside.get("/profile").text)[0]
    assert inside.post(f"/profile/sessions/{mine}/revoke").headers["Location"] == "/login"
    assert inside.get("/profile").headers["Location"].startswith("/login")


def test_sessions_of_others_do_not_exist(inside: Any, another_browser: Any, dana: Any) -> None:
    hers = another_browser()
    hers.sign_in(dana)
    theirs = re.findall(r"/profile/sessions/([0-9a-f-]+)/revoke", hers.get("/profile").text)[0]
    for session_id in (theirs, str(uuid.uuid4()), "not-an-id"):
        assert inside.post(f"/profile/sessions/{session_id}/revoke").status_code == 404
    assert hers.get("/profile").status_code == 200


def test_all_other_sessions_end_at_once(inside: Any, another_browser: Any, agent: Any) -> None:
    others = [another_browser() for _ in range(2)]
    for each in others:
        each.sign_in(agent)
    inside.post("/profile/sessions/revoke-others")
    assert inside.get("/profile").status_code == 200
    assert all(each.get("/profile").status_code == 303 for each in others)


def test_one_organization_offers_no_switch_and_two_do(
    inside: Any, agent: Any, person: Any, app: Flask, time: time_machine.Traveller
) -> None:
    assert "Your organizations" not in words(inside.get("/profile"))
    person(agent.email, Role.AGENT, organization="Southline", second_factor=False)
    stranger = person("eve@x.example", organization="Elsewhere")
    page = inside.get("/profile")
    assert "Your organizations" in words(page)
    with app.app_context(), reading() as session:
        south = session.scalar(select(Organization.id).where(Organization.name == "Southline"))
    for wrong in ("", "x", str(uuid.uuid4()), str(stranger.organization_id)):
        assert inside.post("/profile/organization", {"organization": wrong}).status_code == 404
    old = inside.cookie()
    assert inside.post("/profile/organization", {"organization": str(south)}).status_code == 303
    assert "Agent, Southline" in words(inside.get("/profile"))
    assert inside.cookie() != old
    time.shift(timedelta(seconds=1))
    inside.post("/logout")
    inside.sign_in(agent)
    assert "Agent, Southline" in words(inside.get("/profile")), "signing in goes on where one worked last"


@pytest.mark.parametrize(
    ("agent_text", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", "Safari on Mac"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
def test_browsers_are_said_in_words(agent_text: str, said: str, settings: Any) -> None:
    assert devices.describe(agent_text) == said
