"""Credential access: a row per person and per refusal, a counting row per hour for jobs."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.audit import access
from portal.audit.actor import SYSTEM, Actor, acting_as
from portal.audit.models import CredentialAccess
from portal.database import reading, unit_of_work

ORGANIZATION, OTHER = uuid.UUID(int=11), uuid.UUID(int=12)
RELAY, SMS = uuid.UUID(int=21), uuid.UUID(int=22)
DANA = Actor("user", uuid.UUID(int=5), "Dana Whitfield", "203.0.113.9")
START = datetime(2026, 11, 21, 10, 59, 58, tzinfo=UTC)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def use(
    purpose: str = "Health check",
    *,
    actor: Actor | None = None,
    integration_id: uuid.UUID = RELAY,
    organization_id: uuid.UUID = ORGANIZATION,
    refused: bool = False,
) -> None:
    record = access.record_refusal if refused else access.record_use
    with unit_of_work():
        record(
            organization_id=organization_id,
            integration_id=integration_id,
            integration_name="Email relay",
            purpose=purpose,
            actor=actor,
        )


def rows() -> list[CredentialAccess]:
    with reading() as session:
        return list(session.scalars(select(CredentialAccess).order_by(CredentialAccess.first_at, CredentialAccess.id)))


def test_jobs_are_counted_by_the_hour_with_first_and_last_time() -> None:
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(4):
            use()
            clock.shift(timedelta(seconds=1))
    first, second = rows()
    assert (first.count, first.first_at, first.last_at) == (2, START, START + timedelta(seconds=1))
    assert (second.count, second.hour) == (2, START.replace(hour=11, minute=0, second=0))
    assert (first.actor_kind, first.actor_name) == ("system", "Portal")


def test_uses_of_many_integrations_are_counted_together() -> None:
    for _ in range(2):
        with unit_of_work():
            access.record_uses([access.Used(ORGANIZATION, each, "Relay") for each in (RELAY, SMS)], purpose="Check")
    with reading() as session:
        rows = session.scalars(select(CredentialAccess)).all()
    assert {each.integration_id: each.count for each in rows} == {RELAY: 2, SMS: 2}


def test_purposes_integrations_and_tokens_are_counted_apart() -> None:
    with time_machine.travel(START, tick=False):
        use()
        use("Send")
        use(integration_id=SMS)
        use(actor=Actor("token", uuid.UUID(int=1), "CI"))
        use(actor=Actor("token", uuid.UUID(int=2), "Payroll"))
        use()
    assert [row.count for row in rows()] == [2, 1, 1, 1, 1]


def test_each_use_by_a_person_and_each_refusal_is_a_row_of_its_own() -> None:
    with acting_as(DANA):
        use("Connection test")
        use("Connection test")
    use(refused=True)
    use(refused=True)
    use(actor=Actor("command", name="Command line"))
    use(actor=Actor("command", name="Command line"))
    found = rows()
    assert [(row.count, row.hour, row.outcome) for row in found] == [
        *[(1, None, "allowed")] * 2,
        *[(1, None, "refused")] * 2,
        *[(1, None, "allowed")] * 2,
    ]
    assert (found[0].actor_id, found[0].actor_name, found[0].ip) == (DANA.id, DANA.name, DANA.ip)


def test_the_last_use_is_the_latest_that_was_allowed() -> None:
    with reading():
        assert access.last_use(RELAY) is None
    with time_machine.travel(START, tick=False) as clock:
        use(actor=DANA, purpose="Connection test")
        clock.shift(timedelta(minutes=1))
        use()
        clock.shift(timedelta(minutes=1))
        use(refused=True)
        use(integration_id=SMS)
    with reading():
        assert access.last_use(RELAY) == access.LastUse(START + timedelta(minutes=1), "Health check", "Portal")


def test_a_clock_that_goes_back_does_not_move_the_last_use_back() -> None:
    at = START.replace(minute=30)
    for moment in (at, at - timedelta(minutes=5)):
        with time_machine.travel(moment, tick=False):
            use()
    (row,) = rows()
    assert (row.count, row.last_at) == (2, at)


def test_a_use_belongs_to_the_transaction_it_happened_in() -> None:
    def fail() -> None:
        with unit_of_work():
            access.record_use(
                organization_id=ORGANIZATION, integration_id=RELAY, integration_name="x", purpose="y", actor=SYSTEM
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert rows() == []


def test_many_jobs_at_once_lose_no_count(app: Flask) -> None:
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        for _ in range(10):
            with app.app_context():
                use()

    with time_machine.travel(START, tick=False):
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [row.count for row in rows()] == [60]


def test_pages_show_each_row_of_the_organization_once_newest_first() -> None:
    with time_machine.travel(START, tick=False) as clock:
        for number in range(60):
            use(f"Use {number}", actor=DANA)
            clock.shift(timedelta(seconds=number % 2))  # pairs of the same moment
        use("elsewhere", actor=DANA, organization_id=OTHER)
    seen: list[CredentialAccess] = []
    before, pages = None, 0
    while pages == 0 or before:
        with reading():
            page = access.list_accesses(organization_id=ORGANIZATION, before=before)
        seen, before, pages = [*seen, *page.rows], page.older, pages + 1
    assert pages == 3
    assert [row.last_at for row in seen] == sorted((row.last_at for row in seen), reverse=True)
    assert {row.purpose for row in seen} == {f"Use {number}" for number in range(60)}
    assert len(seen) == 60


def test_a_page_that_starts_at_another_organizations_row_shows_only_ones_own() -> None:
    use("mine", actor=DANA)
    use("elsewhere", actor=DANA, organization_id=OTHER)
    stranger = next(row.id for row in rows() if row.organization_id == OTHER)
    with reading():
        page = access.list_accesses(organization_id=ORGANIZATION, before=stranger)
    assert [row.purpose for row in page.rows] == ["mine"]
