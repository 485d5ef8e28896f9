"""Receipts: a passed test vouches for the values it tested, for a quarter of an hour, and for nothing else."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from portal.integrations.models import Condition
from tests.support.integrations import CANARY, Mail, all_integrations, load, make_integration, posted, refused
from tests.support.people import Browser, Team, make_team

pytestmark = [pytest.mark.parametrize("settings", ["sqlite"], indirect=True), pytest.mark.usefixtures("mail")]
NEW = "/admin/integrations/new/smtp"
START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def receipt_of(admin: Browser, path: str = NEW, **changes: str) -> str:
    """Test what the form holds, and return the receipt that comes back."""
    answer = admin.post(path, posted(intent="test", **changes), target="drawer-host")
    assert answer.status_code == 200
    found = re.search(r'name="receipt" value="([^"]*)"', answer.text)
    assert found
    return found[1]


def saved(app: Flask, admin: Browser, receipt: str, path: str = NEW, **changes: str) -> str | None:
    """Save what the form holds with a receipt, and return the condition it was stored in."""
    answer = admin.post(path, posted(receipt=receipt, **changes))
    assert answer.status_code == 303, answer.text
    return load(app, uuid.UUID(answer.headers["Location"].rpartition("/")[2])).condition


def test_what_passed_a_test_is_saved_as_verified(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    receipt = receipt_of(admin)
    assert receipt
    assert saved(app, admin, receipt) is None
    assert len(mail.tested) == 1


def test_a_failed_test_gives_no_receipt(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    mail.report = refused()
    assert receipt_of(admin) == ""
    assert saved(app, admin, "") == Condition.UNVERIFIED


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "another one 12345"},
        {"host": "other.example.com"},
        {"port": "2525"},
        {"security": "tls"},
        {"username": "somebody"},
        {"from_email": "other@example.com"},
        {"preset": "mailgun"},
    ],
)
def test_other_values_than_those_tested_are_unverified(
    app: Flask, team: Team, admin: Browser, mail: Mail, changes: dict[str, str]
) -> None:
    assert saved(app, admin, receipt_of(admin), **changes) == Condition.UNVERIFIED


@pytest.mark.parametrize("changes", [{"name": "Another name"}, {"max_per_hour": "5"}, {"intent": "save"}])
def test_what_no_test_looks_at_may_change(
    app: Flask, team: Team, admin: Browser, mail: Mail, changes: dict[str, str]
) -> None:
    assert saved(app, admin, receipt_of(admin), **changes) is None


@pytest.mark.parametrize(
    ("minutes", "condition"), [(15, None), (15.1, Condition.UNVERIFIED), (600, Condition.UNVERIFIED)]
)
def test_a_receipt_fades_after_a_quarter_of_an_hour(
    app: Flask, team: Team, time: time_machine.Traveller, minutes: float, condition: Condition | None
) -> None:
    receipt = receipt_of(Browser(app, team.admin))
    time.shift(timedelta(minutes=minutes))
    assert saved(app, Browser(app, team.admin), receipt) == condition


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        ".",
        "1763715600.",
        "1763715600." + "A" * 44,
        "1763715600.é",
        "99999999999." + "A" * 44,
        "-5.AAAA",
        "٥.AAAA",
        "9" * 5000,
        "A" * 100_000,
    ],
)
def test_a_made_up_receipt_vouches_for_nothing(app: Flask, team: Team, admin: Browser, mail: Mail, forged: str) -> None:
    assert saved(app, admin, forged) == Condition.UNVERIFIED


def test_a_receipt_with_another_time_vouches_for_nothing(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    at, _, proof = receipt_of(admin).partition(".")
    assert saved(app, admin, f"{int(at) + 1}.{proof}") == Condition.UNVERIFIED


def test_a_receipt_of_another_integration_vouches_for_nothing(
    app: Flask, team: Team, admin: Browser, mail: Mail
) -> None:
    """Kept secrets differ though everything else in the form is the same."""
    one = make_integration(app, team.admin, "One", password=CANARY)
    two = make_integration(app, team.admin, "Two", password="quite another one")
    kept = {"password": "", "password__action": "keep"}
    receipt = receipt_of(admin, f"/admin/integrations/{one}/edit", name="One", **kept)
    changed = {"from_name": "", **kept}
    assert saved(app, admin, receipt, f"/admin/integrations/{one}/edit", name="One", **changed) is None
    again = receipt_of(admin, f"/admin/integrations/{one}/edit", name="One", from_name="New", **kept)
    assert saved(app, admin, again, f"/admin/integrations/{two}/edit", name="Two", from_name="New", **kept) == (
        Condition.UNVERIFIED
    )
    assert saved(app, admin, again, name="Three", from_name="New") == Condition.UNVERIFIED


def test_a_kept_secret_that_was_replaced_since_the_test_is_unverified(
    app: Flask, team: Team, admin: Browser, mail: Mail, time: time_machine.Traveller
) -> None:
    integration = make_integration(app, team.admin)
    path, kept = f"/admin/integrations/{integration}/edit", {"password": "", "password__action": "keep"}
    receipt = receipt_of(admin, path, from_name="New", **kept)
    time.shift(timedelta(minutes=1))
    other = {"password": "replaced by somebody", "password__action": "replace"}
    assert saved(app, admin, "", path, **other) == Condition.UNVERIFIED
    assert saved(app, admin, receipt, path, from_name="New", **kept) == Condition.UNVERIFIED


def test_a_receipt_is_no_use_in_another_organization_for_other_secrets(app: Flask, team: Team, mail: Mail) -> None:
    receipt = receipt_of(Browser(app, team.admin))
    elsewhere = Browser(app, make_team(app, "Southgate").admin)
    assert saved(app, elsewhere, receipt, password="another one 12345") == Condition.UNVERIFIED
    assert len(all_integrations(app)) == 1
