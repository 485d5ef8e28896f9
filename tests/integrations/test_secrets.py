"""Stored secrets: kept, replaced, removed, asked to confirm, wiped; never shown, and each use is recorded."""

import re
import uuid
from dataclasses import replace as with_changes

import pytest
from flask import Flask
from sqlalchemy import select

from portal import keyring
from portal.audit.models import CredentialAccess
from portal.database import reading, unit_of_work
from portal.integrations import calls, credentials, drafts, forms
from portal.integrations.drafts import Submission
from portal.integrations.models import Condition, Integration, IntegrationSecret, Status
from portal.providers import catalogue
from portal.security.encryption import Context
from portal.security.errors import SecurityError
from tests.support.integrations import (
    CANARY,
    Mail,
    all_integrations,
    load,
    make_integration,
    passed,
    posted,
    refused,
    stored_secrets,
    trail,
)
from tests.support.people import PASSWORD, Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
OTHER = "another-s3cret-value-xyz"


def edited(**changes: str) -> dict[str, str]:
    """Return what the drawer of a stored integration posts when nothing was changed; keywords change it."""
    return posted(**{"password": "", "password__action": "keep", **changes})


def edit(admin: Browser, integration: uuid.UUID, **changes: str) -> int:
    return admin.post(f"/admin/integrations/{integration}/edit", edited(**changes)).status_code


def uses(app: Flask) -> list[tuple[str, str, str]]:
    """Return who used credentials, what for, and how that ended."""
    with app.app_context(), reading() as session:
        rows = session.scalars(select(CredentialAccess).order_by(CredentialAccess.last_at, CredentialAccess.id))
        return [(row.actor_name, row.purpose, row.outcome) for row in rows]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"password__action": ""},
        {"password__action": "replace"},
        {"password__action": "nonsense"},
        {"password__action": "keep", "password": "typed but then decided otherwise"},
    ],
)
def test_an_empty_field_keeps_the_secret_whatever_is_pressed(
    app: Flask, team: Team, admin: Browser, mail: Mail, changes: dict[str, str]
) -> None:
    integration = make_integration(app, team.admin)
    admin.forget_confirmation()
    assert edit(admin, integration, name="Renamed", **changes) == 303
    assert load(app, integration).name == "Renamed"
    assert stored_secrets(app, integration)["password"] == CANARY


@pytest.mark.parametrize("verb", ["replace", ""])
def test_a_new_value_replaces_the_secret(app: Flask, team: Team, admin: Browser, mail: Mail, verb: str) -> None:
    integration = make_integration(app, team.admin)
    assert edit(admin, integration, password=OTHER, password__action=verb) == 303
    stored = load(app, integration)
    assert stored_secrets(app, integration)["password"] == OTHER
    assert (stored.status, stored.condition) == (Status.INACTIVE, Condition.UNVERIFIED)
    page = admin.get(f"/admin/integrations/{integration}/edit")
    assert "Keep ••••-xyz" in words(page)
    assert "by Marcus Oyelaran" in words(page)
    [entry] = trail(app, "integration.changed")
    assert entry.after is not None
    assert entry.after["secrets_replaced"] == ["password"]
    assert OTHER not in str((entry.before, entry.after))


def test_remove_removes_the_secret(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    assert edit(admin, integration, username="", password__action="remove", password="left over") == 303
    assert "password" not in stored_secrets(app, integration)
    with app.app_context(), reading() as session:
        assert session.scalars(select(IntegrationSecret)).all() == []
    [entry] = trail(app, "integration.changed")
    assert entry.after is not None
    assert entry.after["secrets_removed"] == ["password"]


@SQLITE
def test_a_password_cannot_be_removed_while_a_user_name_needs_it(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    assert edit(admin, integration, password__action="remove") == 422
    assert stored_secrets(app, integration)["password"] == CANARY


@SQLITE
@pytest.mark.parametrize("shown", ["••••" + CANARY[-4:], "••••", "************"])
def test_the_masked_value_sent_back_is_refused(app: Flask, team: Team, admin: Browser, mail: Mail, shown: str) -> None:
    integration = make_integration(app, team.admin)
    answer = admin.post(f"/admin/integrations/{integration}/edit", edited(password=shown, password__action="replace"))
    assert answer.status_code == 422
    assert "Password is the masked form." in words(answer)
    assert stored_secrets(app, integration)["password"] == CANARY


PROTECTED: dict[str, dict[str, str]] = {
    "replaced": {"password": OTHER, "password__action": "replace"},
    "removed": {"username": "", "password__action": "remove"},
    "sent to another host": {"host": "mail.evil.example"},
    "sent to another port": {"port": "2525"},
    "sent in another way": {"security": "tls", "port": "465"},
    "sent in the clear": {"security": "none", "port": "25", "confirm_plaintext": "y"},
}


@SQLITE
@pytest.mark.parametrize("case", PROTECTED)
def test_a_secret_is_not_touched_without_a_recent_confirmation(
    app: Flask, team: Team, admin: Browser, mail: Mail, case: str
) -> None:
    integration = make_integration(app, team.admin)
    before = load(app, integration)
    admin.forget_confirmation()
    for intent in ("save", "test", "test_and_save", "send_test"):
        changed = edited(intent=intent, test_to="dana@example.org", from_name="Typed before", **PROTECTED[case])
        answer = admin.post(f"/admin/integrations/{integration}/edit", changed, target="drawer-host")
        assert answer.status_code == 422, intent
        assert "Enter your password or a code from your authenticator app." in words(answer)
        assert 'value="Typed before"' in answer.text, "the rest of the form is kept"
        assert OTHER not in answer.text
    assert (mail.tested, mail.sent) == ([], [])
    assert stored_secrets(app, integration)["password"] == CANARY
    assert load(app, integration).config == before.config


@SQLITE
@pytest.mark.usefixtures("mail")
@pytest.mark.parametrize("case", PROTECTED)
@pytest.mark.parametrize("by", ["password", "code"])
def test_it_goes_on_with_password_or_code_in_the_same_form(
    app: Flask, team: Team, admin: Browser, case: str, by: str
) -> None:
    integration = make_integration(app, team.admin)
    before = stored_secrets(app, integration)
    admin.forget_confirmation()
    answer = PASSWORD if by == "password" else team.admin.code()
    assert edit(admin, integration, confirm_access=answer, **PROTECTED[case]) == 303
    assert stored_secrets(app, integration) != before
    assert len(trail(app, "integration.changed")) == 1
    assert edit(admin, integration, name="Another", host="b.example.com", username="", password__action="remove") == 303


@SQLITE
@pytest.mark.parametrize("wrong", ["not the password", "000000", "x" * 2000, "<b>no</b>"])
def test_a_wrong_confirmation_is_refused_and_recorded(
    app: Flask, team: Team, admin: Browser, mail: Mail, wrong: str
) -> None:
    integration = make_integration(app, team.admin)
    admin.forget_confirmation()
    answer = admin.post(
        f"/admin/integrations/{integration}/edit", edited(confirm_access=wrong, **PROTECTED["replaced"])
    )
    assert answer.status_code == 422
    assert wrong not in answer.text
    assert stored_secrets(app, integration)["password"] == CANARY
    assert ("Marcus Oyelaran", "Replace a secret", "refused") in uses(app)


@SQLITE
@pytest.mark.parametrize(
    "changes",
    [{"name": "Renamed"}, {"from_name": "Careers"}, {"max_per_hour": "7"}, {"from_email": "other@example.com"}],
)
def test_what_leaves_secrets_where_they_are_needs_no_confirmation(
    app: Flask, team: Team, admin: Browser, mail: Mail, changes: dict[str, str]
) -> None:
    integration = make_integration(app, team.admin)
    admin.forget_confirmation()
    assert edit(admin, integration, **changes) == 303


@SQLITE
def test_a_new_integration_and_one_without_secrets_need_no_confirmation(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    admin.forget_confirmation()
    assert admin.post("/admin/integrations/new/smtp", posted(name="First")).status_code == 303
    without = make_integration(app, team.admin, "Open relay", password="")
    assert edit(admin, without, name="Open relay", host="other.example.com", username="") == 303


@SQLITE
def test_the_drawer_asks_for_it_only_when_it_is_needed(app: Flask, team: Team, admin: Browser) -> None:
    path = f"/admin/integrations/{make_integration(app, team.admin)}/edit"
    assert 'name="confirm_access"' not in admin.get(path).text
    admin.forget_confirmation()
    assert 'name="confirm_access"' in admin.get(path).text
    assert 'name="confirm_access"' not in admin.get("/admin/integrations/new/smtp").text


def test_a_kept_secret_is_tested_merged_into_the_draft_and_its_use_recorded(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    assert edit(admin, integration, intent="test", from_name="Draft") == 200
    assert [(each["password"], each["from_name"]) for each in mail.tested] == [(CANARY, "Draft")]
    assert uses(app) == [("Marcus Oyelaran", "Connection test", "allowed")]
    edit(admin, integration, intent="send_test", test_to="dana@example.org")
    assert uses(app)[1] == ("Marcus Oyelaran", "Test email", "allowed")
    edit(admin, integration, intent="test", password=OTHER, password__action="replace")
    assert mail.tested[-1]["password"] == OTHER
    assert len(uses(app)) == 2, "nothing stored was opened for a value that was typed"


@SQLITE
def test_a_secret_that_was_replaced_meanwhile_is_neither_tested_nor_saved_over(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    """Two people have the drawer open; what the second one saw is not what is stored any more."""
    integration = make_integration(app, team.admin)
    path = f"/admin/integrations/{integration}/edit"
    version = re.search(r'name="version" value="(\w+)"', admin.get(path).text)
    assert version
    other = Browser(app, team.owner)
    assert edit(other, integration, password=OTHER, password__action="replace") == 303
    for intent in ("save", "test_and_save", "test"):
        answer = admin.post(path, edited(name="Late", version=version[1], intent=intent), target="drawer-host")
        assert answer.status_code == 422
        assert "Somebody changed this integration meanwhile." in words(answer)
        assert 'value="Late"' in answer.text
        assert "Stored now: Name: Email relay." in words(answer)
    assert stored_secrets(app, integration)["password"] == OTHER
    assert load(app, integration).name == "Email relay"
    assert mail.tested == []
    late = admin.post(path, edited(name="Late", version=version[1]), target="drawer-host")
    version = re.search(r'name="version" value="(\w+)"', late.text)
    assert version
    assert edit(admin, integration, name="Late", version=version[1]) == 303
    assert load(app, integration).name == "Late", "who was told of it may save over it"


def test_a_secret_fits_its_own_row_alone(app: Flask, team: Team) -> None:
    """A row copied to another integration, by whoever can write to the database, opens nothing."""
    one, two = (make_integration(app, team.admin, name) for name in ("One", "Two"))
    with app.app_context(), unit_of_work() as session:
        rows = {row.integration_id: row for row in session.scalars(select(IntegrationSecret))}
        rows[two].sealed = rows[one].sealed
    assert stored_secrets(app, one)["password"] == CANARY
    with pytest.raises(SecurityError):
        stored_secrets(app, two)


@SQLITE
def test_a_secret_that_cannot_be_opened_is_said_in_the_form_and_can_be_replaced(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    integration = make_integration(app, team.admin)
    spoil(app, integration)
    assert admin.get(f"/admin/integrations/{integration}").status_code == 200
    answer = admin.post(f"/admin/integrations/{integration}/test", target="drawer-host")
    assert answer.status_code == 422
    assert "The stored value cannot be opened any more. Replace it." in words(answer)
    assert mail.tested == []
    assert edit(admin, integration, password=OTHER, password__action="replace") == 303
    assert stored_secrets(app, integration)["password"] == OTHER


def spoil(app: Flask, integration: uuid.UUID) -> None:
    """Change what is stored of a secret."""
    with app.app_context(), unit_of_work() as session:
        row = session.scalars(select(IntegrationSecret).where(IntegrationSecret.integration_id == integration)).one()
        row.sealed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])


def test_secrets_are_sealed_in_the_database(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    with app.app_context(), reading() as session:
        row = session.scalars(select(IntegrationSecret)).one()
        assert CANARY.encode() not in row.sealed
        assert row.masked == "••••" + CANARY[-4:]
        assert "password" not in session.get_one(Integration, integration).config
        place = Context("credentials", team.organization_id, "integration_secrets", integration, "password")
        assert keyring.open_sealed(row.sealed, place) == CANARY


@SQLITE
def test_nothing_that_holds_a_secret_shows_it(app: Flask, team: Team) -> None:
    provider = catalogue.get("smtp")
    with app.app_context(), reading():
        submission = forms.read(provider, posted())
        draft = drafts.check(provider, submission, None)
        call = calls.Call(provider, draft.values, False)
        shown = [repr(each) for each in (submission, draft, call)]
        shown += [str(submission), f"{draft}", f"{call!r}", repr(with_changes(draft, name="x"))]
    assert isinstance(submission, Submission)
    assert draft.secrets == {"password": CANARY}
    for each in shown:
        assert CANARY not in each
        assert CANARY[:6] not in each


def test_a_deletion_wipes_the_secrets_for_good(app: Flask, team: Team, admin: Browser) -> None:
    integration = make_integration(app, team.admin)
    make_integration(app, team.admin, "Other")
    admin.post(f"/admin/integrations/{integration}/delete", {"confirm_name": "Email relay"})
    with app.app_context(), reading() as session:
        left = session.scalars(select(IntegrationSecret.integration_id)).all()
        assert integration not in left
        assert len(left) == 1


def test_a_mail_report_never_stores_the_secret_it_was_tested_with(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    mail.report = refused()
    admin.post("/admin/integrations/new/smtp", posted(intent="test_and_save"))
    admin.post("/admin/integrations/new/smtp", posted(intent="save"))
    mail.report = passed()
    [stored] = all_integrations(app)
    columns = {column.key: getattr(stored, column.key) for column in Integration.__table__.columns}
    assert CANARY not in str(columns)
    assert CANARY not in str([(each.before, each.after, each.target_name) for each in trail(app)])


@SQLITE
def test_opening_nothing_records_nothing(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin, password="")
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Integration, integration)
        assert credentials.open_all(row, reason="Health check")["host"] == "mail.example.com"
    assert uses(app) == []
