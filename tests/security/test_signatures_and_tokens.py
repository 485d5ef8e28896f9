"""Keyed hashes, comparisons and tokens."""

import hashlib

import pytest

from portal.security.signatures import blind_index, hmac_sha256, same
from portal.security.tokens import random_token, token_digest


def test_hmac_sha256_gives_the_value_of_rfc_4231_test_case_2() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", "what do ya want for nothing?").hex() == expected
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == expected


def test_an_empty_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        hmac_sha256(b"", b"data")


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "ab", False),
        ("ü", "ü".encode(), True),
        (b"\xff", "ÿ", False),
        ("\ud800", "\ud800", True),
        ("", b"", True),
    ],
)
def test_same_compares_any_text_and_bytes(first: str | bytes, second: str | bytes, equal: bool) -> None:
    assert same(first, second) is equal


def test_a_blind_index_depends_on_key_field_and_value() -> None:
    index = blind_index(b"key", "+15551234567", field="phone")
    assert len(index) == 32
    assert index == blind_index(b"key", "+15551234567", field="phone")
    assert index.hex() == "0ce5ec12ff7560d073f78c907cc36f74b07f4bddbb0455bd6fb681b29b48247e"  # kept in databases
    others = [
        blind_index(b"other", "+15551234567", field="phone"),
        blind_index(b"key", "+15551234568", field="phone"),
        blind_index(b"key", "+15551234567", field="mobile"),
        blind_index(b"key", "e+15551234567", field="phon"),
    ]
    assert index not in others


def test_tokens_are_random_and_url_safe() -> None:
    token = random_token()
    assert len(token) == 43
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len({random_token() for _ in range(100)}) == 100
    assert len(random_token(16)) == 22


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        random_token(15)


def test_the_digest_is_sha256_of_any_text() -> None:
    assert token_digest("abc") == hashlib.sha256(b"abc").digest()
    assert len(token_digest("ü\ud800")) == 32
