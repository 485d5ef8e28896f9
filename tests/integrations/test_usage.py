"""Usage: counted by the hour, summed by the day of the organization's place, never lost."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from portal.accounts.models import Organization
from portal.database import reading, unit_of_work
from portal.integrations import usage
from portal.integrations.usage import Usage
from tests.support.integrations import Mail, load, make_integration, posted, refused
from tests.support.people import Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOON = datetime(2025, 11, 21, 12, 10, tzinfo=UTC)


def count(app: Flask, integration: uuid.UUID, sent: int = 1) -> None:
    with app.app_context(), unit_of_work():
        usage.add(integration, sent)


def used(app: Flask, integration: uuid.UUID, day_starts: datetime) -> Usage:
    with app.app_context(), reading():
        return usage.of(integration, day_starts=day_starts)


def test_it_is_counted_by_the_hour_and_by_the_day(app: Flask, team: Team) -> None:
    one, two = (make_integration(app, team.admin, name) for name in ("One", "Two"))
    for moment, sent in ((NOON - timedelta(hours=13), 100), (NOON - timedelta(hours=12), 10), (NOON, 2), (NOON, 3)):
        with time_machine.travel(moment, tick=False):
            count(app, one, sent)
    midnight = NOON.replace(hour=0, minute=0)
    with time_machine.travel(NOON + timedelta(minutes=49), tick=False):
        assert used(app, one, midnight) == Usage(hour=5, day=15)
        assert used(app, two, midnight) == Usage(0, 0)
    with time_machine.travel(NOON + timedelta(minutes=50), tick=False):
        assert used(app, one, midnight) == Usage(hour=0, day=15)


def test_nothing_is_lost_when_many_send_at_once(app: Flask, team: Team) -> None:
    integration = make_integration(app, team.admin)
    ready = threading.Barrier(8)

    def send(_number: int) -> None:
        ready.wait(timeout=30)
        for _ in range(5):
            count(app, integration)

    with time_machine.travel(NOON), ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
        assert used(app, integration, NOON.replace(hour=0)) == Usage(40, 40)


@pytest.mark.parametrize(
    ("zone", "today"),
    [
        ("UTC", 110),  # the day began at 00:00: 01:30 and 12:10
        ("Australia/Sydney", 11_000),  # 13:00 UTC the day before: all but the first
        ("America/Los_Angeles", 100),  # 08:00 UTC
        ("Asia/Kathmandu", 1_110),  # 18:15 UTC the day before; the hour that midnight cuts counts whole
    ],
)
def test_the_day_is_the_one_where_the_organization_is(
    app: Flask, team: Team, admin: Browser, zone: str, today: int
) -> None:
    integration = make_integration(app, team.admin, max_per_day=100_000)
    with app.app_context(), unit_of_work() as session:
        session.get_one(Organization, team.organization_id).time_zone = zone
    yesterday = NOON - timedelta(days=1)
    sent = ((yesterday, 100_000), (yesterday.replace(hour=15), 9_890), (yesterday.replace(hour=18, minute=20), 1_000),
            (NOON.replace(hour=1, minute=30), 10), (NOON, 100))  # fmt: skip
    for moment, amount in sent:
        with time_machine.travel(moment, tick=False):
            count(app, integration, amount)
    with time_machine.travel(NOON + timedelta(minutes=5), tick=False):
        admin.sign_in(team.admin)
        page = words(admin.get(f"/admin/integrations/{integration}"))
        assert f"Sent today {today:,} of 100,000" in page
        drawer = words(admin.get(f"/admin/integrations/{integration}/edit"))
        assert f"Current usage: {today:,} today" in drawer
        assert "100 used this hour" in drawer


@SQLITE
def test_only_a_test_email_that_was_taken_counts(app: Flask, team: Team, admin: Browser, mail: Mail) -> None:
    integration = make_integration(app, team.admin)
    path = f"/admin/integrations/{integration}/edit"
    sending = posted(intent="send_test", test_to="dana@example.org", password="")
    admin.post(path, sending)
    assert used(app, integration, NOON.replace(hour=0)).hour == 1
    error = refused().error
    mail.sending = type(mail.sending)(outcome=refused().outcome, error=error)
    admin.post(path, sending)
    admin.post("/admin/integrations/new/smtp", posted(intent="send_test", test_to="dana@example.org"))
    assert used(app, integration, NOON.replace(hour=0)).hour == 1
    assert load(app, integration).config["host"] == "mail.example.com"
