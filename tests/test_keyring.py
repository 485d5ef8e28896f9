"""The key ring: keys are made once, wrapped, rotated, and a key that does not fit harms nothing."""

import threading
import uuid
from base64 import b64encode
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal import keyring
from portal.database import reading, unit_of_work
from portal.keyring import ACTIVE, PURPOSES, RETIRED, KeyringError, StoredDataKey
from portal.security.encryption import Context, UnknownKey, WrongContextOrTampered, new_data_key
from portal.security.masterkeys import MasterKeys

OTHER = f"k1:{b64encode(b'x' * 32).decode()}"
ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what does not depend on the database."""
NEW = f"k2:{b64encode(b'y' * 32).decode()}"


def place(row: uuid.UUID | None = None) -> Context:
    return Context("credentials", uuid.UUID(int=7), "integration_secrets", row or uuid.UUID(int=1), "password")


def rows(app: Flask) -> list[tuple[int, str, str, bytes, str]]:
    columns = (
        StoredDataKey.id,
        StoredDataKey.purpose,
        StoredDataKey.master_key_id,
        StoredDataKey.wrapped,
        StoredDataKey.state,
    )
    with app.app_context(), reading() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(StoredDataKey.id))]  # type: ignore[misc]


def give(app: Flask, master_keys: str) -> None:
    """Start over with other master keys, as a restart would."""
    keyring.init_app(app, master_keys)


def current(app: Flask) -> str:
    """The master keys that the application was made with, in the form of the setting."""
    masters = app.extensions[keyring.EXTENSION].masters
    return ",".join(f"{name}:{b64encode(masters._keys[name]).decode()}" for name in masters.ids)


def test_each_purpose_has_one_active_key_and_a_second_load_makes_none(app: Flask) -> None:
    first = rows(app)
    keyring.load(app)
    assert rows(app) == first
    assert sorted(row[1] for row in first) == sorted(PURPOSES)
    assert {row[4] for row in first} == {ACTIVE}


@ON_SQLITE
def test_a_sealed_value_opens_after_a_restart_and_only_in_its_place(app: Flask) -> None:
    with app.app_context():
        blob = keyring.seal("pässwort", place())
    give(app, current(app))
    with app.app_context():
        assert keyring.open_sealed(blob, place()) == "pässwort"
        with pytest.raises(WrongContextOrTampered):
            keyring.open_sealed(blob, place(uuid.UUID(int=2)))
    assert "pässwort".encode() not in blob


@ON_SQLITE
def test_neither_the_data_keys_nor_the_master_key_stand_in_the_database(app: Flask) -> None:
    keyring.load(app)
    held = app.extensions[keyring.EXTENSION]
    secrets = [held.ring.active(purpose).secret for purpose in PURPOSES] + list(held.masters._keys.values())
    stored = b"".join(row[3] for row in rows(app))
    assert not [secret for secret in secrets if secret in stored]
    assert len(set(secrets)) == len(secrets)


@ON_SQLITE
@pytest.mark.parametrize(
    ("master_keys", "words"),
    [(NEW, "PORTAL_MASTER_KEYS lacks the key k1"), (OTHER, "The key k1 in PORTAL_MASTER_KEYS is not")],
)
def test_a_missing_or_wrong_master_key_stops_the_start_and_changes_nothing(
    app: Flask, master_keys: str, words: str
) -> None:
    before = rows(app)
    give(app, master_keys)
    with pytest.raises(KeyringError, match=words) as caught:
        keyring.load(app)
    assert "\n" not in str(caught.value)
    assert master_keys.partition(":")[2] not in str(caught.value)
    assert rows(app) == before


@ON_SQLITE
def test_with_a_missing_key_even_a_purpose_without_keys_gets_none(app: Flask) -> None:
    forget_purpose(app, "recovery")
    give(app, NEW)
    with pytest.raises(KeyringError):
        keyring.load(app)
    assert "recovery" not in [row[1] for row in rows(app)]


def forget_purpose(app: Flask, purpose: str) -> None:
    with app.app_context(), unit_of_work() as session:
        session.delete(session.scalars(select(StoredDataKey).where(StoredDataKey.purpose == purpose)).one())


@ON_SQLITE
def test_a_purpose_that_came_with_an_upgrade_gets_its_key(app: Flask) -> None:
    forget_purpose(app, "recovery")
    give(app, current(app))
    keyring.load(app)
    assert [row[4] for row in rows(app) if row[1] == "recovery"] == [ACTIVE]


@ON_SQLITE
def test_no_key_is_made_for_a_purpose_whose_keys_are_all_retired(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(StoredDataKey).where(StoredDataKey.purpose == "totp").values(state=RETIRED))
    give(app, current(app))
    keyring.load(app)
    assert [row[4] for row in rows(app) if row[1] == "totp"] == [RETIRED]


@pytest.mark.parametrize("text", ["", "k1", "k1:short", f"{NEW},{NEW}", "k1:" + "!" * 44])
def test_malformed_master_keys_are_one_line_without_their_material(text: str) -> None:
    with pytest.raises(KeyringError) as caught:
        keyring.init_app(Flask("portal"), text)
    assert "PORTAL_MASTER_KEYS" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert b64encode(b"y" * 32).decode() not in str(caught.value)


def test_processes_that_start_at_once_agree_on_one_key_per_purpose(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context(), unit_of_work() as session:
        for row in session.scalars(select(StoredDataKey)):
            session.delete(row)
    master_keys, rings = current(app), []
    both_found_none = threading.Barrier(2)

    def after_both_looked() -> bytes:
        with suppress(threading.BrokenBarrierError):  # on SQLite only one at a time gets here
            both_found_none.wait(0.5)
        return new_data_key()

    def start() -> None:
        with app.app_context():
            rings.append(keyring._load(keyring._Held(MasterKeys.parse(master_keys)), make=True))

    monkeypatch.setattr(keyring, "new_data_key", after_both_looked)
    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rings) == 2
    assert len(rows(app)) == len(PURPOSES)
    for purpose in PURPOSES:
        assert len({ring.active(purpose).secret for ring in rings}) == 1


def test_the_first_use_loads_the_keys_even_inside_a_transaction(app: Flask) -> None:
    give(app, current(app))
    with app.app_context(), unit_of_work():
        assert keyring.open_sealed(keyring.seal("x", place()), place()) == "x"


@ON_SQLITE
def test_inside_a_transaction_no_key_is_made(app: Flask) -> None:
    forget_purpose(app, "recovery")
    give(app, current(app))

    def use() -> None:
        with app.app_context(), unit_of_work() as session:
            session.execute(select(StoredDataKey))
            keyring.mac(b"data", purpose="recovery")

    with pytest.raises(KeyringError, match="not been made yet"):
        use()
    assert "recovery" not in [row[1] for row in rows(app)]


def test_a_key_that_another_process_made_is_found(app: Flask) -> None:
    held = app.extensions[keyring.EXTENSION]
    with app.app_context():
        with unit_of_work() as session:
            session.execute(update(StoredDataKey).where(StoredDataKey.purpose == "credentials").values(state=RETIRED))
            session.add(keyring._new(held.masters, 99, "credentials"))
        old = keyring.seal("old", place())
        other = keyring._Held(held.masters)
        blob = keyring._load(other, make=False).seal("new", place())
        assert keyring.open_sealed(blob, place()) == "new"
        assert keyring.open_sealed(old, place()) == "old"
        assert keyring.mac_key_id("credentials") == 99


def test_rotation_moves_every_data_key_and_the_old_master_key_can_go(app: Flask) -> None:
    old = current(app)
    with app.app_context():
        blob, digest = keyring.seal("kept", place()), keyring.mac(b"data", purpose="audit")
    give(app, f"{NEW},{old}")
    with app.app_context(), unit_of_work():
        done = keyring.rewrap()
    assert (done.moved, done.primary) == (len(PURPOSES), "k2")
    assert {row[2] for row in rows(app)} == {"k2"}
    give(app, NEW)
    keyring.load(app)
    with app.app_context():
        assert keyring.open_sealed(blob, place()) == "kept"
        assert keyring.mac(b"data", purpose="audit") == digest


@ON_SQLITE
def test_a_second_rotation_moves_nothing(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        assert keyring.rewrap().moved == 0


def test_a_rotation_that_lacks_a_key_moves_nothing_at_all(app: Flask) -> None:
    old = current(app)
    give(app, f"{NEW},{old}")
    with app.app_context(), unit_of_work() as session:
        stray = session.scalars(select(StoredDataKey).order_by(StoredDataKey.id.desc()).limit(1)).one()
        stray.master_key_id = "k9"
    before = rows(app)
    with app.app_context(), pytest.raises(KeyringError, match="lacks the key k9"), unit_of_work():
        keyring.rewrap()
    assert rows(app) == before


@ON_SQLITE
def test_the_status_counts_and_names_what_is_missing_and_unused(app: Flask) -> None:
    give(app, NEW)
    with app.app_context(), reading():
        status = keyring.status()
    assert status.configured == ("k2",)
    assert status.wrapped_by == {"k1": len(PURPOSES)}
    assert status.purposes == dict.fromkeys(sorted(PURPOSES), 1)
    assert status.missing == ("k1",)


@ON_SQLITE
def test_digests_differ_by_purpose_and_data_and_a_key_of_another_purpose_is_refused(app: Flask) -> None:
    with app.app_context():
        audit, recovery = keyring.mac(b"data", purpose="audit"), keyring.mac(b"data", purpose="recovery")
        assert len({audit, recovery, keyring.mac(b"datb", purpose="audit")}) == 3
        assert keyring.mac(b"data", purpose="audit", key_id=keyring.mac_key_id("audit")) == audit
        for wrong in (keyring.mac_key_id("recovery"), 12345):
            with pytest.raises(UnknownKey):
                keyring.mac(b"data", purpose="audit", key_id=wrong)


def test_the_database_refuses_a_second_active_key(app: Flask) -> None:
    held = app.extensions[keyring.EXTENSION]
    with app.app_context(), pytest.raises(IntegrityError), unit_of_work() as session:
        session.add(keyring._new(held.masters, 99, "credentials"))
    assert len(rows(app)) == len(PURPOSES)
