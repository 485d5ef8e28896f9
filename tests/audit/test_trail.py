"""The trail: what is recorded is written by the commit and forgotten by a rollback; no secret is kept."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit import trail
from portal.audit.chain import chains
from portal.audit.models import INSTALLATION, AuditEntry, AuditHead
from portal.audit.trail import Actor, acting_as
from portal.database import db, reading, unit_of_work
from portal.security.secret import Secret

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what does not depend on the database."""
ORGANIZATION = uuid.UUID(int=11)
OTHER = uuid.UUID(int=12)
DANA = Actor("user", uuid.UUID(int=5), "Dana Whitfield", "203.0.113.9")


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def record(name: str = "Email relay", *, organization_id: uuid.UUID | None = ORGANIZATION, **more: object) -> None:
    values: dict[str, object] = {"action": "integration.changed", "target_type": "integration", **more}
    trail.record(organization_id=organization_id, target_name=name, **values)  # type: ignore[arg-type]


def entries(chain: uuid.UUID = ORGANIZATION) -> list[AuditEntry]:
    with reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.chain == chain).order_by(AuditEntry.seq)))


def names(chain: uuid.UUID = ORGANIZATION) -> list[str]:
    return [entry.target_name for entry in entries(chain)]


@ON_SQLITE
def test_an_entry_says_who_what_when_and_from_where() -> None:
    before = datetime.now(UTC)
    with acting_as(DANA), unit_of_work():
        record(target_id=uuid.UUID(int=3), before={"port": 25}, after={"port": 587})
    (entry,) = entries()
    assert (entry.actor_kind, entry.actor_id, entry.actor_name, entry.ip) == ("user", DANA.id, DANA.name, DANA.ip)
    assert (entry.action, entry.target_type, entry.target_name) == ("integration.changed", "integration", "Email relay")
    assert entry.target_id == str(uuid.UUID(int=3))
    assert (entry.before, entry.after) == ({"port": 25}, {"port": 587})
    assert before <= entry.at <= datetime.now(UTC)
    assert entry.seq == 1


@ON_SQLITE
def test_nobody_in_particular_is_the_portal_itself_and_a_block_of_somebody_ends() -> None:
    with unit_of_work():
        with acting_as(DANA):
            record("first")
        record("second")
        record("third", actor=Actor("token", None, "CI"))
    assert [(entry.actor_kind, entry.actor_name) for entry in entries()] == [
        ("user", "Dana Whitfield"),
        ("system", "Portal"),
        ("token", "CI"),
    ]


@ON_SQLITE
def test_within_a_request_its_address_and_id_are_kept(app: Flask) -> None:
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": "198.51.100.7"}), unit_of_work():
        record()
    with unit_of_work():
        record("later")
    assert [entry.ip for entry in entries()] == ["198.51.100.7", ""]


def test_nothing_is_written_before_the_commit_and_nothing_after_a_rollback() -> None:
    class StopError(Exception):
        pass

    def fail() -> None:
        with unit_of_work() as session:
            record()
            session.flush()
            assert session.scalars(select(AuditEntry)).all() == []
            raise StopError

    with pytest.raises(StopError):
        fail()
    with unit_of_work():
        record("kept")
    assert names() == ["kept"]


def test_an_explicit_rollback_forgets_what_was_recorded() -> None:
    with unit_of_work() as session:
        session.execute(select(AuditEntry))
        record("gone")
        session.rollback()
        record("kept")
    assert names() == ["kept"]


def test_a_savepoint_that_is_rolled_back_takes_its_entries_along_and_no_others() -> None:
    with unit_of_work() as session:
        record("before")
        with session.begin_nested():
            record("released")
        assert session.scalars(select(AuditEntry)).all() == []  # the chain is locked by the commit, no earlier
        outer = session.begin_nested()
        record("lost")
        with session.begin_nested():
            record("lost too")
        outer.rollback()
        record("after")
    assert names() == ["before", "released", "after"]
    with reading():
        assert trail.verify(ORGANIZATION) == trail.Verification(True, 3)


@ON_SQLITE
def test_entries_of_several_chains_in_one_transaction_each_go_into_their_own() -> None:
    with unit_of_work():
        for number in range(3):
            record(f"a{number}")
            record(f"b{number}", organization_id=OTHER)
            record(f"i{number}", organization_id=None)
    assert names() == ["a0", "a1", "a2"]
    assert names(OTHER) == ["b0", "b1", "b2"]
    assert names(INSTALLATION) == ["i0", "i1", "i2"]
    assert [entry.seq for entry in entries(OTHER)] == [1, 2, 3]
    with reading():
        assert chains() == [INSTALLATION, ORGANIZATION, OTHER]


@ON_SQLITE
def test_a_failed_write_of_the_trail_fails_the_change_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise RuntimeError("no key")

    monkeypatch.setattr("portal.audit.chain.entry_mac", fail)

    def change() -> None:
        with unit_of_work() as session:
            session.add(AuditHead(chain=OTHER, seq=0, mac=b"", key_id=0, seal=b""))
            record()

    with pytest.raises(RuntimeError, match="no key"):
        change()
    with reading() as session:
        assert session.scalars(select(AuditHead)).all() == []


class Colour(StrEnum):
    RED = "red"


def test_values_of_every_kind_become_plain_and_stay_verifiable() -> None:
    at = datetime(2026, 11, 21, 10, 0, 0, 5, tzinfo=timezone(timedelta(hours=11)))
    values = {
        "moment": at, "id": uuid.UUID(int=9), "choice": Colour.RED, "price": Decimal("1.10"), "set": {"b", "a"},
        "none": None, "yes": True, "float": 0.1, "whole": 1.0, "many": 10**400, "nan": float("nan"), "day": at.date(),
        "bytes": b"\x00\xff", "text": "\x00a\ud800b\u202e 漢字 <b>", "tuple": (1, "2"), "nested": {"a": [1, {"b": 2}]},
        3: "key",
    }  # fmt: skip
    with unit_of_work():
        record(before=values, after={})
    (entry,) = entries()
    kept = dict(entry.before or {})
    assert kept.pop("many") == str(10**400)
    assert kept == {
        "moment": "2026-11-20T23:00:00.000005+00:00", "id": str(uuid.UUID(int=9)), "choice": "red", "price": "1.10",
        "set": ["a", "b"], "none": None, "yes": True, "float": 0.1, "whole": 1.0, "nan": "nan", "day": "2026-11-21",
        "bytes": "2 bytes", "text": "a?b 漢字 <b>", "tuple": [1, "2"], "nested": {"a": [1, {"b": 2}]}, "3": "key",
    }  # fmt: skip
    assert entry.after == {}
    with reading():
        assert trail.verify(ORGANIZATION).ok


@ON_SQLITE
def test_no_secret_is_kept_but_the_names_of_replaced_ones() -> None:
    secret = "correct horse battery"
    with unit_of_work():
        record(
            before={"password": secret, "credentials": {"api_key": secret}, "held": Secret(secret)},
            after={"note": "key SG.abcdefghijklmnop.abcdefghijklmnop", "secrets_replaced": ["password", "api_key"]},
        )
    (entry,) = entries()
    text = json.dumps([entry.before, entry.after])
    assert secret not in text
    assert "abcdefghijklmnop" not in text
    assert (entry.after or {})["secrets_replaced"] == ["password", "api_key"]


def test_huge_and_hostile_text_is_cut_to_what_fits() -> None:
    long = "\x00\ud800" + "x" * 100_000
    with unit_of_work():
        record(
            long,
            action=long,
            target_type=long,
            target_id=long,
            after={"name": long, long: 1},
            actor=Actor("user", None, long, long),
        )
    (entry,) = entries()
    sizes = [
        len(text)
        for text in (entry.target_name, entry.action, entry.target_type, entry.target_id, entry.actor_name, entry.ip)
    ]
    assert sizes == [200, 100, 64, 200, 200, 64]
    assert len(str(entry.after)) < 2000
    with reading():
        assert trail.verify(ORGANIZATION).ok


def test_many_threads_at_once_leave_one_chain_without_gaps(app: Flask) -> None:
    threads_count, each, barrier = 8, 12, threading.Barrier(8)

    def write(thread: int) -> None:
        barrier.wait()
        for number in range(each):
            with app.app_context(), unit_of_work():
                # Half of them the other way round: they must not wait for each other.
                for chain in (ORGANIZATION, OTHER) if thread % 2 else (OTHER, ORGANIZATION):
                    record(f"{thread}/{number}", organization_id=chain)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for chain in (ORGANIZATION, OTHER):
        found = entries(chain)
        assert [entry.seq for entry in found] == list(range(1, threads_count * each + 1))
        assert {entry.target_name for entry in found} == {f"{a}/{b}" for a in range(threads_count) for b in range(each)}
        with reading():
            assert trail.verify(chain) == trail.Verification(True, threads_count * each)


def test_a_reader_sees_a_whole_chain_while_others_write(app: Flask) -> None:
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            with app.app_context(), unit_of_work():
                record(str(number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    results = []
    while not done.is_set():
        with reading():
            results.append(trail.verify(ORGANIZATION))
    writer.join()
    assert all(result.ok for result in results)
    assert not db.session.registry.has()
