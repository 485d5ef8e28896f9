"""Password hashes."""

import threading

import argon2
import pytest

from portal.security.passwords import PasswordHasher
from portal.security.strength import MAX_LENGTH


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher(memory_kib=8, time_cost=1)


def test_a_password_opens_its_own_hash_only(hasher: PasswordHasher) -> None:
    encoded = hasher.hash("correct horse battery")
    assert encoded.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert hasher.verify(encoded, "correct horse battery")
    assert not hasher.verify(encoded, "correct horse batterY")
    assert hasher.hash("correct horse battery") != encoded
    parameters = argon2.extract_parameters(encoded)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)


@pytest.mark.parametrize(
    ("password", "other"),
    [
        (" spaces kept ", "spaces kept"),
        ("cafe\u0301 au lait", "caf\u00e9 au lait"),
        ("\ud800 lone", "? lone"),
        ("null\0byte", "null"),
        ("密码密码密码", "密码密码密"),
        ("Case Matters", "case matters"),
        ("x" * MAX_LENGTH, "x" * (MAX_LENGTH - 1)),
    ],
    ids=["spaces", "composed", "surrogate", "null", "chinese", "case", "longest"],
)
def test_passwords_are_taken_verbatim(hasher: PasswordHasher, password: str, other: str) -> None:
    encoded = hasher.hash(password)
    assert hasher.verify(encoded, password)
    assert not hasher.verify(encoded, other)


def test_too_long_a_password_is_refused_before_any_work(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = hasher.hash("x" * MAX_LENGTH)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", None)
    assert not hasher.verify(encoded, "x" * (MAX_LENGTH + 1))
    with pytest.raises(ValueError, match="1024"):
        hasher.hash("x" * (MAX_LENGTH + 1))


@pytest.mark.parametrize("encoded", [None, ""])
def test_an_unknown_user_costs_a_real_verification(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch, encoded: str | None
) -> None:
    seen: list[str] = []
    verify = argon2.PasswordHasher.verify

    def watched(self: argon2.PasswordHasher, stored: str, password: bytes) -> bool:
        seen.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    assert hasher.verify(encoded, "whatever it is") is False
    assert hasher.verify(hasher.hash("known"), "known")
    unknown, known = (argon2.extract_parameters(stored) for stored in seen)
    assert unknown == known


def test_a_password_that_happens_to_match_nobody_still_fails(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argon2.PasswordHasher, "verify", lambda *_: True)
    assert not hasher.verify(None, "whatever it is")


@pytest.mark.parametrize("encoded", ["rubbish", "$argon2id$v=19$m=8,t=1,p=1$", "$argon2id$v=19$m=8,t=1,p=1$!!$!!", "ü"])
def test_a_damaged_hash_matches_nothing(hasher: PasswordHasher, encoded: str) -> None:
    assert not hasher.verify(encoded, "password")
    assert hasher.needs_rehash("rubbish")


def test_stronger_parameters_ask_for_a_new_hash(hasher: PasswordHasher) -> None:
    encoded = hasher.hash("correct horse battery")
    assert not hasher.needs_rehash(encoded)
    assert PasswordHasher(memory_kib=16, time_cost=1).needs_rehash(encoded)
    assert PasswordHasher(memory_kib=16, time_cost=1).verify(encoded, "correct horse battery")


def test_the_defaults_are_the_strong_ones() -> None:
    weak = PasswordHasher(memory_kib=8, time_cost=1).hash("x")
    strong = weak.replace("m=8,t=1,p=1", "m=65536,t=2,p=1")
    assert not PasswordHasher().needs_rehash(strong)


def test_no_more_than_the_agreed_number_hash_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(memory_kib=8, time_cost=1, concurrency=2)
    inside, most, lock, both_in = 0, 0, threading.Lock(), threading.Barrier(2)

    def slow(self: argon2.PasswordHasher, password: bytes) -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        both_in.wait(timeout=10)
        with lock:
            inside -= 1
        return "hash"

    monkeypatch.setattr(argon2.PasswordHasher, "hash", slow)
    threads = [threading.Thread(target=hasher.hash, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == 2
