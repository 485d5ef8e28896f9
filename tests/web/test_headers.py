"""Headers of every answer, and what of a request is believed: who started it, which host it names."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask.wrappers import Response

from portal.settings import Settings
from portal.web.assets import asset
from tests.conftest import make_app, settings_for
from tests.support.people import Browser, Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PATHS = ["/login", "/", "/admin/integrations", "/static/icons.svg", "/nothing/here", "/static/nothing.js"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_headers(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "HX-Request" in headers["Vary"]
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-Request-Id"])
    assert "Strict-Transport-Security" not in headers, "over http a browser must not be told to insist on https"


def test_what_a_view_says_itself_stays_and_no_header_comes_twice(app: Flask) -> None:
    def say(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "private"
        answer.headers["vary"] = "Accept"
        answer.headers["X-frame-options"] = "SAMEORIGIN"
        return answer

    app.after_request_funcs[None].append(say)  # it runs before the portal's own
    headers = app.test_client().get("/nothing/here").headers
    assert [name.lower() for name, _ in headers] == list(dict.fromkeys(name.lower() for name, _ in headers))
    assert (headers["Cache-Control"], headers["X-Frame-Options"]) == ("private", "SAMEORIGIN")
    assert {"Accept", "HX-Request"} <= set(headers["Vary"].split(", "))


def directives(policy: str) -> dict[str, str]:
    return {name: sources for name, _, sources in (each.strip().partition(" ") for each in policy.split(";"))}


@pytest.mark.parametrize("path", PATHS)
def test_the_content_policy_allows_nothing_unsafe(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy
    given = directives(policy)
    assert given["default-src"] == "'none'"
    assert given["style-src"] == given["connect-src"] == given["form-action"] == "'self'"
    assert given["base-uri"] == given["frame-ancestors"] == given["object-src"] == "'none'"


def test_scripts_carry_the_nonce_of_this_answer_alone(client: FlaskClient) -> None:
    nonces = []
    for _ in range(2):
        answer = client.get("/login")
        nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", answer.headers["Content-Security-Policy"])
        assert nonce
        tags = re.findall(r"<script[^>]*>", answer.text)
        assert tags
        assert all(f'nonce="{nonce[1]}"' in tag and " src=" in tag for tag in tags)
        nonces.append(nonce[1])
    assert nonces[0] != nonces[1]


def test_pages_have_no_inline_style_or_handler(team: Team, admin: Browser) -> None:
    for path in ("/admin/integrations", "/admin/integrations/new/smtp", "/admin/health-logs", "/profile"):
        text = admin.get(path).text
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", text), path
        assert "<style" not in text, path
        assert not re.search(r"(href|src|action)=\"(https?:)?//", text), path


def test_private_pages_are_kept_by_no_cache_and_files_may_be(client: FlaskClient, admin: Browser) -> None:
    assert admin.get("/admin/integrations").headers["Cache-Control"] == "no-store"
    assert client.get("/login").headers["Cache-Control"] == "no-store"
    with client.get("/static/icons.svg") as answer:
        assert "no-store" not in answer.headers["Cache-Control"]


def test_files_whose_address_names_their_content_are_not_asked_for_again(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        named = [asset(name) for name in ("portal.css", "icons.svg", "htmx.min.js")]
    for path in named:
        with client.get(path) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable", path
    for path in ("/static/icons.svg", "/static/nothing.svg?v=1"):
        with client.get(path) as answer:
            assert "immutable" not in answer.headers.get("Cache-Control", ""), path


def test_request_ids_are_all_different(client: FlaskClient) -> None:
    assert len({client.get("/login").headers["X-Request-Id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_change_that_another_site_started_is_refused(admin: Browser, site: str) -> None:
    answer = admin.post("/admin/integrations/check-all", Sec_Fetch_Site=site)
    assert answer.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none", ""])
def test_a_change_of_our_own_page_passes(admin: Browser, site: str) -> None:
    assert admin.post("/admin/integrations/check-all", Sec_Fetch_Site=site).status_code == 303


def test_a_link_from_another_site_may_open_a_page(admin: Browser) -> None:
    answer = admin.client.get("/admin/integrations", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


@pytest.mark.parametrize("token", [None, "", "x", "IjEyMyI.aaaaaa.bbbbbb"])
def test_a_form_without_its_token_is_refused_in_words(team: Team, admin: Browser, token: str | None) -> None:
    data = {} if token is None else {"csrf_token": token}
    answer = admin.client.post("/admin/integrations/check-all", data=data)
    assert answer.status_code == 400
    assert "This page is out of date" in answer.text
    assert "Nothing was stored." in answer.text


def test_the_token_of_another_session_is_refused(app: Flask, team: Team, admin: Browser) -> None:
    other = Browser(app, team.owner)
    assert admin.client.post("/logout", data={"csrf_token": other.csrf}).status_code == 400


def test_script_sends_the_token_as_a_header(admin: Browser) -> None:
    headers = {"X-CSRFToken": admin.csrf, "HX-Request": "true"}
    assert admin.client.post("/admin/integrations/check-all", headers=headers).status_code == 204


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "[::1]", "", "x" * 300]
)
def test_a_host_that_is_not_ours_is_refused_in_words(client: FlaskClient, host: str) -> None:
    for path in ("/login", "/admin/integrations", "/nothing"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 400, path
        assert "The request could not be read" in answer.text
        assert answer.headers["X-Frame-Options"] == "DENY"
        if host:
            assert host not in answer.text
            assert host not in answer.headers.get("Location", "")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:5000"])
def test_this_machines_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/login", headers={"Host": host}).status_code == 200


@pytest.fixture
def secure(settings: Settings) -> Flask:
    """A portal that people reach over https, behind one proxy."""
    return make_app(replace(settings, base_url="https://portal.example.org", trusted_proxies=1))


def test_over_https_browsers_insist_on_it_and_cookies_are_bound_to_the_host(secure: Flask) -> None:
    headers = {"Host": "portal.example.org", "X-Forwarded-Proto": "https"}
    answer = secure.test_client().get("/login", headers=headers)
    assert answer.status_code == 200
    assert "max-age=63072000" in answer.headers["Strict-Transport-Security"]
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-portal=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie


def test_over_http_the_cookie_is_still_unreadable_for_scripts(client: FlaskClient) -> None:
    cookie = client.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("portal=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_a_forwarded_address_counts_only_behind_a_trusted_proxy(app: Flask, secure: Flask) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Host": "portal.example.org"}
    seen: list[str | None] = []
    for each in (app, secure):
        each.before_request_funcs.setdefault(None, []).append(lambda: seen.append(request.remote_addr))
        each.test_client().get("/login", headers=forwarded)
    assert seen == ["127.0.0.1", "198.51.100.9"]


def test_without_a_base_address_every_name_is_answered(tmp_path: Path, settings: Settings) -> None:
    app = make_app(replace(settings_for(tmp_path), base_url="", database_url=settings.database_url))
    assert app.test_client().get("/login", headers={"Host": "anything.example"}).status_code == 200


def test_a_body_beyond_the_limit_is_refused_in_words(admin: Browser) -> None:
    answer = admin.post("/admin/integrations/new/smtp", {"name": "x" * (1024 * 1024 + 1)})
    assert answer.status_code == 413
    assert "Too much was sent at once" in answer.text
