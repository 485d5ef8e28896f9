"""The audit pages: who may open them, what they show of which organization, and how they say it."""

import html
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from portal.accounts.identity import Identity
from portal.audit import access, trail, triggers
from portal.audit.actor import Actor
from portal.database import unit_of_work
from portal.extensions import csrf
from portal.web.access import Role

ORGANIZATION, OTHER = uuid.UUID(int=11), uuid.UUID(int=12)
HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"
# What the queries say is tested on both databases in test_search.py and test_access.py.
pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SignIn = Callable[..., FlaskClient]


def member(role: Role = Role.ADMIN, *, time_zone: str = "UTC") -> Identity:
    now = datetime.now(UTC)
    return Identity(
        user_id=uuid.UUID(int=5), organization_id=ORGANIZATION, organization_name="Northline", role=role, name="Dana",
        email="dana@northline.example", time_zone=time_zone, session_id=uuid.UUID(int=6), token="t",
        two_factor=True, two_factor_enrolled=True, two_factor_needed=True, recent_until=now + timedelta(minutes=5),
        last_seen_at=now,
    )  # fmt: skip


@pytest.fixture
def browse(app: Flask, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """Signs somebody in for the requests of a test, without a session of their own."""

    def enter(who: Identity | None = None) -> FlaskClient:
        monkeypatch.setattr(app.login_manager, "_request_callback", lambda _request: who or member())  # type: ignore[attr-defined]
        monkeypatch.setattr(csrf, "protect", lambda: None)
        return app.test_client()

    return enter


def record(app: Flask, *names: str, action: str = "integration.changed", **more: object) -> None:
    values: dict[str, object] = {
        "organization_id": ORGANIZATION,
        "actor": Actor("user", None, "Noor", "203.0.113.9"),
        **more,
    }
    with app.app_context(), unit_of_work():
        for name in names:
            trail.record(action=action, target_type="integration", target_name=name, **values)  # type: ignore[arg-type]


def said(page: str) -> str:
    """The page's words as people read them."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_an_entry_is_told_in_words_with_its_change(app: Flask, browse: SignIn) -> None:
    record(app, "Email relay", before={"port": 25}, after={"port": 587})
    page = browse().get("/admin/audit")
    words = said(page.text)
    assert page.status_code == 200
    for expected in ("Audit trail", "Noor", "Integration changed", "Email relay", "203.0.113.9", "Port 25 → 587"):
        assert expected in words
    assert "The chain has 1 entry." in words


def test_only_entries_of_ones_own_organization_are_shown(app: Flask, browse: SignIn) -> None:
    record(app, "Theirs", organization_id=OTHER)
    record(app, "Of nobody", organization_id=None)
    words = said(browse().get("/admin/audit").text)
    assert "Nothing recorded yet" in words
    assert "Theirs" not in words
    assert "Of nobody" not in words


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/credential-access"])
def test_agents_and_strangers_are_kept_out(app: Flask, browse: SignIn, path: str) -> None:
    assert app.test_client().get(path).status_code == 303
    assert browse(member(Role.AGENT)).get(path).status_code == 403
    assert browse(member(Role.OWNER)).get(path).status_code == 200


def test_verifying_needs_the_form_token_and_an_admin(
    app: Flask, browse: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = csrf.protect
    client = browse(member(Role.AGENT))
    assert client.post("/admin/audit/verify").status_code == 403
    client = browse()
    monkeypatch.setattr(csrf, "protect", checks)
    assert client.post("/admin/audit/verify").status_code == 400
    assert client.get("/admin/audit/verify").status_code == 405


def test_a_whole_chain_is_verified_on_a_page_and_as_a_fragment(app: Flask, browse: SignIn) -> None:
    record(app, "a", "b", "c")
    client = browse()
    page = client.post("/admin/audit/verify")
    assert page.status_code == 200
    assert "<html" in page.text
    assert "Chain verified All 3 entries fit." in said(page.text)
    part = client.post("/admin/audit/verify", headers=HTMX)
    assert "Chain verified" in part.text
    assert 'id="chain"' in part.text
    assert "<html" not in part.text


def test_a_broken_chain_names_the_first_bad_entry_and_what_to_do(app: Flask, browse: SignIn) -> None:
    record(app, "a", "b", "c")
    with app.app_context(), unit_of_work() as session:
        for statement in triggers.DROP[session.get_bind().dialect.name]:
            session.execute(text(statement))
        session.execute(text("UPDATE audit_entries SET actor_name = 'Nobody' WHERE seq = 2"))
    words = said(browse().post("/admin/audit/verify").text)
    assert "Entry 2 does not fit" in words
    assert "Keep a copy of the database" in words
    assert "Chain verified" not in words


def test_older_pages_keep_the_filters_and_show_every_entry_once(app: Flask, browse: SignIn) -> None:
    record(app, *[f"Relay {number:02}" for number in range(30)])
    record(app, "Other thing", action="member.created")
    client = browse()
    first = client.get("/admin/audit?target=relay&group=integration").text
    older = html.unescape(next(link for link in re.findall(r'href="([^"]+)"', first) if "before=" in link))
    assert "target=relay" in older
    assert "group=integration" in older
    second = client.get(older).text
    seen = [set(re.findall(r'title="(Relay \d\d)"', part)) for part in (first, second)]
    assert [len(each) for each in seen] == [25, 5]
    assert len(seen[0] | seen[1]) == 30
    assert "Newest" in said(second)
    assert "Other thing" not in first + second


def test_filters_that_match_nothing_are_named_and_can_be_cleared(app: Flask, browse: SignIn) -> None:
    record(app, "Email relay")
    words = said(browse().get("/admin/audit?target=Nonesuch&group=member").text)
    assert "No entries match" in words
    assert "Nonesuch" in words
    assert "Clear filters" in words


def test_days_are_those_of_the_viewer(app: Flask, browse: SignIn) -> None:
    record(app, "Email relay")
    here = datetime.now(UTC).astimezone().astimezone(UTC)
    client = browse(member(time_zone="Pacific/Kiritimati"))
    local = (here + timedelta(hours=14)).date()
    assert "Email relay" in client.get(f"/admin/audit?since={local}&until={local}").text
    assert "Email relay" not in client.get(f"/admin/audit?since={local + timedelta(days=1)}").text


def test_a_bad_day_is_named_at_its_field(app: Flask, browse: SignIn) -> None:
    client = browse()
    for query in ("since=nonsense", "until=2026-13-40", "since=2026-11-21&until=2026-11-20"):
        page = client.get(f"/admin/audit?{query}")
        assert page.status_code == 422
        assert 'aria-invalid="true"' in page.text


def test_hostile_queries_get_a_page(app: Flask, browse: SignIn) -> None:
    record(app, "Email relay")
    client = browse()
    for number in ("abc", "-1", "0", "9" * 18, "9" * 30):
        assert "Email relay" in client.get(f"/admin/audit?before={number}").text
    for query in ("group=%25&actor=%00&target=%F0%9F%98%80", "group=" + "x" * 5000, "target=%ff", "since=%00"):
        assert client.get(f"/admin/audit?{query}").status_code == 200, query


def test_hostile_values_are_shown_as_text(app: Flask, browse: SignIn) -> None:
    record(
        app, HOSTILE, action=f"x.{HOSTILE}", before={HOSTILE: HOSTILE}, after={HOSTILE: None},
        actor=Actor("user", None, HOSTILE, HOSTILE), target_id=HOSTILE,
    )  # fmt: skip
    page = browse().get(f"/admin/audit?actor={HOSTILE}").text
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_the_list_as_a_fragment_has_no_frame(app: Flask, browse: SignIn) -> None:
    record(app, "Email relay")
    part = browse().get("/admin/audit?target=relay", headers=HTMX).text
    assert 'id="audit-list"' in part
    assert "<html" not in part


def test_credential_access_shows_uses_and_refusals_of_ones_own_organization(app: Flask, browse: SignIn) -> None:
    with app.app_context(), unit_of_work():
        for place, name in ((ORGANIZATION, "Email relay"), (OTHER, "Theirs")):
            values = {"organization_id": place, "integration_id": uuid.uuid4(), "integration_name": name}
            access.record_use(**values, purpose="Health check")  # type: ignore[arg-type]
            access.record_refusal(**values, purpose="Reveal", actor=Actor("user", None, "Noor"))  # type: ignore[arg-type]
    words = said(browse().get("/admin/credential-access").text)
    for expected in ("Email relay", "Health check", "Portal", "Used", "Refused", "Noor"):
        assert expected in words
    assert "Theirs" not in words


def test_credential_access_without_uses_says_so_and_takes_any_place(app: Flask, browse: SignIn) -> None:
    assert "No credentials used yet" in said(browse().get("/admin/credential-access?before=nonsense").text)
    assert browse().get(f"/admin/credential-access?before={uuid.uuid4()}").status_code == 200


def test_credential_access_goes_on_to_older_uses(app: Flask, browse: SignIn) -> None:
    with app.app_context(), unit_of_work():
        for number in range(30):
            access.record_use(
                organization_id=ORGANIZATION, integration_id=uuid.UUID(int=21), integration_name=f"Relay {number:02}",
                purpose="Connection test", actor=Actor("user", None, "Noor"),
            )  # fmt: skip
    client = browse()
    first = client.get("/admin/credential-access").text
    older = html.unescape(next(link for link in re.findall(r'href="([^"]+)"', first) if "before=" in link))
    second = client.get(older).text
    seen = [set(re.findall(r'title="(Relay \d\d)"', part)) for part in (first, second)]
    assert ([len(each) for each in seen], len(seen[0] | seen[1])) == ([25, 5], 30)


def test_who_acted_in_a_request_does_not_act_in_the_next(app: Flask, browse: SignIn) -> None:
    browse().get("/admin/audit")
    assert trail.current_actor() == trail.SYSTEM
