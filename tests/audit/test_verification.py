"""Verification finds whatever was done to the database outside the portal, and names the first bad entry."""

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import ColumnElement, Executable, delete, insert, select, text, update
from sqlalchemy.exc import DatabaseError

from portal import keyring
from portal.audit import trail, triggers, verification
from portal.audit.chain import ENTRIES, HEADS, START, entry_mac, head_seal
from portal.database import db, new_id, reading, unit_of_work

ORGANIZATION = uuid.UUID(int=11)
LENGTH = 12


@pytest.fixture(autouse=True)
def written(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A chain of twelve entries, read in batches of five."""
    monkeypatch.setattr(verification, "BATCH", 5)
    with app.app_context():
        for numbers in (range(1, 6), range(6, LENGTH + 1)):
            with unit_of_work():
                for number in numbers:
                    trail.record(
                        action="integration.changed", organization_id=ORGANIZATION, target_type="integration",
                        target_name=f"Relay {number}", before={"port": number}, after={"port": number + 1},
                    )  # fmt: skip
        yield


def verify() -> trail.Verification:
    with reading():
        return trail.verify(ORGANIZATION)


def after(*statements: Executable) -> trail.Verification:
    """Return what verification says once the owner of the database did something; it is undone afterwards."""
    with unit_of_work() as session:
        for statement in triggers.DROP[session.get_bind().dialect.name]:
            session.execute(text(statement))
        for each in statements:
            session.execute(each)
        result = trail.verify(ORGANIZATION)
        session.rollback()
    return result


def at(seq: object) -> ColumnElement[bool]:
    return (ENTRIES.c.chain == ORGANIZATION) & (ENTRIES.c.seq == seq)


def row(seq: int) -> dict[str, Any]:
    with reading() as session:
        return session.execute(select(ENTRIES).where(at(seq))).one()._asdict()


def test_an_untouched_chain_is_whole() -> None:
    assert verify() == trail.Verification(True, LENGTH)


def test_a_chain_without_entries_is_whole() -> None:
    with reading():
        assert trail.verify(uuid.UUID(int=99)) == trail.Verification(True, 0)


CHANGES: list[dict[str, object]] = [
    {"actor_name": "Somebody else"}, {"actor_id": uuid.UUID(int=1)}, {"actor_kind": "user"}, {"ip": "10.0.0.1"},
    {"action": "integration.created"}, {"target_name": "x"}, {"target_id": "x"}, {"target_type": "x"},
    {"request_id": "x"}, {"before": None}, {"after": {"port": 0}}, {"mac": bytes(32)}, {"key_id": 4711},
    {"id": uuid.UUID(int=1)},
]  # fmt: skip


def test_a_changed_field_is_found_at_its_entry() -> None:
    for seq in (1, 5, 6, LENGTH):
        for change in CHANGES:
            result = after(update(ENTRIES).where(at(seq)).values(change))
            assert (result.ok, result.first_bad_seq, result.entries) == (False, seq, seq - 1), change
            assert str(seq) in result.reason
    columns = {name for change in CHANGES for name in change} | {"chain", "seq", "at"}
    assert columns == set(ENTRIES.columns.keys())


def test_a_moment_changed_by_a_microsecond_is_found() -> None:
    moved = row(4)["at"].replace(microsecond=1)
    assert after(update(ENTRIES).where(at(4)).values(at=moved)).first_bad_seq == 4


def test_a_removed_entry_is_missing() -> None:
    for seq in (1, 5, 6, 11):
        expected = trail.Verification(False, seq - 1, seq, f"Entry {seq} is missing.")
        assert after(delete(ENTRIES).where(at(seq))) == expected


def test_a_removed_entry_is_found_too_when_the_others_move_up() -> None:
    moves = [update(ENTRIES).where(at(seq)).values(seq=seq - 1) for seq in range(6, LENGTH + 1)]
    shorter = update(HEADS).where(HEADS.c.chain == ORGANIZATION).values(seq=LENGTH - 1)
    assert after(delete(ENTRIES).where(at(5)), *moves, shorter).first_bad_seq == 5


def test_two_exchanged_entries_are_found_at_the_first() -> None:
    def move(seq: int, to: int) -> Executable:
        return update(ENTRIES).where(at(seq)).values(seq=to)

    assert after(move(4, 999), move(8, 4), move(999, 8)).first_bad_seq == 4


def test_a_cut_end_is_found() -> None:
    assert after(delete(ENTRIES).where(ENTRIES.c.seq > 9)) == trail.Verification(False, 9, 10, "Entry 10 is missing.")


def test_a_cut_end_with_a_head_that_was_set_back_is_found() -> None:
    mac = row(9)["mac"]
    head = update(HEADS).where(HEADS.c.chain == ORGANIZATION).values(seq=9, mac=mac)
    result = after(delete(ENTRIES).where(ENTRIES.c.seq > 9), head)
    assert (result.ok, result.entries, result.first_bad_seq) == (False, 9, 10)


def test_an_end_cut_to_nothing_or_without_a_head_is_found() -> None:
    assert after(delete(ENTRIES)).first_bad_seq == 1
    assert not after(delete(HEADS)).ok


def test_an_added_entry_is_found() -> None:
    for seq in (0, -3, LENGTH + 1, LENGTH + 50):
        added = {**row(3), "id": new_id(), "seq": seq}
        assert after(insert(ENTRIES).values(added)).first_bad_seq == (seq if seq < 1 else LENGTH + 1)


def test_an_entry_added_with_its_head_by_somebody_without_the_key_is_found() -> None:
    added = {**row(LENGTH), "id": new_id(), "seq": LENGTH + 1, "mac": bytes(32)}
    head = update(HEADS).where(HEADS.c.chain == ORGANIZATION).values(seq=LENGTH + 1, mac=bytes(32))
    assert after(insert(ENTRIES).values(added), head).first_bad_seq == LENGTH + 1


def test_the_same_entry_after_another_one_has_another_mac() -> None:
    entry = row(3)
    assert entry_mac(entry, row(2)["mac"]) == entry["mac"]
    assert entry_mac(entry, row(1)["mac"]) != entry["mac"]


def test_a_chain_rebuilt_under_another_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    changed, previous = [], START
    entries = [row(seq) for seq in range(1, LENGTH + 1)]
    with monkeypatch.context() as forged:
        forged.setattr(keyring, "mac", lambda data, **_: hashlib.sha256(data).digest())
        for entry in entries:
            previous = entry_mac({**entry, "target_name": "forged"}, previous)
            changed.append(update(ENTRIES).where(at(entry["seq"])).values(target_name="forged", mac=previous))
        seal = head_seal(ORGANIZATION, LENGTH, previous, 3)
    assert after(*changed, update(HEADS).values(mac=previous, seal=seal)).first_bad_seq == 1


def test_an_entry_of_another_chain_does_not_fit() -> None:
    other = uuid.UUID(int=12)
    with unit_of_work():
        for name in ("a", "b"):
            trail.record(action="x.y", organization_id=other, target_type="t", target_name=name)
    moved = update(ENTRIES).where(ENTRIES.c.chain == other, ENTRIES.c.seq == 2).values(chain=ORGANIZATION)
    assert after(delete(ENTRIES).where(at(2)), moved).first_bad_seq == 2


def test_values_that_cannot_even_be_read_name_their_entry() -> None:
    if db.engine.dialect.name != "sqlite":
        return  # PostgreSQL's columns hold nothing else
    for column, rubbish in (("before", "{"), ("at", "yesterday"), ("id", "no id")):
        statement = text(f"UPDATE audit_entries SET {column} = '{rubbish}' WHERE seq = 8")  # noqa: S608 - fixed words
        assert after(statement).first_bad_seq == 8


def test_a_second_entry_of_a_number_is_found_where_the_constraint_was_dropped() -> None:
    if db.engine.dialect.name != "postgresql":
        return  # SQLite cannot drop a constraint
    constraint = text("ALTER TABLE audit_entries DROP CONSTRAINT uq_audit_entries_chain_seq")
    assert after(constraint, insert(ENTRIES).values({**row(5), "id": new_id()})).first_bad_seq == 5


REFUSED: list[Executable] = [
    update(ENTRIES).values(target_name="x"), delete(ENTRIES), delete(HEADS), update(HEADS).values(seq=3),
    update(HEADS).values(mac=bytes(32)), update(HEADS).values(chain=uuid.UUID(int=1), seq=99),
]  # fmt: skip


def test_the_database_itself_refuses_changes() -> None:
    emptied = [text("TRUNCATE audit_entries"), text("TRUNCATE audit_heads")]
    for statement in [*REFUSED, *(emptied if db.engine.dialect.name == "postgresql" else [])]:
        with pytest.raises(DatabaseError, match="audit"), unit_of_work() as session:
            session.execute(statement)
    assert verify() == trail.Verification(True, LENGTH)


def test_the_triggers_can_be_made_again_after_they_were_dropped() -> None:
    with unit_of_work() as session:
        name = session.get_bind().dialect.name
        for statement in (*triggers.DROP[name], *triggers.CREATE[name]):
            session.execute(text(statement))
    with pytest.raises(DatabaseError, match="audit"), unit_of_work() as session:
        session.execute(delete(ENTRIES))
