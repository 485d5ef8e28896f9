"""The configure drawer: a page of its own and a fragment, tests before it saves, and says which field is wrong."""

import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.integrations import calls
from portal.integrations.models import Condition, Status
from portal.providers import catalogue
from portal.providers.base import Failure, Outcome, SendOutcome
from tests.support.integrations import (
    CANARY,
    Mail,
    all_integrations,
    load,
    make_integration,
    posted,
    refused,
    stored_secrets,
    trail,
)
from tests.support.people import Browser, Team, make_team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NEW = "/admin/integrations/new/smtp"


def wrong(answer: TestResponse) -> dict[str, str]:
    """Return what the form says, by the name of the field it says it about."""
    found = {}
    for control, sentence in re.findall(r'id="f-([\w-]+?)-error">.*?</svg>(.*?)</p>', answer.text, re.DOTALL):
        found[control.replace("-", "_")] = sentence
    return found


@SQLITE
def test_the_drawer_is_a_page_of_its_own_and_a_fragment(team: Team, admin: Browser) -> None:
    page, fragment = admin.get(NEW), admin.get(NEW, target="drawer-host")
    for answer in (page, fragment):
        assert answer.status_code == 200
        assert "Email integration (SMTP)" in answer.text
        for field in catalogue.get("smtp").fields:
            assert f'name="{field.name}"' in answer.text
            assert field.label in words(answer)
        assert f'action="{NEW}"' in answer.text
        assert 'name="csrf_token"' in answer.text
    assert "<html" in page.text
    assert "<html" not in fragment.text


@SQLITE
def test_a_new_form_starts_with_the_declared_defaults(team: Team, admin: Browser) -> None:
    text = admin.get(NEW).text
    assert re.search(r'<input[^>]*name="port"[^>]*value="587"', text)
    assert re.search(r'<option value="custom" selected>', text)
    assert re.search(r'value="starttls" checked|value="starttls"[^>]* checked', text)
    assert 'value="Email"' in text


@SQLITE
def test_a_second_integration_of_a_provider_is_offered_another_name(app: Flask, team: Team, admin: Browser) -> None:
    make_integration(app, team.admin, "Email")
    assert 'value="Email 2"' in admin.get(NEW).text


@SQLITE
def test_a_stored_integration_is_shown_with_everything_but_its_secret(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin, "Relay <1>", max_per_hour=10, max_per_day=200)
    path = f"/admin/integrations/{integration}/edit"
    for answer in (admin.get(path), admin.get(path, target="drawer-host")):
        assert answer.status_code == 200
        assert 'value="Relay &lt;1&gt;"' in answer.text
        assert 'value="mail.example.com"' in answer.text
        assert re.search(r'name="max_per_hour"[^>]*value="10"|value="10"[^>]*name="max_per_hour"', answer.text)
        assert "Keep ••••" + CANARY[-4:] in words(answer)
        assert CANARY not in answer.text
        assert CANARY[:6] not in answer.text


@SQLITE
@pytest.mark.parametrize("slug", ["telepathy", "SMTP", "smtp%00", "..", "%2e%2e%2fetc"])
def test_there_is_no_drawer_of_an_unknown_provider(team: Team, admin: Browser, slug: str) -> None:
    assert admin.get(f"/admin/integrations/new/{slug}").status_code == 404
    assert admin.post(f"/admin/integrations/new/{slug}", posted()).status_code in (404, 405)


def test_save_stores_unverified_and_asks_for_a_check(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    answer = admin.post(NEW, posted(max_per_hour="1,000", max_per_day="25000"))
    [stored] = all_integrations(app)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/integrations/{stored.id}")
    assert (stored.status, stored.condition) == (Status.INACTIVE, Condition.UNVERIFIED)
    assert stored.next_check_at is not None
    assert (stored.max_per_hour, stored.max_per_day) == (1000, 25_000)
    assert (stored.organization_id, stored.created_by) == (team.organization_id, team.admin.user_id)
    assert stored.config == {
        "preset": "custom",
        "host": "mail.example.com",
        "security": "starttls",
        "port": 587,
        "username": "portal",
        "from_email": "noreply@example.com",
    }
    assert stored_secrets(app, stored.id)["password"] == CANARY
    assert mail.tested == []
    page = admin.get(answer.headers["Location"])
    assert "Integration saved." in words(page)
    assert "It is unverified: not used for sending until a check passes." in words(page)


def test_test_and_save_stores_verified_what_passes(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    answer = admin.post(NEW, posted(intent="test_and_save"))
    [stored] = all_integrations(app)
    assert answer.status_code == 303
    assert (stored.status, stored.condition) == (Status.ACTIVE, None)
    assert "Tested in 84 ms." in words(admin.get(answer.headers["Location"]))
    assert [each["password"] for each in mail.tested] == [CANARY]


def test_test_and_save_stores_nothing_that_fails_and_marks_the_field(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    mail.report = refused()
    answer = admin.post(NEW, posted(intent="test_and_save"), target="drawer-host")
    assert answer.status_code == 200
    assert all_integrations(app) == []
    assert "Not saved: login failed" in words(answer)
    assert "535 5.7.8 no" in words(answer)
    assert "Save as unverified" in words(answer)
    assert wrong(answer) == {"password": "The server refused the login. Check user name and password."}
    assert 'value="mail.example.com"' in answer.text
    assert CANARY not in answer.text


@SQLITE
@pytest.mark.parametrize(
    ("verbatim", "beside"), [(True, "The server refused the login."), (False, "See the step Login of the test above.")]
)
def test_what_a_failed_test_says_stands_there_once(
    team: Team, admin: Browser, mail: Mail, verbatim: bool, beside: str
) -> None:
    report = refused()
    [step], error = report.steps, report.error
    assert error
    step = replace(step, hint=error.hint, verbatim=verbatim, detail=step.detail if verbatim else error.message)
    mail.report = replace(report, steps=(step,))
    answer = admin.post(NEW, posted(intent="test"), target="drawer-host")
    assert wrong(answer) == {"password": beside}
    assert [words(answer).count(said) for said in (error.message, error.hint)] == [1, 1]


@SQLITE
def test_a_test_stores_nothing_and_says_each_step(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    answer = admin.post(NEW, posted(intent="test"))
    assert answer.status_code == 200
    assert all_integrations(app) == []
    for said in ("Connection works", "Tested in 84 ms.", "DNS", "Login"):
        assert said in words(answer)
    assert trail(app, "integration.created") == []


@SQLITE
def test_over_htmx_a_new_one_leads_to_its_page_and_a_changed_one_closes_the_drawer(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    answer = admin.post(NEW, posted(), target="drawer-host")
    [stored] = all_integrations(app)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/admin/integrations/{stored.id}")
    kept = {"password": "", "password__action": "keep"}
    answer = admin.post(
        f"/admin/integrations/{stored.id}/edit", posted(from_name="Careers", **kept), target="drawer-host"
    )
    assert (answer.status_code, answer.text) == (204, "")
    fired = json.loads(answer.headers["HX-Trigger"])
    assert fired.keys() == {"drawer-close", "integrations-changed", "toast"}
    assert fired["toast"]["title"] == "Integration saved."
    assert load(app, stored.id).config["from_name"] == "Careers"
    renamed = posted(name="Other relay", from_name="Careers", **kept)
    answer = admin.post(f"/admin/integrations/{stored.id}/edit", renamed, target="drawer-host")
    assert answer.headers["HX-Redirect"] == f"/admin/integrations/{stored.id}", "the page below still says the old name"


BAD = {
    "empty name": ({"name": ""}, "name"),
    "blank name": ({"name": " \t\u200b\u2028 "}, "name"),
    "long name": ({"name": "x" * 101}, "name"),
    "empty host": ({"host": ""}, "host"),
    "host with scheme": ({"host": "https://mail.example.com/"}, "host"),
    "host with port": ({"host": "mail.example.com:25"}, "host"),
    "host of another line": ({"host": "mail.example.com\r\nRCPT TO:<x@y>"}, "host"),
    "host with markup": ({"host": "<script>alert(1)</script>"}, "host"),
    "huge host": ({"host": "a" * 100_000}, "host"),
    "unknown preset": ({"preset": "carrier-pigeon"}, "preset"),
    "unknown security": ({"security": "rot13"}, "security"),
    "port of words": ({"port": "smtp"}, "port"),
    "port below": ({"port": "0"}, "port"),
    "port above": ({"port": "65536"}, "port"),
    "port with comma": ({"port": "587,588"}, "port"),
    "huge port": ({"port": "9" * 5000}, "port"),
    "port of other digits": ({"port": "٥٨٧"}, "port"),
    "from of nobody": ({"from_email": "nobody"}, "from_email"),
    "from with a header": ({"from_email": "a@example.com\r\nBcc: all@example.com"}, "from_email"),
    "empty from": ({"from_email": ""}, "from_email"),
    "from in another alphabet": ({"from_email": "дана@example.com"}, "from_email"),
    "name with a header": ({"from_name": "Portal\r\nBcc: all@example.com"}, "from_name"),
    "name that turns around": ({"from_name": "\u202eelpmaxe"}, "from_name"),
    "huge from name": ({"from_name": "x" * 200_000}, "from_name"),
    "masked password": ({"password": "••••77b2"}, "password"),
    "starred password": ({"password": "********"}, "password"),
    "password with a line": ({"password": "a\nb"}, "password"),
    "huge password": ({"password": "x" * 100_000}, "password"),
    "no password": ({"password": ""}, "password"),
    "password without user": ({"username": ""}, "username"),
    "in the clear": ({"security": "none", "port": "25"}, "confirm_plaintext"),
    "hour above day": ({"max_per_hour": "200", "max_per_day": "100"}, "max_per_hour"),
    "limit of nothing": ({"max_per_hour": "0"}, "max_per_hour"),
    "negative limit": ({"max_per_day": "-5"}, "max_per_day"),
    "limit of words": ({"max_per_day": "many"}, "max_per_day"),
    "broken limit": ({"max_per_day": "1.5"}, "max_per_day"),
    "huge limit": ({"max_per_day": "100000001"}, "max_per_day"),
    "very huge limit": ({"max_per_hour": "9" * 5000}, "max_per_hour"),
    "huge limit behind zeros": ({"max_per_hour": "0" * 11 + "19999999999"}, "max_per_hour"),
    "nothing but zeros": ({"max_per_hour": "0" * 6000}, "max_per_hour"),
    "limit of other digits": ({"max_per_day": "١٠٠"}, "max_per_day"),
    "sandbox that is not there": ({"sandbox": "y"}, "sandbox"),
}


@SQLITE
@pytest.mark.parametrize("intent", ["save", "test", "test_and_save", "send_test"])
def test_bad_input_is_refused_with_its_field_named_and_nothing_lost(
    app: Flask, team: Team, admin: Browser, mail: Mail, intent: str
) -> None:
    for case, (changes, field) in BAD.items():
        answer = admin.post(NEW, posted(intent=intent, **changes), target="drawer-host")
        assert (answer.status_code, list(wrong(answer))) == (422, [field]), case
        assert "<script>alert" not in answer.text
        if "host" not in changes:
            assert 'value="mail.example.com"' in answer.text, "the rest of the form is kept"
        assert CANARY not in answer.text
        assert all_integrations(app) == [], case
    assert (mail.tested, mail.sent, trail(app, "integration.created")) == ([], [], [])


@SQLITE
@pytest.mark.parametrize("field", ["name", "host", "port", "password", "from_email", "max_per_hour"])
def test_a_file_in_the_place_of_a_text_is_no_text(
    app: Flask, team: Team, admin: Browser, mail: Mail, field: str
) -> None:
    form = {"csrf_token": admin.csrf, **posted(), field: (io.BytesIO(b"\xff\x00<b>"), "x.txt")}
    answer = admin.client.post(NEW, data=form, content_type="multipart/form-data")
    if field in ("port", "max_per_hour"):
        assert answer.status_code == 303, "which may be left empty"
        return
    assert answer.status_code == 422
    assert list(wrong(answer)) == [field]
    assert all_integrations(app) == []


@SQLITE
@pytest.mark.parametrize("body", ["{}", "[1]", '{"name": {"a": 1}}', "\xff", ""])
def test_another_kind_of_body_is_an_empty_form(app: Flask, team: Team, admin: Browser, mail: Mail, body: str) -> None:
    headers = {"X-CSRFToken": admin.csrf}
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data"):
        answer = admin.client.post(NEW, data=body, content_type=kind, headers=headers)
        assert answer.status_code in (400, 422), kind
    assert all_integrations(app) == []


@SQLITE
def test_of_a_field_sent_twice_the_first_counts_and_nothing_breaks(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    form: dict[str, object] = {"csrf_token": admin.csrf, **posted(), "host": ["one.example.com", "two.example.com"]}
    assert admin.client.post(NEW, data=form).status_code == 303
    assert [each.config["host"] for each in all_integrations(app)] == ["one.example.com"]


@SQLITE
def test_several_bad_fields_are_all_named_at_once(team: Team, admin: Browser) -> None:
    answer = admin.post(NEW, {})
    assert answer.status_code == 422
    assert wrong(answer).keys() >= {"name", "host", "from_email"}


GOOD_NAMES = [
    "株式会社メール",
    "Größe & Co. <b>",
    "'; DROP TABLE integrations;--",
    "ΐ" * 100,
    "ﬃ" * 100,
    "😀" * 100,
    "İ" * 50,
]


def test_a_name_may_be_in_any_alphabet(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    for name in GOOD_NAMES:
        answer = admin.post(NEW, posted(name=name, from_name="Größe 株式会社"))
        assert answer.status_code == 303, words(answer)
        page = admin.get(answer.headers["Location"])
        assert page.status_code == 200
        assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", page.text.split("<h1", 1)[1][:2000])
        assert admin.get(f"/admin/integrations?q={name[:5]}").status_code == 200
    assert {each.name for each in all_integrations(app)} == set(GOOD_NAMES)


@SQLITE
def test_a_name_is_trimmed_and_loses_what_cannot_be_seen(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    admin.post(NEW, posted(name="  Email \u202e \t relay\x00\n 2 "))
    assert [each.name for each in all_integrations(app)] == ["Email relay 2"]


def test_a_name_that_is_taken_is_refused(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    first = make_integration(app, team.admin, "Email relay")
    second = make_integration(app, team.admin, "Backup")
    names = ("Email relay", "EMAIL RELAY", "  email   relay ")
    for taken, path in product(names, (NEW, f"/admin/integrations/{second}/edit")):
        answer = admin.post(path, posted(name=taken, password="" if "edit" in path else CANARY), target="drawer-host")
        assert answer.status_code == 422
        assert "There is already an integration named" in wrong(answer)["name"]
    assert load(app, second).name == "Backup"
    with_itself = posted(name="EMAIL relay", password="")
    assert admin.post(f"/admin/integrations/{first}/edit", with_itself).status_code == 303


@SQLITE
def test_sharp_s_is_the_same_as_two(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    make_integration(app, team.admin, "Straße")
    assert wrong(admin.post(NEW, posted(name="STRASSE"))).keys() == {"name"}


def test_a_name_is_free_again_after_a_deletion_and_in_another_organization(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    first = make_integration(app, team.admin, "Email relay")
    make_integration(app, make_team(app, "Southgate").admin, "Spare")
    assert admin.post(NEW, posted(name="Spare")).status_code == 303
    admin.post(f"/admin/integrations/{first}/delete", {"confirm_name": "Email relay"})
    assert admin.post(NEW, posted(name="Email relay")).status_code == 303


def test_of_eight_who_take_a_name_at_once_one_gets_it(app: Flask, team: Team, mail: Mail) -> None:
    browsers = [Browser(app, team.admin) for _ in range(8)]
    ready = threading.Barrier(8)

    def take(browser: Browser) -> TestResponse:
        ready.wait(timeout=30)
        return browser.post(NEW, posted(name="Email relay"))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(take, browsers))
    assert sorted(each.status_code for each in answers) == [303] + [422] * 7
    for answer in answers:
        if answer.status_code == 422:
            assert "There is already an integration named Email relay." in wrong(answer)["name"]
    assert len(all_integrations(app)) == 1
    assert len(trail(app, "integration.created")) == 1


def test_of_two_who_rename_to_the_same_name_at_once_one_gets_it(app: Flask, team: Team, mail: Mail) -> None:
    ids = [make_integration(app, team.admin, name) for name in ("One", "Two", "Three", "Four")]
    browsers = [Browser(app, team.admin) for _ in ids]
    ready = threading.Barrier(len(ids))

    def rename(number: int) -> TestResponse:
        ready.wait(timeout=30)
        return browsers[number].post(f"/admin/integrations/{ids[number]}/edit", posted(name="Same", password=""))

    with ThreadPoolExecutor(len(ids)) as pool:
        answers = list(pool.map(rename, range(len(ids))))
    assert sorted(each.status_code for each in answers) == [303, 422, 422, 422]
    assert [each.name for each in all_integrations(app)].count("Same") == 1


@SQLITE
def test_a_preset_fills_what_is_left_empty(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    admin.post(NEW, posted(preset="sendgrid", host="", port="", username=""))
    [stored] = all_integrations(app)
    assert stored.config | {"preset": "sendgrid", "host": "smtp.sendgrid.net", "port": 587, "username": "apikey"} == (
        stored.config
    )


@SQLITE
def test_no_encryption_is_stored_once_it_was_confirmed(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    answer = admin.post(NEW, posted(security="none", port="25", confirm_plaintext="y"))
    assert answer.status_code == 303
    assert all_integrations(app)[0].config["security"] == "none"


@SQLITE
@pytest.mark.parametrize("to", ["dana@example.org", "dana@mail.local", "root@localhost", "a.b+c@bücher.example"])
def test_a_test_email_really_goes_to_the_address(app: Flask, team: Team, admin: Browser, mail: Mail, to: str) -> None:
    answer = admin.post(NEW, posted(intent="send_test", test_to=to))
    assert answer.status_code == 200
    [(values, message)] = mail.sent
    assert values["password"] == CANARY
    assert "Marcus Oyelaran" in message.text
    assert "Email relay" in message.text
    assert message.to[0].isascii()
    assert f"Test email accepted for {to}" in words(answer)
    assert "250 queued as 42" in words(answer)
    assert all_integrations(app) == []


@SQLITE
@pytest.mark.parametrize("to", ["", "nobody", "a@b@c", "a@example.org, b@example.org", "x" * 5000 + "@example.org",
                                "a@example.org\r\nBcc: b@example.org", "<script>alert(1)</script>"])  # fmt: skip
def test_a_test_email_to_no_address_is_refused(team: Team, admin: Browser, mail: Mail, to: str) -> None:
    answer = admin.post(NEW, posted(intent="send_test", test_to=to))
    assert answer.status_code == 422
    assert list(wrong(answer)) == ["test_to"]
    assert mail.sent == []
    assert "<script>alert" not in answer.text


@SQLITE
def test_a_test_email_that_is_refused_says_what_the_server_said(team: Team, admin: Browser, mail: Mail) -> None:
    error = Failure(
        outcome=Outcome.PERMISSION_MISSING,
        reason="sender_refused",
        title="sender not verified",
        message="The server does not take email from this address.",
        hint="Verify it.",
        said="550 <b>no</b>",
    )
    mail.sending = SendOutcome(outcome=Outcome.PERMISSION_MISSING, error=error)
    answer = admin.post(NEW, posted(intent="send_test", test_to="dana@example.org"))
    assert "Test email not sent: sender not verified" in words(answer)
    assert 'The server said: "550 <b>no</b>"' in words(answer)
    assert "<b>no</b>" not in answer.text


@SQLITE
def test_when_many_wait_for_providers_a_test_is_put_off_and_pages_are_not(
    app: Flask, team: Team, admin: Browser, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_places", threading.BoundedSemaphore(1))
    waiting, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        waiting.set()
        go_on.wait(timeout=60)

    mail.meanwhile = hang
    other = Browser(app, team.owner)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(other.post, NEW, posted(intent="test"))
        assert waiting.wait(timeout=30)
        for intent in ("test", "test_and_save", "send_test"):
            answer = admin.post(NEW, posted(intent=intent, test_to="dana@example.org"))
            assert answer.status_code == 200
            assert "Not tested: several tests are running" in words(answer)
        assert admin.get("/admin/integrations").status_code == 200
        go_on.set()
        assert "Connection works" in words(slow.result(timeout=30))
    assert all_integrations(app) == []


@SQLITE
def test_troubleshoot_tests_what_is_stored_and_shows_it_in_the_drawer(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    mail.report = refused()
    answer = admin.post(f"/admin/integrations/{integration}/test", target="drawer-host")
    assert answer.status_code == 200
    assert "Not working: login failed" in words(answer)
    assert 'value="mail.example.com"' in answer.text
    assert [each["password"] for each in mail.tested] == [CANARY]
    assert load(app, integration).status == Status.ACTIVE, "a test decides nothing, a check does"
